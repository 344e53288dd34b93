"""`firstlight tallies`: other programs' files of samples into TALLIES.csv, which `forecast` reads."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import proxy
from passuntil import Tally, TallyRow, write_tallies
from passuntil.sizes import read_size
from proxy._text import counted
from workers.cli.progress import tracked


def add_commands(commands: Any) -> None:
    parser = commands.add_parser("tallies")
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="SAMPLES",
        help="files of samples, or folders of them; - is standard input",
    )
    parser.add_argument(
        "--n-params",
        action="append",
        default=[],
        metavar="N|MODEL=N",
        help="non-embedding parameters of the model, or of each of several (7B, 7e9, 7,000,000); repeatable",
    )
    parser.add_argument(
        "--tokens",
        action="append",
        default=[],
        metavar="D|MODEL=D",
        help="training tokens of the model, or of each of several; repeatable",
    )
    parser.add_argument("--model", metavar="NAME", help="the model's name, for files that do not say it")
    parser.add_argument("--metric", help="the metric that says what passed, where there are several")
    parser.add_argument("--out", type=Path, required=True, metavar="TALLIES.csv", help="the table to write")
    parser.add_argument("--json", action="store_true", help="print what was read as JSON")
    parser.set_defaults(run=run_tallies)


def run_tallies(arguments: argparse.Namespace) -> int:
    from proxy.scores.passes import count_passes

    sizes, tokens = _sizes("--n-params", arguments.n_params), _sizes("--tokens", arguments.tokens)
    passes = count_passes(
        arguments.files,
        metric=arguments.metric,
        model=arguments.model,
        progress=lambda files: tracked(files, "reading"),
    )
    models = list(dict.fromkeys(one.model for one in passes.counts))
    tasks = list(dict.fromkeys(one.task for one in passes.counts))
    for name in {*sizes, *tokens} - {"", *models}:
        raise proxy.ProxyError(f"no model {name!r} in these files; there are {', '.join(models)}")
    notes = list(passes.notes)
    for model in models:
        if model not in sizes and "" not in sizes:
            if model not in passes.n_params:
                raise proxy.ProxyError(f"{model}: of unknown size; give --n-params {model}=N")
            sizes[model] = passes.n_params[model]
            notes.append(
                f"{model}: n_params is what its results say, {sizes[model]:,.0f}, embeddings included; give "
                "--n-params for the others"
            )
    rows = [
        TallyRow(
            one.model,
            sizes.get(one.model, sizes.get("", 0.0)),
            one.instance,
            Tally(one.draws, one.passes),
            tokens=tokens.get(one.model, tokens.get("")),
            task=one.task,
        )
        for one in passes.counts
    ]
    write_tallies(arguments.out, rows)
    draws, passed = sum(one.draws for one in passes.counts), sum(one.passes for one in passes.counts)
    result = {
        "out": str(arguments.out),
        "files": len(passes.files),
        "models": models,
        "tasks": tasks,
        "metrics": passes.metrics,
        "instances": len(rows),
        "draws": draws,
        "passes": passed,
        "notes": notes,
    }
    if arguments.json:
        print(json.dumps(result, allow_nan=False))
        return 0
    print(
        f"{arguments.out}: {counted(draws, 'draw')} of {counted(len(rows), 'row')}, "
        f"{passed} passed; {counted(len(models), 'model')}, {counted(len(tasks), 'task')}, from "
        f"{counted(len(passes.files), 'file')}"
    )
    for note in notes:
        print(f"note: {note}")
    return 0


def _sizes(option: str, given: list[str]) -> dict[str, float]:
    """Model -> size; the name is empty for a size of all models."""
    sizes: dict[str, float] = {}
    for text in given:
        model, _, size = text.rpartition("=")
        sizes[model] = float(read_size(size, option))
    return sizes
