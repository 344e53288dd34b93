"""`firstlight forecast`: from TALLIES.csv to a forecast with an interval."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from passuntil import TallyRow, read_tallies
from passuntil.forecasting import SCALES
from workers.cli.progress import stages


def add_commands(commands: Any) -> None:
    parser = commands.add_parser("forecast")
    parser.add_argument(
        "tallies",
        type=Path,
        metavar="TALLIES.csv",
        help="draws and passes of each instance and model; - is standard input",
    )
    parser.add_argument(
        "--target",
        type=float,
        action="append",
        default=[],
        metavar="N",
        help="size to forecast; may be given several times",
    )
    parser.add_argument(
        "--hold-out",
        action="append",
        default=[],
        metavar="MODEL",
        help="a model to leave out of the fit, and to forecast and compare; may be given several times",
    )
    parser.add_argument(
        "--task", metavar="NAME", help="the task to forecast, where the column `task` names several"
    )
    parser.add_argument(
        "--beside",
        type=Path,
        action="append",
        default=[],
        metavar="OTHER.csv",
        help="another task's tallies of the same models, which tell how models scatter; may be given several times",
    )
    parser.add_argument(
        "--losses",
        type=Path,
        metavar="LOSSES.csv",
        help="losses of the models: a column `model` and a column for each loss",
    )
    parser.add_argument(
        "--level", type=float, default=0.9, help="confidence level of the intervals (default 0.9)"
    )
    parser.add_argument(
        "--scale",
        choices=SCALES,
        default="n_params",
        help="what size means: " + ", ".join(f"{name} ({words})" for name, words in SCALES.items()),
    )
    parser.add_argument(
        "--guess-rate", type=float, default=0.0, help="chance of passing by guessing, where known (default 0)"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed (default 0)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.set_defaults(run=forecast)


def forecast(arguments: argparse.Namespace) -> int:
    with stages() as progress:
        progress(f"reading {arguments.tallies}")
        rows, task = read_tallies(arguments.tallies), arguments.task
        if arguments.beside:
            named = {row.task for row in rows}
            task = task or (named.pop() if len(named) == 1 else None)
            rows += [row for path in arguments.beside for row in _beside(path)]
        # Half a second, which a file that cannot be read need not wait for.
        from passuntil import forecast_tallies
        from passuntil.laws import read_losses

        result = forecast_tallies(
            rows,
            targets=arguments.target,
            hold_out=tuple(arguments.hold_out),
            level=arguments.level,
            scale=arguments.scale,
            task=task,
            losses=read_losses(arguments.losses) if arguments.losses else None,
            guess_rate=arguments.guess_rate,
            seed=arguments.seed,
            progress=progress,
        )
    print(json.dumps(result.as_dict()) if arguments.json else result.table())
    return 0


def _beside(path: Path) -> list[TallyRow]:
    """Rows of another task; where the file names none, its own name does."""
    return [row if row.task else replace(row, task=str(path)) for row in read_tallies(path)]
