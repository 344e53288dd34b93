"""Stopping rules: when an instance has been drawn often enough, and how many draws to ask for next.

A rule is a value. What it answers depends on (draws, passes) alone, never on a clock or on chance, so a run
that is resumed asks for the same draws again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from scipy.special import betaincinv

from passuntil._checks import whole
from passuntil.errors import PassUntilError
from passuntil.tally import Tally

#: Where a handful of draws would do, this many are asked for, so that engines have something to batch.
LEAST_WAVE = 32
#: The posterior quantile of p that sizes a wave: high, so that a wave rather falls short than overshoots.
CAUTION = 0.75


class StoppingRule(Protocol):
    """What every rule answers."""

    def is_done(self, counts: Tally | tuple[int, int]) -> bool: ...

    def next_draws(self, *, draws: int, passes: int, wave: int) -> int: ...

    def settle(self, bits: Iterable[Any]) -> Tally: ...

    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class UntilPasses:
    """Draw at least `floor`, then until the r-th pass, at most `cap` draws (PassUntil, arXiv 2310.03262).

    r >= 2: for r = 1 the only unbiased estimate is "did the first draw pass". The paper's cap is 10^5; a
    floor gives frequent passers their share of draws, so that a mean over instances is not left to a few
    draws each. Raises PassUntilError for r below 2, a cap below the floor or below r, and anything but
    whole numbers.

    >>> rule = UntilPasses(r=5, floor=64, cap=10_000)
    >>> rule.next_draws(draws=0, passes=0, wave=512), rule.next_draws(draws=64, passes=1, wave=512)
    (64, 127)
    """

    r: int
    floor: int = 0
    cap: int = 10**5

    def __post_init__(self) -> None:
        for name, least in (("r", 0), ("floor", 0), ("cap", 1)):
            object.__setattr__(self, name, whole(name, getattr(self, name), least=least))
        if self.r < 2:
            raise PassUntilError(
                f"r must be at least 2, not {self.r}: for r = 1 no unbiased estimate is of use; take r >= 2"
            )
        if self.cap < self.floor:
            raise PassUntilError(
                f"cap ({self.cap}) is below floor ({self.floor}); raise the cap or lower the floor"
            )
        if self.cap < self.r:
            raise PassUntilError(
                f"cap ({self.cap}) is below r ({self.r}): r passes could never come; raise the cap"
            )

    def is_done(self, counts: Tally | tuple[int, int]) -> bool:
        """Whether no more draws are needed; counts: a Tally or (draws, passes), overshoot allowed."""
        draws, passes = _counts(counts)
        return draws >= self.cap or (draws >= self.floor and passes >= self.r)

    def next_draws(self, *, draws: int, passes: int, wave: int) -> int:
        """How many more draws to ask for now: 0 when done, at most `wave`, never beyond the cap.

        The floor comes first, in full. Then: the draws that the missing passes are expected to need,
        (r - passes) / p, with p at the upper quartile of its posterior (Jeffreys' prior), so that overshoot
        stays small; at least 32 where `wave` and the cap allow, so that engines batch well.
        """
        draws, passes = _counts((draws, passes))
        wave = whole("wave", wave, least=1)
        if self.is_done((draws, passes)):
            return 0
        if draws < self.floor:
            return min(self.floor - draws, wave)
        p = float(betaincinv(passes + 0.5, draws - passes + 0.5, CAUTION))
        wanted = max(math.ceil((self.r - passes) / p), LEAST_WAVE)
        return min(wanted, wave, self.cap - draws)

    def settle(self, bits: Iterable[Any]) -> Tally:
        """The tally of all outcomes so far, in draw order, cut at the stop; unfinished before it."""
        return Tally.from_bits(bits, r=self.r, floor=self.floor, cap=self.cap)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `rule_from_dict` reads them back."""
        return {"kind": "until_passes", "r": self.r, "floor": self.floor, "cap": self.cap}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> UntilPasses:
        """The rule that `to_dict` described."""
        values = _known(data, "until_passes", ("r", "floor", "cap"))
        if "r" not in values:
            raise PassUntilError(f"the rule {dict(data)!r} lacks 'r'")
        return cls(**values)


@dataclass(frozen=True, slots=True)
class FixedDraws:
    """Draw `n` times, whatever passes (n >= 1). The cheapest rule for a mean over instances.

    >>> FixedDraws(1600).next_draws(draws=1500, passes=3, wave=512)
    100
    """

    n: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", whole("n", self.n, least=1))

    def is_done(self, counts: Tally | tuple[int, int]) -> bool:
        """Whether the n draws are made; counts: a Tally or (draws, passes)."""
        return _counts(counts)[0] >= self.n

    def next_draws(self, *, draws: int, passes: int, wave: int) -> int:
        """How many more draws to ask for now: what is left of the n, at most `wave`."""
        draws, _ = _counts((draws, passes))
        return min(max(self.n - draws, 0), whole("wave", wave, least=1))

    def settle(self, bits: Iterable[Any]) -> Tally:
        """The tally of the first n outcomes; unfinished if there are fewer."""
        return Tally.from_bits(bits, cap=self.n)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `rule_from_dict` reads them back."""
        return {"kind": "fixed_draws", "n": self.n}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FixedDraws:
        """The rule that `to_dict` described."""
        values = _known(data, "fixed_draws", ("n",))
        if "n" not in values:
            raise PassUntilError(f"the rule {dict(data)!r} lacks 'n'")
        return cls(**values)


def rule_from_dict(data: Mapping[str, Any]) -> UntilPasses | FixedDraws:
    """The rule that a `to_dict` described; PassUntilError for an unknown kind, key or value.

    >>> rule_from_dict({"kind": "until_passes", "r": 5, "cap": 1000})
    UntilPasses(r=5, floor=0, cap=1000)
    """
    kind = data.get("kind") if isinstance(data, Mapping) else None
    if kind == "until_passes":
        return UntilPasses.from_dict(data)
    if kind == "fixed_draws":
        return FixedDraws.from_dict(data)
    raise PassUntilError(f"unknown stopping rule {data!r}; its kind must be 'until_passes' or 'fixed_draws'")


def _known(data: Mapping[str, Any], kind: str, names: tuple[str, ...]) -> dict[str, Any]:
    """The values of `data` without its kind, which has to be `kind`; a key that no rule knows is refused."""
    if not isinstance(data, Mapping):
        raise PassUntilError(f"a rule is described by a mapping, not {data!r:.60}")
    if data.get("kind", kind) != kind:
        raise PassUntilError(f"the rule is of kind {data['kind']!r}, not {kind!r}; use rule_from_dict")
    unknown = sorted(str(key) for key in set(data) - {"kind", *names})
    if unknown:
        raise PassUntilError(f"the rule {kind!r} has no {', '.join(unknown)}; it takes {', '.join(names)}")
    return {key: value for key, value in data.items() if key != "kind"}


def _counts(counts: Tally | tuple[int, int]) -> tuple[int, int]:
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
