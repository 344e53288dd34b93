"""`firstlight forecast`: from TALLIES.csv to a forecast with an interval."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from passuntil import TallyRow, forecast_tallies, read_tallies
from passuntil.forecasting.forecast import SCALES
from passuntil.laws import read_losses


def add_commands(commands: Any) -> None:
    parser = commands.add_parser("forecast", help="fit the task scaling law and forecast bigger models")
    parser.add_argument("tallies", type=Path, metavar="TALLIES.csv")
    parser.add_argument(
        "--target", type=float, action="append", default=[], metavar="N", help="N to forecast; repeatable"
    )
    parser.add_argument(
        "--hold-out", action="append", default=[], metavar="MODEL", help="leave out of the fit and forecast"
    )
    parser.add_argument(
        "--task", metavar="NAME", help="which to forecast, where a column `task` names several"
    )
    parser.add_argument(
        "--beside",
        type=Path,
        action="append",
        default=[],
        metavar="OTHER.csv",
        help="tallies of another task of the same models, which tells how models scatter; repeatable",
    )
    parser.add_argument(
        "--losses",
        type=Path,
        metavar="LOSSES.csv",
        help="losses of the models: `model` and a column for each",
    )
    parser.add_argument("--level", type=float, default=0.9, help="level of the intervals (default 0.9)")
    parser.add_argument("--scale", choices=SCALES, default="n_params", help="what grows (default n_params)")
    parser.add_argument(
        "--guess-rate", type=float, default=0.0, help="known chance of passing by guessing (default 0)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of sampled intervals and of the growth test")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=forecast)


def forecast(arguments: argparse.Namespace) -> int:
    rows, task = read_tallies(arguments.tallies), arguments.task
    if arguments.beside:
        named = {row.task for row in rows}
        task = task or (named.pop() if len(named) == 1 else None)
        rows += [row for path in arguments.beside for row in _beside(path)]
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
    )
    print(json.dumps(result.as_dict()) if arguments.json else result.table())
    return 0


def _beside(path: Path) -> list[TallyRow]:
    """Rows of another task; where the file names none, its own name does."""
    return [row if row.task else replace(row, task=str(path)) for row in read_tallies(path)]
