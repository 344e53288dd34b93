"""Draw until the r-th pass; and with r chosen for a relative error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv

from passuntil._arrays import Ints
from passuntil._checks import confidence, whole
from passuntil.counts.gbas import passes_needed, relative_error
from passuntil.counts.tally import Tally
from passuntil.errors import PassUntilError
from passuntil.rules._base import CAUTION, LEAST_WAVE, flag, known, not_less, pair, plain
from passuntil.rules.needed import draws_needed
from passuntil.rules.planning import (
    BetaPrior,
    Plan,
    assemble,
    beliefs,
    expected_draws,
    reach_probability,
)


@dataclass(frozen=True, slots=True)
class UntilPasses:
    """Draw at least `floor`, then until the r-th pass, at most `cap` draws (PassUntil, arXiv 2310.03262).

    r >= 2: for r = 1 the only unbiased estimate is "did the first draw pass". The paper's cap is 10^5; a
    floor gives frequent passers their share of draws, so that a mean over instances is not left to a few
    draws each. extended: the run was made longer after its draws were looked at (see `extend_to`). Raises
    PassUntilError for r below 2, a cap below the floor or below r, and anything but whole numbers.

    >>> rule = UntilPasses(r=5, floor=64, cap=10_000)
    >>> rule.next_draws(draws=0, passes=0, wave=512), rule.next_draws(draws=64, passes=1, wave=512)
    (64, 127)
    """

    r: int
    floor: int = 0
    cap: int = 10**5
    extended: bool = False

    def __post_init__(self) -> None:
        for name, least in (("r", 0), ("floor", 0), ("cap", 1)):
            object.__setattr__(self, name, whole(name, getattr(self, name), least=least))
        flag("extended", self.extended)
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
        draws, passes = pair(counts)
        return draws >= self.cap or (draws >= self.floor and passes >= self.r)

    def next_draws(self, *, draws: int, passes: int, wave: int) -> int:
        """How many more draws to ask for now: 0 when done, at most `wave`, never beyond the cap.

        The floor comes first, in full. Then: the draws that the missing passes are expected to need,
        (r - passes) / p, with p at the upper quartile of its posterior (Jeffreys' prior), so that overshoot
        stays small; at least 32 where `wave` and the cap allow, so that engines batch well.
        """
        draws, passes = pair((draws, passes))
        wave = whole("wave", wave, least=1)
        if self.is_done((draws, passes)):
            return 0
        if draws < self.floor:
            return min(self.floor - draws, wave)
        p = float(betaincinv(passes + 0.5, draws - passes + 0.5, CAUTION))
        wanted = max(math.ceil((self.r - passes) / p), LEAST_WAVE)
        return min(wanted, wave, self.cap - draws)

    def draws_needed(self, draws: ArrayLike, passes: ArrayLike, *, level: ArrayLike) -> Ints:
        """How many of the next draws are each needed with probability `level`: `passuntil.rules.needed`."""
        return draws_needed(draws, passes, r=self.r, floor=self.floor, cap=self.cap, level=level)

    def settle(self, bits: Iterable[Any]) -> Tally:
        """The tally of all outcomes so far, in draw order, cut at the stop; unfinished before it."""
        return Tally.from_bits(bits, r=self.r, floor=self.floor, cap=self.cap, extended=self.extended)

    def plan(
        self,
        prior: BetaPrior | None = None,
        *,
        pilot: Iterable[Tally | tuple[int, int]] | None = None,
        instances: int | None = None,
        tokens_per_draw: float | None = None,
        tokens_per_second: float | None = None,
    ) -> Plan:
        """Expected draws, tokens and hours; exact at each p, averaged over the prior or the posterior.

        prior: how the instances' p spread; with `instances` (1 if left out). pilot: counts of each instance,
        in draw order under this rule; without a prior one is fitted to them. The draws that the pilot made
        count in the plan. tokens_per_draw, tokens_per_second: above 0.

        >>> rule = UntilPasses(r=5, cap=10_000)
        >>> plan = rule.plan(BetaPrior(20, 1980), instances=100, tokens_per_draw=200, tokens_per_second=4000)
        >>> round(plan.draws, -2), round(plan.hours, 2)
        (52600.0, 0.73)
        """
        known_so_far, draws, passes = beliefs(prior, pilot, instances)
        memory: dict[tuple[BetaPrior, int, int], tuple[float, float]] = {}
        rows = []
        for belief, n, s in zip(known_so_far, draws.tolist(), passes.tolist(), strict=True):
            key = (belief, n, s)
            if key not in memory:
                memory[key] = self._expected(belief, n, s)
            rows.append(memory[key])
        each, reached = np.array(rows).T
        note = ""
        if reached.mean() < 0.5:
            note = (
                f"{1 - reached.mean():.0%} of the instances are expected to meet the cap ({self.cap}) before "
                f"r = {self.r} passes: they cost most of the draws, and give an upper bound"
            )
        return assemble(
            each,
            float(reached.mean()),
            tokens_per_draw=tokens_per_draw,
            tokens_per_second=tokens_per_second,
            note=note,
        )

    def _expected(self, belief: BetaPrior, n: int, s: int) -> tuple[float, float]:
        """(expected draws in all, probability of r passes), given n draws and s passes so far."""
        if self.is_done((n, s)):
            return float(n), float(s >= self.r)
        p, weight = belief.spread()
        wanted, room, floor = self.r - s, self.cap - n, max(self.floor - n, 0)
        if wanted <= 0:
            return float(n + floor), 1.0
        more = expected_draws(p, r=wanted, floor=floor, cap=room)
        return n + float(weight @ more), float(weight @ reach_probability(p, r=wanted, cap=room))

    def extend_to(
        self, *, r: int | None = None, floor: int | None = None, cap: int | None = None, looked: bool = True
    ) -> UntilPasses:
        """The rule with more of r, floor or cap: a run goes on from where it is and keeps all its draws.

        looked: whether the draws were seen by whoever decided (True unless the extension was laid down
        beforehand). A rule extended after a look is no fixed design: its tallies then have the confidence
        sequence as their interval, which holds whatever the extension was made for, and no estimate of
        theirs is free of bias. Raises PassUntilError where a number falls.

        >>> UntilPasses(r=2, cap=1000).extend_to(r=5, cap=10_000)
        UntilPasses(r=5, floor=0, cap=10000, extended=True)
        """
        return UntilPasses(
            r=self.r if r is None else not_less("r", r, self.r),
            floor=self.floor if floor is None else not_less("floor", floor, self.floor),
            cap=self.cap if cap is None else not_less("cap", cap, self.cap),
            extended=self.extended or flag("looked", looked),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `rule_from_dict` reads them back."""
        return plain("until_passes", {"r": self.r, "floor": self.floor, "cap": self.cap}, self.extended)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> UntilPasses:
        """The rule that `to_dict` described."""
        return cls(**known(data, "until_passes", ("r", "floor", "cap", "extended"), "r"))


@dataclass(frozen=True, slots=True, init=False)
class RelativeError(UntilPasses):
    """Draw until an instance's p is known to within a share `epsilon` of itself, or to the cap.

    It is `UntilPasses` with the r that the gamma Bernoulli approximation scheme asks for (Huber, arXiv
    1309.5413; `passuntil.counts.gbas`): 17, 97, 385 passes for 50%, 20%, 10% at level 0.95, the same at every p. The
    promise is of `gamma_estimate`, and of an instance that got its passes; at the cap there is only the
    exact interval. It spends 1 / (p epsilon^2) draws: for single rare instances, not for a dataset's mean.

    epsilon, level: in (0, 1). cap: at least r. Raises PassUntilError otherwise.

    >>> rule = RelativeError(0.2)
    >>> rule.r, rule.next_draws(draws=1000, passes=100, wave=512)
    (97, 0)
    """

    epsilon: float = 0.2
    level: float = 0.95

    def __init__(
        self, epsilon: float, level: float = 0.95, cap: int = 10**5, floor: int = 0, extended: bool = False
    ) -> None:
        object.__setattr__(self, "epsilon", relative_error("epsilon", epsilon))
        object.__setattr__(self, "level", confidence(level))
        for name, value in (("r", passes_needed(epsilon, level)), ("floor", floor), ("cap", cap)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "extended", extended)
        UntilPasses.__post_init__(self)

    def extend_to(  # type: ignore[override]  # r follows from epsilon here
        self,
        *,
        epsilon: float | None = None,
        floor: int | None = None,
        cap: int | None = None,
        looked: bool = True,
    ) -> RelativeError:
        """The rule with a smaller epsilon, a larger floor or cap; see `UntilPasses.extend_to`."""
        wanted = self.epsilon if epsilon is None else relative_error("epsilon", epsilon)
        if wanted > self.epsilon:
            raise PassUntilError(
                f"epsilon ({wanted:g}) is above the rule's {self.epsilon:g}; an extension only adds draws"
            )
        return RelativeError(
            wanted,
            self.level,
            cap=self.cap if cap is None else not_less("cap", cap, self.cap),
            floor=self.floor if floor is None else not_less("floor", floor, self.floor),
            extended=self.extended or flag("looked", looked),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `rule_from_dict` reads them back."""
        values = {"epsilon": self.epsilon, "level": self.level, "cap": self.cap, "floor": self.floor}
        return plain("relative_error", values, self.extended)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RelativeError:
        """The rule that `to_dict` described."""
        names = ("epsilon", "level", "cap", "floor", "extended")
        return cls(**known(data, "relative_error", names, "epsilon"))
