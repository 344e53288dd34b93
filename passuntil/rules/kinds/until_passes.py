"""Draw until the r-th pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from passuntil._arrays import Floats, Ints
from passuntil._checks import whole
from passuntil.errors import PassUntilError
from passuntil.rules._counts import Counts, not_less, pair
from passuntil.rules._planning import assemble, beliefs
from passuntil.rules.instance_rule import InstanceRule
from passuntil.rules.needed import draws_needed
from passuntil.rules.planning import Plan, expected_draws, reach_probability
from passuntil.rules.prior import BetaPrior
from passuntil.rules.setting import CAP, FLOOR, Setting, flag


def _passes(name: str, value: Any) -> int:
    """A number of passes that ends a run: 2 or more."""
    r = whole(name, value)
    if r < 2:
        raise PassUntilError(
            f"{name} must be at least 2, not {r}: for {name} = 1 no unbiased estimate is of use; take {name} >= 2"
        )
    return r


@dataclass(frozen=True, slots=True)
class UntilPasses(InstanceRule):
    """Draw at least `floor`, then until the r-th pass, at most `cap` draws.

    A floor gives frequent passers their share of draws, so that a mean over instances is not left to a few draws
    each.

    Parameters
    ----------
    r : int
        Passes of each instance, at least 2: for r = 1 the only unbiased estimate is "did the first draw pass".
    floor : int, optional
        Fewest draws of each instance.
    cap : int, optional
        Most draws of each instance, at least `floor` and `r`; the paper's is 10^5.
    extended : bool, optional
        Whether the run was made longer after its draws were looked at; see `extend_to`.

    Raises
    ------
    PassUntilError
        For r below 2, a cap below the floor or below r, and anything but whole numbers.

    References
    ----------
    .. [1] Hu et al., "Predicting Emergent Abilities with Infinite Resolution Evaluation", arXiv 2310.03262,
       section 3.

    Examples
    --------
    >>> rule = UntilPasses(r=5, floor=64, cap=10_000)
    >>> rule.is_done((64, 1)), rule.is_done((64, 5)), rule.words()
    (False, True, 'until 5 passes of each instance, at least 64 and at most 10,000 draws')

    Its plan is exact at each p, averaged over the prior or the posterior:

    >>> rule = UntilPasses(r=5, cap=10_000)
    >>> plan = rule.plan(BetaPrior(20, 1980), instances=100, tokens_per_draw=200, tokens_per_second=4000)
    >>> round(plan.draws, -2), round(plan.hours, 2)
    (52600.0, 0.73)
    """

    kind: ClassVar[str] = "until_passes"
    title: ClassVar[str] = "Each instance has passed r times"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(
            name="r",
            type="whole",
            label="Passes r",
            meaning="Each instance is drawn until it has passed r times. More passes give narrower intervals.",
            check=_passes,
            start=5,
            offered=(2, 1000),
            option="--passes",
            metavar="R",
        ),
        FLOOR,
        CAP,
    )

    r: int
    floor: int = 0
    cap: int = 10**5
    extended: bool = False

    def __post_init__(self) -> None:
        self._check_settings()
        self._check_cap()

    def _check_cap(self) -> None:
        if self.cap < self.floor:
            raise PassUntilError(
                f"cap ({self.cap}) is below floor ({self.floor}); raise the cap or lower the floor"
            )
        if self.cap < self.r:
            raise PassUntilError(
                f"cap ({self.cap}) is below r ({self.r}): r passes could never come; raise the cap"
            )

    def _design(self) -> dict[str, Any]:
        return {"r": self.r, "floor": self.floor, "cap": self.cap, "extended": self.extended}

    @property
    def bounds(self) -> tuple[int, int]:
        return max(self.floor, self.r), self.cap

    def is_done(self, counts: Counts) -> bool:
        draws, passes = pair(counts)
        return draws >= self.cap or (draws >= self.floor and passes >= self.r)

    def draws_needed(self, draws: ArrayLike, passes: ArrayLike, *, level: ArrayLike) -> Ints:
        return draws_needed(draws, passes, r=self.r, floor=self.floor, cap=self.cap, level=level)

    def expected_left(self, draws: ArrayLike, passes: ArrayLike) -> Floats:
        n, s = np.asarray(draws, np.float64), np.asarray(passes, np.float64)
        wanted = np.maximum(self.r - s, 0.0) * (n + 1.0) / (s + 0.5)
        return np.maximum(np.maximum(np.minimum(wanted, self.cap - n), self.floor - n), 0.0)

    def words(self) -> str:
        return (
            f"until {self.r} passes of each instance, at least {self.floor:,} and at most {self.cap:,} draws"
        )

    def plan(
        self,
        prior: BetaPrior | None = None,
        *,
        pilot: Iterable[Counts] | None = None,
        instances: int | None = None,
        tokens_per_draw: float | None = None,
        tokens_per_second: float | None = None,
    ) -> Plan:
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
        """Return the rule with more of r, floor or cap: a run goes on from where it is and keeps all its draws.

        Parameters
        ----------
        r, floor, cap : int, optional
            No smaller than before; as before if left out.
        looked : bool, optional
            Whether the draws were seen by whoever decided: True unless the extension was laid down beforehand.

        Returns
        -------
        UntilPasses
            The longer rule. Extended after a look it is no fixed design: its tallies then have the confidence
            sequence as their interval, which holds whatever the extension was made for, and no estimate of theirs
            is free of bias.

        Raises
        ------
        PassUntilError
            Where a number falls.

        Examples
        --------
        >>> UntilPasses(r=2, cap=1000).extend_to(r=5, cap=10_000)
        UntilPasses(r=5, floor=0, cap=10000, extended=True)
        """
        return UntilPasses(
            r=self.r if r is None else not_less("r", r, self.r),
            floor=self.floor if floor is None else not_less("floor", floor, self.floor),
            cap=self.cap if cap is None else not_less("cap", cap, self.cap),
            extended=self.extended or flag("looked", looked),
        )
