"""Does a regular expression repeat a repeat, as in (a+)+? Python's re then may take exponential time."""

from __future__ import annotations

from re import _parser  # type: ignore[attr-defined]  # it has no public name
from typing import Any

_MANY = 10  # an outer repeat of fewer turns cannot run for long


def repeats_a_repeat(pattern: str) -> bool:
    """Whether a repeat of many turns holds a repeat of varying length that may backtrack.

    `a++` and `(?>...)` do not backtrack and are let through. A few refused patterns are harmless. Exponential
    ones without a nested repeat, such as `(a|aa)+b`, are not seen.

    :param pattern: one that `re.compile` accepts
    :raises RecursionError: nested too deeply
    """
    return _search(_parser.parse(pattern), inside=False)


def _search(part: Any, *, inside: bool) -> bool:
    for operation, argument in part:
        name = str(operation)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            low, high, body = argument
            if (inside and high > 1 and low != high) or _search(body, inside=inside or high >= _MANY):
                return True
        else:
            inner = inside and name not in ("POSSESSIVE_REPEAT", "ATOMIC_GROUP")
            if any(_search(body, inside=inner) for body in _bodies(argument)):
                return True
    return False


def _bodies(argument: Any) -> list[Any]:
    """The parsed parts within an operation's argument."""
    if isinstance(argument, _parser.SubPattern):
        return [argument]
    if isinstance(argument, tuple | list):
        return [body for item in argument for body in _bodies(item)]
    return []
