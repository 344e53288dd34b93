"""`firstlight passuntil` and `firstlight exact`: measure a model folder, without a site and without a database."""

import argparse
import csv
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from firstlight.files.decoding import Decoding
from firstlight.files.errors import Refused
from firstlight.files.model_folder import read_model_folder
from firstlight.files.task_file import InstanceSpec, read_task_file
from passuntil import TallyRow, write_tallies
from passuntil._text import counted
from passuntil.rules import Rule
from workers.cli.options import add_engine_options, add_rule, engine_options, rule_of
from workers.engines import open_engine
from workers.engines.base import Engine, EngineRefusal
from workers.scheduler import DrawnUnit, Scheduler


def add_commands(commands: Any) -> None:
    draw = commands.add_parser("passuntil")
    _common(draw)
    add_rule(draw)
    draw.add_argument("--seed", type=int, default=0)
    draw.add_argument("--temperature", type=float, default=1.0)
    draw.add_argument("--top-p", type=float, default=1.0)
    draw.set_defaults(run=passuntil)
    exact = commands.add_parser("exact")
    _common(exact)
    exact.set_defaults(run=exact_command)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL_DIR")
    parser.add_argument("task", type=Path, metavar="TASK.jsonl")
    parser.add_argument("--engine", default="reference")
    add_engine_options(parser)
    parser.add_argument(
        "--out", type=Path, help="write the table here (default: standard output, unless --json)"
    )
    parser.add_argument("--json", action="store_true", help="print a summary as JSON")


def passuntil(arguments: argparse.Namespace) -> int:
    """Draw, grade, settle; one row an instance."""
    rule = rule_of(arguments)
    decoding = _decoding(arguments)
    _require_writable(arguments.out)
    specs = read_task_file(arguments.task)
    folder = read_model_folder(arguments.model)
    engine = open_engine(arguments.engine, arguments.model, **engine_options(arguments.option))
    warnings = _warnings(engine, specs)
    began = time.monotonic()
    try:
        rows, accounts = draw_all(
            engine, specs, rule, decoding, model=arguments.model.resolve().name, n_params=folder.n_params
        )
    finally:
        engine.close()
    seconds = time.monotonic() - began
    if arguments.out:
        write_tallies(arguments.out, rows)
    elif not arguments.json:
        write_tallies(sys.stdout, rows)
    estimate = rule.mean(accounts["outcomes"])
    summary = {
        "model": rows[0].model,
        "n_params": folder.n_params,
        "task": str(arguments.task),
        "rule": rule.to_dict(),
        "seed": decoding.seed,
        "engine": engine.fingerprint,
        "instances": len(rows),
        "draws": sum(row.tally.draws for row in rows),
        "overshoot": accounts["drawn"] - sum(row.tally.draws for row in rows),
        "passes": sum(row.tally.passes for row in rows),
        "tokens": accounts["tokens"],
        "tokens_used": accounts["tokens_used"],
        "seconds": seconds,
        "mean": estimate.mean,
        "low": estimate.low,
        "high": estimate.high,
        "level": estimate.level,
        "out": str(arguments.out) if arguments.out else None,
        "warnings": warnings,
    }
    if arguments.json:
        print(json.dumps(summary))
    else:
        print(
            f"PU {estimate.mean:.4g} [{estimate.low:.4g}, {estimate.high:.4g}] at {estimate.level:.0%}: "
            f"{counted(summary['passes'], 'pass', 'passes')} in {counted(summary['draws'], 'draw')} of "
            f"{counted(len(rows), 'instance')}, "
            f"{accounts['tokens'] / max(seconds, 1e-9):,.0f} tokens/s",
            file=sys.stderr,
        )
    return 0


def draw_all(
    engine: Engine,
    specs: list[InstanceSpec],
    rule: Rule,
    decoding: Decoding,
    *,
    model: str,
    n_params: int,
) -> tuple[list[TallyRow], dict[str, Any]]:
    """Draw every instance until its rule is done.

    Returns the rows in file order, and the accounts: draws and tokens made, tokens used, outcomes in file order.
    """
    outcomes: dict[str, list[bool]] = {spec.id: [] for spec in specs}
    tokens: dict[str, list[int]] = {spec.id: [] for spec in specs}
    accounts: dict[str, Any] = {"drawn": 0, "tokens": 0}
    scheduler = Scheduler(engine)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    console = Console(stderr=True)
    quiet = not console.is_terminal  # in a log even a bar that takes itself away leaves an empty line
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=quiet
    ) as progress:
        bar = progress.add_task("instances", total=len(specs), rate="")
        began = time.monotonic()
        while True:
            if scheduler.idle:
                scheduler.add(_due(rule, specs, outcomes, decoding))
            if scheduler.idle:
                break
            for step in scheduler.step():
                if step.refused:
                    raise EngineRefusal(step.refused)
                for wave in step.waves:
                    outcomes[str(step.key)] += wave.passed.tolist()
                    tokens[str(step.key)] += wave.tokens.tolist()
                    accounts["drawn"] += wave.draws
                    accounts["tokens"] += int(wave.tokens.sum())
                accounts["drawn"] += step.given_up_draws
                accounts["tokens"] += step.given_up_tokens
                if step.finished:
                    progress.advance(bar)
            rate = accounts["drawn"] / max(time.monotonic() - began, 1e-9)
            progress.update(bar, rate=f"{rate:,.0f} draws/s")
    rows = [
        TallyRow(model=model, n_params=n_params, instance=spec.id, tally=rule.settle(outcomes[spec.id]))
        for spec in specs
    ]
    accounts["outcomes"] = list(outcomes.values())
    accounts["tokens_used"] = sum(sum(tokens[row.instance][: row.tally.draws]) for row in rows)
    return rows, accounts


def _due(
    rule: Rule, specs: list[InstanceSpec], outcomes: dict[str, list[bool]], decoding: Decoding
) -> Iterator[DrawnUnit]:
    """The instances that the rule wants more draws of."""
    for spec, wanted in zip(specs, rule.unit_rules(list(outcomes.values())), strict=True):
        if wanted:
            bits = outcomes[spec.id]
            yield DrawnUnit(spec.id, spec, wanted, decoding, len(bits), sum(bits))


def exact_command(arguments: argparse.Namespace) -> int:
    """One forward pass an instance: a lower bound on the pass probability at temperature 1, and the loss."""
    _require_writable(arguments.out)
    specs = read_task_file(arguments.task)
    without = next((spec for spec in specs if not spec.answer or spec.grader != "exact"), None)
    if without:
        raise Refused(
            f"instance {without.id} of {arguments.task} has no reference answer in exact grading: "
            "leave it out of the file, since a likelihood needs one."
        )
    folder = read_model_folder(arguments.model)
    engine = open_engine(arguments.engine, arguments.model, **engine_options(arguments.option))
    model = arguments.model.resolve().name
    warnings = _warnings(engine, specs)
    try:
        rows = []
        for spec in specs:
            try:
                (score,) = engine.score([(spec.prompt, spec.answer)], spec.stop, spec.max_tokens)
            except EngineRefusal as error:
                raise Refused(f"instance {spec.id}: {error}") from error
            rows.append(
                {
                    "model": model,
                    "n_params": folder.n_params,
                    "instance": spec.id,
                    "nll_answer": score.nll_answer,
                    "nll_terminator": score.nll_terminator,
                    "nll": score.nll,
                    "probability": math.exp(-score.nll),
                    "tokens": score.tokens,
                    "ids": list(score.ids),
                    "terminator": list(score.ends),
                }
            )
    finally:
        engine.close()
    if arguments.out:
        with arguments.out.open("w", encoding="utf-8", newline="") as file:
            _write(file, rows)
    elif not arguments.json:
        _write(sys.stdout, rows)
    mean = math.fsum(row["probability"] for row in rows) / len(rows)
    if arguments.json:
        summary = {"model": model, "n_params": folder.n_params, "instances": rows, "mean": mean}
        print(json.dumps(summary | {"warnings": warnings}))
    return 0


def _warnings(engine: Engine, specs: list[InstanceSpec]) -> list[str]:
    """What is not wrong but hardly meant, said on standard error too."""
    codec = getattr(engine, "codec", None)  # an endpoint's tokenizer need not be known
    begun = [(spec.id, text) for spec in specs if codec and (text := codec.twice_begun(spec.prompt))]
    if not begun:
        return []
    first, start = begun[0]
    warning = (
        f"the tokenizer puts {start!r} in front of each prompt, and {len(begun)} of {len(specs)} begin with it already "
        f"(instance {first} for one), so the model reads it twice; remove it from the prompts."
    )
    print(f"warning: {warning}", file=sys.stderr)
    return [warning]


def _write(file: TextIO, rows: list[dict[str, Any]]) -> None:
    writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        lists = {key: json.dumps(row[key], ensure_ascii=False) for key in ("ids", "terminator")}
        writer.writerow(row | lists)


def _decoding(arguments: argparse.Namespace) -> Decoding:
    return Decoding(seed=arguments.seed, temperature=arguments.temperature, top_p=arguments.top_p)


def _require_writable(out: Path | None) -> None:
    """Find out before the drawing, not after it."""
    if out is not None:
        if out.is_dir() or not out.resolve().parent.is_dir():
            raise Refused(f"cannot write {out}: name a file in a folder that exists.")
        fresh = not out.exists()
        with out.open("a"):
            pass
        if fresh:  # what fails later leaves no empty table behind
            out.unlink()
