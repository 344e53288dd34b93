"""What the commands of proxy tasks share: options that describe tables of scores, and what to know of a result."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import proxy

#: With fewer joined models nothing can be studied, and the names are the likely reason.
LEAST_JOINED = 4


def add_scores(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scores", type=Path, metavar="SCORES.csv")
    parser.add_argument("--tasks", help="comma-separated: use only these columns")
    parser.add_argument("--model-column", action="append", metavar="NAME", help="repeatable: joined with @")
    parser.add_argument("--duplicates", choices=("refuse", "first", "mean"), default="refuse")
    parser.add_argument(
        "--case", choices=("refuse", "first"), default="refuse", help="of names that differ in case"
    )
    for name, form in (("direction", "TASK=-1"), ("baseline", "TASK=SCORE"), ("scale", "TASK=1|100")):
        parser.add_argument(f"--{name}", action="append", default=[], metavar=form, help="repeatable")


def read_matrix(arguments: argparse.Namespace) -> proxy.ScoreMatrix:
    target = getattr(arguments, "target", None)
    tasks = listed(arguments.tasks)
    elsewhere = getattr(arguments, "target_from", None)
    if tasks is not None and target and elsewhere is None and target not in tasks:
        tasks = [*tasks, target]
    matrix = proxy.read_scores(
        arguments.scores,
        tasks=tasks,
        model_columns=arguments.model_column or ("model",),
        duplicates=arguments.duplicates,
        case=arguments.case,
        direction={task: int(value) for task, value in _facts("direction", arguments.direction).items()},
        baseline=_facts("baseline", arguments.baseline),
        scale=_facts("scale", arguments.scale),
    )
    if elsewhere is None:
        return matrix
    assert target is not None
    other = proxy.read_scores(elsewhere).select(tasks=[target])
    if target in matrix.tasks:
        matrix = matrix.select(tasks=[task for task in matrix.tasks if task != target])
    mapping = proxy.scores.read_mapping(arguments.pairs) if arguments.pairs else None
    joined = proxy.join_scores(
        matrix, other, mapping=mapping, guess=arguments.guess_names, pairs=arguments.pairs is not None
    )
    if len(joined.matches) < LEAST_JOINED:
        found = ", ".join(f"{one.left} with {one.right}" for one in joined.matches)
        raise proxy.ProxyError(
            f"only {len(joined.matches)} models of {arguments.scores} were found in {elsewhere} ({found}); "
            "name the others' pairs by --pairs"
        )
    return joined.matrix


def listed(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _facts(name: str, given: list[str]) -> dict[str, float]:
    facts = {}
    for text in given:
        task, _, value = text.rpartition("=")
        try:
            if not task:
                raise ValueError
            facts[task] = float(value)
        except ValueError:
            raise proxy.ProxyError(f"--{name} {text}: expected TASK=NUMBER") from None
    return facts


def read_weights(path: Path) -> dict[str, float]:
    """Weights from `select`'s JSON, or from a plain object {task: weight}."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise proxy.ProxyError(f"{path}: not JSON; give what `firstlight select --json` printed") from None
    weights = found.get("weights", found) if isinstance(found, dict) else None
    if not isinstance(weights, dict) or not weights:
        raise proxy.ProxyError(f"{path}: no weights; expected {{task: weight}}, or the JSON of select")
    for task, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not abs(weight) < float("inf"):
            raise proxy.ProxyError(f"{path}: the weight of {task!r} is {weight!r}, not a number")
    return {str(task): float(weight) for task, weight in weights.items()}


def read_column(path: Path) -> dict[str, float]:
    """A table of one number a model (TRUTH.csv: model,score): model -> number, gaps left out."""
    matrix = proxy.read_scores(path)
    if len(matrix.tasks) != 1:
        raise proxy.ProxyError(f"{path}: {len(matrix.tasks)} columns of scores; expected model,score")
    column = matrix.column(matrix.tasks[0])
    return {model: float(score) for model, score in zip(matrix.models, column, strict=True) if score == score}


def read_noise(path: Path, tasks: tuple[str, ...]) -> dict[str, float]:
    """Standard deviation of each task over the models of the noise group."""
    group = proxy.read_scores(path)
    noise = {}
    for task in tasks:
        if task in group.tasks:
            values = group.column(task)
            values = values[values == values]
            if len(values) < 2:
                raise proxy.ProxyError(
                    f"{path}: {len(values)} models have {task}; a deviation needs at least 2"
                )
            noise[task] = float(values.std(ddof=1))
    return noise


def print_remarks(found: dict[str, Any]) -> None:
    """What a person should know, one line each."""
    for task, why in found.get("left_out", {}).items():
        print(f"left out: {task}: {why}")
    for flag in found.get("flags", []):
        print(f"{flag['kind']}: {flag['name']}: {flag['detail']}")
    for note in found.get("notes", []):
        print(f"note: {note}")
