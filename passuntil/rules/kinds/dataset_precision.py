"""Draw so that the mean over all instances gets the precision asked for, with as few draws as that takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from passuntil._checks import confidence, positive, real, whole
from passuntil.errors import PassUntilError
from passuntil.rules._counts import Counts, not_less, pair
from passuntil.rules._dataset_plan import dataset_plan
from passuntil.rules._replay import answer, checked_costs, cut, replay
from passuntil.rules._rounds import LEAST, Aim
from passuntil.rules.adaptive import AdaptiveEstimate, summarise
from passuntil.rules.allocation import Allocation, Rounds
from passuntil.rules.instance_rule import InstanceRule
from passuntil.rules.kinds.fixed_draws import FixedDraws
from passuntil.rules.planning import Plan
from passuntil.rules.prior import BetaPrior
from passuntil.rules.run_rule import RunRule
from passuntil.rules.setting import CAP, MOST_OFFERED, Setting, flag


def _read_target(text: str) -> dict[str, Any]:
    """A standard error such as 0.001, or a share of the mean such as 2%."""
    share = text.endswith("%")
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        raise PassUntilError(
            f"expected a number such as 0.001, or a share of the mean such as 2%, not {text!r}"
        ) from None
    return {"target": value / 100 if share else value, "relative": share}


@dataclass(frozen=True, slots=True, init=False)
class DatasetPrecision(RunRule):
    """Draw until the mean over instances has the standard error `target`, from draws, at the least cost.

    The rule looks at all instances of a run together: `allocate` says what to draw of each, a round at a time, and
    the estimate is `estimate` (see `passuntil.rules.allocation` for why s / n is not).

    Parameters
    ----------
    target : float
        The standard error of the mean of these instances, in (0, 1]; with `relative` a share of the mean, such as
        0.02. What the choice of instances adds no draw can remove (`AdaptiveEstimate.se`).
    relative : bool, optional
        Whether the target is a share of the mean.
    pilot : int, optional
        Draws of every instance in the first round, at least 2. The pilot only plans and has no weight in the
        estimate, so keep it small beside what the target needs.
    cap : int, optional
        Most draws of one instance, at least the pilot and 2.
    like : iterable of Tally or (draws, passes), optional
        Counts of every instance, in the run's order, at a model that is expected to be like this one, such as the
        next smaller one of its series. The first round is then planned from those instead of a pilot and counts in
        the estimate, which stays unbiased whatever `like` says; how much it says is learnt on the way.
    extended : bool, optional
        As in `UntilPasses`.

    Raises
    ------
    PassUntilError
        For a number that cannot be, and a cap that leaves no draws beyond the pilot.

    Notes
    -----
    A plan's draws are the pilot's and those of the optimal allocation with its exploration, were every instance as
    the belief says on average. What it costs to learn the allocation on the way comes on top: up to a half more
    where most instances pass rarely. The plan's `reachable` is False, and its `note` says what can be had, where
    the cap stands against the target.

    Examples
    --------
    >>> rule = DatasetPrecision(0.001, pilot=64)
    >>> rule.allocate(Rounds.none(3), wave=48).draws.tolist()
    [48, 48, 48]
    >>> plan = DatasetPrecision(0.02, relative=True).plan(BetaPrior.of_mean(0.02), instances=164)
    >>> plan.reachable, plan.draws < 164 * 1500
    (True, True)
    """

    kind: ClassVar[str] = "dataset_precision"
    title: ClassVar[str] = "The mean over all instances is precise"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(
            name="target",
            type="real",
            label="Standard error of the mean",
            meaning=(
                "The standard error of the mean over instances, as far as it comes from drawing. More draws cannot "
                "reduce the part that comes from the choice of instances."
            ),
            check=partial(positive, most=1.0),
            start=0.02,
            offered=(1e-9, 1.0),
            option="--target",
            metavar="SE",
            read=_read_target,
        ),
        Setting(
            name="relative",
            type="flag",
            label="as a share of the mean",
            meaning="Whether the standard error is given as a share of the mean.",
            check=flag,
            start=True,
        ),
        Setting(
            name="pilot",
            type="whole",
            label="Pilot",
            meaning="Draws of each instance in the first round, which is used only for planning.",
            check=partial(whole, least=LEAST),
            start=32,
            offered=(LEAST, MOST_OFFERED),
            option="--pilot",
            metavar="DRAWS",
        ),
        CAP,
    )
    _further: ClassVar[tuple[str, ...]] = ("like", "extended")

    target: float
    relative: bool = False
    pilot: int = 32
    cap: int = 10**5
    like: tuple[tuple[int, int], ...] = ()
    extended: bool = False

    def __init__(
        self,
        target: float,
        *,
        relative: bool = False,
        pilot: int = 32,
        cap: int = 10**5,
        like: Iterable[Counts] = (),
        extended: bool = False,
    ) -> None:
        values = {"target": target, "relative": relative, "pilot": pilot, "cap": cap, "extended": extended}
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check_settings()
        object.__setattr__(self, "like", tuple(pair(counts) for counts in like))
        if self.like and not any(draws for draws, _ in self.like):
            raise PassUntilError("like has no draws; leave it out, and a pilot is drawn")
        if self.cap < self.pilot + LEAST:
            raise PassUntilError(
                f"cap ({self.cap}) leaves no draws beyond the pilot ({self.pilot}); "
                "raise the cap or lower the pilot"
            )

    def to_dict(self) -> dict[str, Any]:
        plain = RunRule.to_dict(self)
        return plain | ({"like": [list(counts) for counts in self.like]} if self.like else {})

    @property
    def _least(self) -> int:
        """Draws that every instance gets whatever comes."""
        return LEAST if self.like else self.pilot

    @property
    def _aim(self) -> Aim:
        return Aim(self.target, self.relative, self.pilot, self.cap, self.like)

    # --- one instance: how many draws it gets depends on all of them, so its interval is the sequence ---

    def _design(self) -> dict[str, Any]:
        return {"floor": self._least, "extended": True}

    @property
    def bounds(self) -> tuple[int, int]:
        return self._least, self.cap

    # --- all instances together ---

    @property
    def first_allotment(self) -> int:
        return self._least

    def for_unit(self, allotted: int | None) -> InstanceRule:
        return FixedDraws(self._least if allotted is None else allotted)

    def unit_rules(self, outcomes: Sequence[Sequence[bool]]) -> list[InstanceRule | None]:
        more = self.allocate(self.rounds_of(outcomes), wave=self.cap).draws.tolist()
        return [FixedDraws(len(bits) + n) if n else None for bits, n in zip(outcomes, more, strict=True)]

    def allocate(self, counts: Rounds, *, wave: int, costs: ArrayLike | None = None) -> Allocation:
        wave = whole("wave", wave, least=1)
        closed, steps = replay(self._aim, counts, checked_costs(costs, counts.draws.shape[1]))
        step = steps[-1]
        if len(closed) == len(steps):
            return answer(step, np.zeros_like(step.target), done=True)
        # `counts` may end with the last closed round; then the open one has not begun.
        begun = counts.draws[len(closed)] if counts.draws.shape[0] > len(closed) else 0 * step.target
        return answer(step, np.minimum(step.target - begun, wave), done=False)

    def rounds_of(self, outcomes: Iterable[Any], *, costs: ArrayLike | None = None) -> Rounds:
        return cut(self._aim, outcomes, costs)

    def estimate(
        self, counts: Rounds, *, level: float = 0.95, costs: ArrayLike | None = None
    ) -> AdaptiveEstimate:
        level = confidence(level)
        closed, steps = replay(self._aim, counts, checked_costs(costs, counts.draws.shape[1]))
        if not closed:
            raise PassUntilError("the pilot is not complete: no estimate yet; draw what allocate asks for")
        weights = np.array([step.weight for step in steps[: len(closed)]])
        return summarise(
            counts.first(len(closed)),
            weights,
            target=self.target,
            relative=self.relative,
            done=len(closed) == len(steps),
            level=level,
        )

    # --- for people ---

    def words(self) -> str:
        target = f"{self.target:.2%} of itself" if self.relative else f"{self.target:g}"
        return (
            f"until the mean's standard error from draws is {target}, {self.pilot:,} draws of each instance first "
            f"and at most {self.cap:,}"
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
        return dataset_plan(
            self._aim,
            self._least,
            prior=prior,
            pilot=pilot,
            instances=instances,
            tokens_per_draw=tokens_per_draw,
            tokens_per_second=tokens_per_second,
        )

    def extend_to(
        self, *, target: float | None = None, cap: int | None = None, looked: bool = True
    ) -> DatasetPrecision:
        """Return the rule with a smaller target or a larger cap; all draws are kept.

        The rounds are planned anew from the first on, and draws made beyond a round go to the later ones, so
        `rounds_of` over all outcomes keeps everything.

        Parameters
        ----------
        target : float, optional
            No larger than before.
        cap : int, optional
            No smaller than before.
        looked : bool, optional
            As in `UntilPasses.extend_to`; use `AdaptiveEstimate.sequence` after a look.

        Returns
        -------
        DatasetPrecision
            The longer rule.

        Raises
        ------
        PassUntilError
            Where it would take draws back.
        """
        wanted = self.target if target is None else real("target", target)
        if wanted > self.target:
            raise PassUntilError(
                f"target ({wanted:g}) is above the rule's {self.target:g}; an extension only adds draws"
            )
        return DatasetPrecision(
            wanted,
            relative=self.relative,
            pilot=self.pilot,
            cap=self.cap if cap is None else not_less("cap", cap, self.cap),
            like=self.like,
            extended=self.extended or flag("looked", looked),
        )
