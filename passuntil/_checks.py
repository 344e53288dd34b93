"""Checks of single arguments, each with one message that names the value and the remedy."""

from __future__ import annotations

import math
import operator
from typing import Any

from passuntil.errors import PassUntilError

#: No count above this is believed: it keeps every product of two counts exact in 64-bit integers.
LARGEST_COUNT = 10**12


def whole(name: str, value: Any, *, least: int = 0) -> int:
    """`value` as an int; NumPy integers are taken, booleans, fractions and text are not."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise PassUntilError(f"{name} must be a whole number, not {value!r}; give an int") from None
    if number < least:
        raise PassUntilError(f"{name} must be at least {least}, not {number}")
    if number > LARGEST_COUNT:
        raise PassUntilError(f"{name} must be at most {LARGEST_COUNT}, not {number}")
    return number


def whole_or_none(name: str, value: Any, *, least: int = 0) -> int | None:
    """As `whole`, and None stays None."""
    return None if value is None else whole(name, value, least=least)


def real(name: str, value: Any) -> float:
    """`value` as a finite float; booleans, text, NaN and infinities are refused."""
    try:
        if isinstance(value, bool | str | bytes):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise PassUntilError(f"{name} must be a number, not {value!r}") from None
    if not math.isfinite(number):
        raise PassUntilError(f"{name} must be finite, not {number}")
    return number


def positive(name: str, value: Any, *, most: float = math.inf) -> float:
    """As `real`, above zero and at most `most`."""
    number = real(name, value)
    if not 0.0 < number <= most:
        limit = "" if math.isinf(most) else f" and at most {most:g}"
        raise PassUntilError(f"{name} must be above 0{limit}, not {number:g}")
    return number


def relative_error(name: str, value: Any) -> float:
    """A relative error strictly between 0 and 1."""
    number = real(name, value)
    if not 0.0 < number < 1.0:
        raise PassUntilError(f"{name} must lie between 0 and 1, such as 0.2 for 20%, not {number:g}")
    return number


def confidence(level: Any) -> float:
    """A confidence level strictly between 0 and 1."""
    number = real("level", level)
    if not 0.0 < number < 1.0:
        raise PassUntilError(f"level must lie between 0 and 1, such as 0.95, not {number:g}")
    return number
