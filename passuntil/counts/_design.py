"""Counts under their design: whether they can be, and how the run ended."""

from __future__ import annotations

from typing import Literal

Outcome = Literal["fixed", "floor", "stopped", "capped", "unfinished"]


def outcome_of(n: int, k: int | None, r: int | None, floor: int, cap: int | None) -> Outcome:
    """How a run of n draws with the r-th pass at draw k ended."""
    if r is None:
        return "fixed" if n >= (floor if cap is None else cap) else "unfinished"
    if k is not None and k > floor:
        return "stopped"
    if k is not None and n == floor:
        return "floor"
    return "capped" if n == cap else "unfinished"


def contradiction(n: int, s: int, k: int | None, r: int | None, floor: int, cap: int | None) -> str | None:
    """What is wrong with n draws, s passes and the r-th pass at draw k under a floor and a cap, or None.

    Every sentence begins with the name of the count that it is about.
    """
    if s > n:
        return f"passes ({s}) exceed draws ({n}); count both over the same draws"
    if cap is not None and cap < floor:
        return f"cap ({cap}) is below floor ({floor}); raise the cap or lower the floor"
    if cap is not None and n > cap:
        return f"draws ({n}) exceed cap ({cap}); count only the draws up to the cap"
    if r is None:
        return None if k is None else f"stopped_at ({k}) needs r: a fixed number of draws stops at no pass"
    if k is None:
        if s >= r:
            return f"passes ({s}) reach r ({r}) but stopped_at is missing; give the draw of the r-th pass"
        return None
    if k < r:
        return f"stopped_at ({k}) is below r ({r}): the r-th pass cannot come before draw r"
    if k > n:
        return f"stopped_at ({k}) exceeds draws ({n}); leave it out until the r-th pass has come"
    if s < r:
        return f"stopped_at ({k}) stands for r ({r}) passes, but passes is {s}; leave stopped_at out"
    if n - k < s - r:
        return f"passes ({s}) are too many: draws ({n}) leave room for {n - k} after the r-th (r = {r}) at draw {k}"
    if n > max(k, floor):
        return (
            f"draws ({n}) go on after the stop at draw {max(k, floor)}; "
            "drop the overshoot, or build the tally with Tally.from_bits"
        )
    return None
