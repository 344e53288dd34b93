"""What several commands take: the stopping rule, and an engine's own options."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from firstlight.files.errors import Refused
from passuntil import PassUntilError
from passuntil.rules import RULES, Rule, Setting


def add_rule(parser: argparse.ArgumentParser) -> None:
    """A flag for every setting of every stopping rule that commands take; the first of a rule's chooses the rule."""
    group = parser.add_argument_group(
        "stopping rule", "one of " + ", ".join(_chooser(rule).option for rule in RULES.values())
    )
    _, *others = RULES.values()
    for setting in _settings():
        begins_with = "" if setting in map(_chooser, others) else f" [{setting.start:g}]"
        words = f"{setting.meaning}{begins_with}".replace("%", "%%")
        group.add_argument(
            setting.option, dest=_dest(setting), type=_reader(setting), metavar=setting.metavar, help=words
        )


def rule_of(arguments: argparse.Namespace) -> Rule:
    """The rule that the flags name. Raises Refused where they name two, or one that cannot be."""
    given = {setting: value for setting in _settings() if (value := getattr(arguments, _dest(setting)))}
    named = [rule for rule in RULES.values() if _chooser(rule) in given]
    if len(named) > 1:
        options = [_chooser(rule).option for rule in named]
        raise Refused(f"{' and '.join(options)} are rules of their own: choose one.")
    rule = named[0] if named else next(iter(RULES.values()))
    values: dict[str, Any] = {setting.name: setting.start for setting in rule.settings if setting.option}
    for setting, value in given.items():
        if setting.name not in values:
            raise Refused(f"{setting.option} means nothing beside {_chooser(rule).option}: leave it out.")
        values |= value
    try:
        return rule.from_dict(values)
    except PassUntilError as error:
        raise Refused(str(error)) from error


def _settings() -> list[Setting]:
    """Every setting with a flag, once."""
    return list(dict.fromkeys(s for rule in RULES.values() for s in rule.settings if s.option))


def _chooser(rule: type[Rule]) -> Setting:
    """The setting that chooses the rule."""
    return rule.settings[0]


def _dest(setting: Setting) -> str:
    return f"rule_{setting.name}"


def _reader(setting: Setting) -> Callable[[str], dict[str, Any]]:
    """What argparse reads a flag's text with: the settings that it gives."""

    def read(text: str) -> dict[str, Any]:
        try:
            return setting.read_option(text)
        except PassUntilError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


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
        except RecursionError as error:
            raise Refused(f"--option {name} is nested too deeply: give a plain value.") from error
    return options
