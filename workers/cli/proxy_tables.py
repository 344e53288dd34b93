"""What the commands of proxy tasks share: options that describe tables of scores, and what to know of a result."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import proxy
from proxy._files import read_text
from proxy._text import counted

#: With fewer joined models nothing can be studied, and the names are the likely reason.
LEAST_JOINED = 4


def add_scores(parser: argparse.ArgumentParser) -> None:
    """The options that describe a table of scores."""
    parser.add_argument(
        "scores",
        type=Path,
        metavar="SCORES.csv",
        help="a line for each model and a column for each task, or the columns model,task,score; - is standard input",
    )
    parser.add_argument("--tasks", help="comma-separated tasks: use only these")
    add_table_options(parser)
    for name, form, meaning in (
        ("direction", "TASK=-1", "lower is better on this task"),
        ("baseline", "TASK=SCORE", "the score of guessing on this task"),
        ("scale", "TASK=1|100", "the scores on this task are fractions (1) or percent (100)"),
    ):
        parser.add_argument(
            f"--{name}", action="append", default=[], metavar=form, help=f"{meaning}; repeatable"
        )


def add_table_options(parser: argparse.ArgumentParser) -> None:
    """How to read a table whose names of models need care."""
    parser.add_argument(
        "--model-column",
        action="append",
        metavar="NAME",
        help="the column with the models' names (default model); several are joined by @; repeatable",
    )
    parser.add_argument(
        "--duplicates",
        choices=("refuse", "first", "mean"),
        default="refuse",
        help="of several different scores of a model on a task: refuse, or take the first or the mean (default refuse)",
    )
    parser.add_argument(
        "--case",
        choices=("refuse", "first"),
        default="refuse",
        help="of models whose names differ only in case: refuse, or take the first (default refuse)",
    )


def table_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The same as keyword arguments of `read_scores`."""
    return {
        "model_columns": arguments.model_column or ("model",),
        "duplicates": arguments.duplicates,
        "case": arguments.case,
    }


def read_matrix(arguments: argparse.Namespace) -> proxy.ScoreMatrix:
    """The scores that the options describe, joined with the target's table where there is one."""
    target = getattr(arguments, "target", None)
    tasks = listed(arguments.tasks)
    elsewhere = getattr(arguments, "target_from", None)
    if tasks is not None and target and elsewhere is None and target not in tasks:
        tasks = [*tasks, target]
    matrix = proxy.read_scores(
        arguments.scores,
        tasks=tasks,
        **table_options(arguments),
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
        matches = ", ".join(f"{one.left} with {one.right}" for one in joined.matches)
        raise proxy.ProxyError(
            f"only {counted(len(joined.matches), 'model')} of {arguments.scores} could be joined with {elsewhere} "
            f"({matches}); name the pairs of the others by --pairs"
        )
    return joined.matrix


def listed(text: str | None) -> list[str] | None:
    """The parts of a comma-separated option."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _facts(name: str, given: list[str]) -> dict[str, float]:
    """Task -> number, from options of the form TASK=NUMBER."""
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
    text = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise proxy.ProxyError(f"{path}: not JSON; give what `firstlight select --json` prints") from None
    weights = content.get("weights", content) if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not weights:
        raise proxy.ProxyError(
            f"{path}: no weights; give {{task: weight}}, or what `firstlight select --json` prints"
        )
    for task, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not abs(weight) < float("inf"):
            raise proxy.ProxyError(f"{path}: the weight of {task!r} is {weight!r}; give a finite number")
    return {str(task): float(weight) for task, weight in weights.items()}


def read_column(path: Path) -> dict[str, float]:
    """A table of one number a model (TRUTH.csv: model,score): model -> number, gaps left out."""
    matrix = proxy.read_scores(path)
    if len(matrix.tasks) != 1:
        raise proxy.ProxyError(f"{path}: {len(matrix.tasks)} columns of scores; give the columns model,score")
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
                have = counted(len(values), "model has", "models have")
                raise proxy.ProxyError(
                    f"{path}: {have} a score on {task}; a standard deviation needs at least 2"
                )
            noise[task] = float(values.std(ddof=1))
    return noise


def print_remarks(result: dict[str, Any]) -> None:
    """What a person should know, one line each."""
    for task, why in result.get("left_out", {}).items():
        print(f"{task} is left out: {why}")
    for flag in result.get("flags", []):
        print(f"{flag['name']}: {flag['detail']}")
    for note in result.get("notes", []):
        print(f"note: {note}")
