"""What all stopping rules share: their protocol, their plain form, how they go on after the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from passuntil._checks import whole
from passuntil.counts.tally import Tally
from passuntil.errors import PassUntilError
from passuntil.rules.planning import Plan

#: Where a handful of draws would do, this many are asked for, so that engines have something to batch.
LEAST_WAVE = 32
#: The posterior quantile of p that sizes a wave: high, so that a wave rather falls short than overshoots.
CAUTION = 0.75


class StoppingRule(Protocol):
    """What every rule answers."""

    def is_done(self, counts: Tally | tuple[int, int]) -> bool: ...

    def next_draws(self, *, draws: int, passes: int, wave: int) -> int: ...

    def settle(self, bits: Iterable[Any]) -> Tally: ...

    def plan(self) -> Plan: ...

    def to_dict(self) -> dict[str, Any]: ...


def known(data: Mapping[str, Any], kind: str, names: tuple[str, ...], needed: str) -> dict[str, Any]:
    """The values of `data` without its kind, which has to be `kind`; a key that no rule knows is refused."""
    if not isinstance(data, Mapping):
        raise PassUntilError(f"a rule is described by a mapping, not {data!r:.60}")
    if data.get("kind", kind) != kind:
        raise PassUntilError(f"the rule is of kind {data['kind']!r}, not {kind!r}; use rule_from_dict")
    unknown = sorted(str(key) for key in set(data) - {"kind", *names})
    if unknown:
        raise PassUntilError(f"the rule {kind!r} has no {', '.join(unknown)}; it takes {', '.join(names)}")
    if needed not in data:
        raise PassUntilError(f"the rule {dict(data)!r} lacks {needed!r}")
    return {key: value for key, value in data.items() if key != "kind"}


def flag(name: str, value: Any) -> bool:
    """True or False, and nothing that merely counts as one."""
    if not isinstance(value, bool):
        raise PassUntilError(f"{name} must be true or false, not {value!r}")
    return value


def plain(kind: str, values: dict[str, Any], extended: bool) -> dict[str, Any]:
    """The plain form; `extended` is named only where it is true, so that older readers see what they know."""
    return {"kind": kind, **values, **({"extended": True} if extended else {})}


def not_less(name: str, new: Any, old: int) -> int:
    """`new` as a whole number that does not take back any of `old`."""
    number = whole(name, new)
    if number < old:
        raise PassUntilError(f"{name} ({number}) is below the rule's {old}; an extension only adds draws")
    return number


def pair(counts: Tally | tuple[int, int]) -> tuple[int, int]:
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
