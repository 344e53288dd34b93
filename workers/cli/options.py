"""What several commands take: the stopping rule, and an engine's own options."""

import argparse
import json
from typing import Any

from firstlight.files.errors import Refused

from passuntil import PassUntilError, rule_from_dict
from workers.waves import StoppingRule


def add_rule(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--passes", type=int, metavar="R", help="stop each at its r-th pass (default 5; at least 2)"
    )
    parser.add_argument("--floor", type=int, help="draw each at least so often (default 64)")
    parser.add_argument("--cap", type=int, default=10_000, help="draw each at most so often (default 10000)")
    parser.add_argument("--fixed", type=int, metavar="N", help="draw exactly N of each instead")
    parser.add_argument(
        "--relative-error",
        type=float,
        metavar="E",
        help="instead: until each is known to a share E of itself",
    )
    parser.add_argument("--level", type=float, help="how surely, with --relative-error (default 0.95)")
    parser.add_argument(
        "--target",
        metavar="SE",
        help="instead: until the mean's standard error from draws is SE (or a share of the mean, as in 2%%)",
    )
    parser.add_argument("--pilot", type=int, help="first draws of each, with --target (default 32)")


def rule_of(arguments: argparse.Namespace) -> StoppingRule:
    """The rule that the flags name. Raises Refused where they name two, or one that cannot be."""
    kinds = {
        "--passes": arguments.passes,
        "--fixed": arguments.fixed,
        "--relative-error": arguments.relative_error,
        "--target": arguments.target,
    }
    named = [flag for flag, value in kinds.items() if value is not None]
    if len(named) > 1:
        raise Refused(f"{' and '.join(named)} are rules of their own: choose one.")
    data: dict[str, object] = {
        "kind": "until_passes",
        "r": 5 if arguments.passes is None else arguments.passes,
    }
    if arguments.fixed is not None:
        data = {"kind": "fixed_draws", "n": arguments.fixed}
    elif arguments.relative_error is not None:
        data = {"kind": "relative_error", "epsilon": arguments.relative_error, "level": arguments.level}
    elif arguments.target is not None:
        data = {"kind": "dataset_precision", **_target(arguments.target), "pilot": arguments.pilot}
    floor = arguments.floor
    if data["kind"] in ("until_passes", "relative_error"):
        data["floor"] = 64 if floor is None else floor
    for flag, value, fits in (
        ("--floor", floor, "floor" in data),
        ("--level", arguments.level, "epsilon" in data),
        ("--pilot", arguments.pilot, "target" in data),
    ):
        if value is not None and not fits:
            raise Refused(f"{flag} means nothing beside {named[0] if named else '--passes'}: leave it out.")
    if data["kind"] != "fixed_draws":
        data["cap"] = arguments.cap
    try:
        return rule_from_dict({name: value for name, value in data.items() if value is not None})
    except PassUntilError as error:
        raise Refused(str(error)) from error


def _target(text: str) -> dict[str, object]:
    share = text.endswith("%")
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        raise Refused(
            f"--target takes a number such as 0.001, or a share of the mean such as 2%, not {text!r}."
        ) from None
    return {"target": value / 100 if share else value, "relative": share}


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the engine, such as its share of a GPU's memory; repeatable",
    )


def engine_options(words: list[str]) -> dict[str, Any]:
    """Options as name=value; a value that is JSON is that value, any other is text."""
    options: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            raise Refused(f"--option takes name=value, not {word!r}.")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options
