"""Checks of single settings, each with one message that names the value and the remedy."""

from __future__ import annotations

import math
import operator
from typing import Any

from proxy.errors import ProxyError

#: Repetitions (rounds, permutations, seeds) beyond this are a slip: no machine has room for them.
MOST_REPETITIONS = 10**7


def whole(name: str, value: Any, *, least: int = 0, most: int | None = None) -> int:
    """`value` as an int from `least` to `most`; booleans, fractions and text are refused."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise ProxyError(f"{name} must be a whole number, not {value!r}; give an int") from None
    if number < least or (most is not None and number > most):
        limits = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ProxyError(f"{name} must be {limits}, not {number}")
    return number


def real(name: str, value: Any, *, least: float = -math.inf, most: float = math.inf) -> float:
    """`value` as a finite float from `least` to `most`."""
    try:
        if isinstance(value, bool | str | bytes):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ProxyError(f"{name} must be a number, not {value!r}") from None
    if not math.isfinite(number) or not least <= number <= most:
        limits = f"be at least {least:g}" if most == math.inf else f"lie between {least:g} and {most:g}"
        raise ProxyError(f"{name} must {limits}, not {number:g}")
    return number


def confidence(level: Any) -> float:
    """A confidence level strictly between 0 and 1."""
    number = real("level", level)
    if not 0.0 < number < 1.0:
        raise ProxyError(f"level must lie between 0 and 1, such as 0.95, not {number:g}")
    return number


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """`value`, if it is one of the choices."""
    if value not in choices:
        raise ProxyError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
    return str(value)
