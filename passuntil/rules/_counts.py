"""Counts that a caller hands over to a rule, checked."""

from __future__ import annotations

from typing import Any

from passuntil._checks import whole
from passuntil.counts.tally import Tally
from passuntil.errors import PassUntilError

#: What a caller may hand over as the counts of an instance.
Counts = Tally | tuple[int, int]


def pair(counts: Counts) -> tuple[int, int]:
    """(draws, passes), checked."""
    if isinstance(counts, Tally):
        return counts.draws, counts.passes
    try:
        first, second = counts
    except (TypeError, ValueError):
        raise PassUntilError(f"counts must be a Tally or (draws, passes), not {counts!r}") from None
    draws, passes = whole("draws", first), whole("passes", second)
    if passes > draws:
        raise PassUntilError(f"passes ({passes}) exceed draws ({draws}); count both over the same draws")
    return draws, passes


def not_less(name: str, new: Any, old: int) -> int:
    """`new` as a whole number that does not take back any of `old`."""
    number = whole(name, new)
    if number < old:
        raise PassUntilError(f"{name} ({number}) is below the rule's {old}; an extension only adds draws")
    return number
