"""Draw so that the mean over all instances gets the precision asked for, with as few draws as that takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from passuntil._arrays import Floats, Ints
from passuntil._checks import confidence, positive, real, whole
from passuntil.counts.tally import Tally
from passuntil.errors import PassUntilError
from passuntil.rules._adaptive import AdaptiveEstimate, summarise
from passuntil.rules._base import flag, known, pair
from passuntil.rules._rounds import EXPLORE, LEAST, Aim, Step, beliefs_about, next_step, unreachable
from passuntil.rules.allocation import Allocation, Rounds, neyman, outcome_arrays
from passuntil.rules.fixed import FixedDraws
from passuntil.rules.planning import BetaPrior, Plan, assemble, beliefs


@dataclass(frozen=True, slots=True, init=False)
class DatasetPrecision(FixedDraws):
    """Draw until the mean over instances has the standard error `target`, from draws, at the least cost.

    target: the standard error of the mean of these instances, above 0; with relative=True a share of the
    mean, such as 0.02. What the choice of instances adds no draw can remove (`AdaptiveEstimate.se`).
    pilot: draws of every instance in the first round (at least 2). The pilot only plans and has no weight in
    the estimate, so keep it small beside what the target needs. cap: most draws of one instance; also
    `n`. like: (draws, passes) or a tally of every instance, in the run's order, at a model that is expected
    to be like this one, such as the next smaller one of its series. The first round is then planned from
    those instead of a pilot and counts in the estimate, which stays unbiased whatever `like` says; how much
    it says is learnt on the way. extended: as in `UntilPasses`.

    The rule looks at all instances of a run together: `allocate` says what to draw of each, a round at a
    time, and the estimate is `estimate` (see `passuntil.rules.allocation` for why s / n is not). Asked about one
    instance alone (`next_draws`, `is_done`), it knows of the pilot only.

    >>> rule = DatasetPrecision(0.001, pilot=64)
    >>> rule.allocate(Rounds.none(3), wave=48).draws.tolist()
    [48, 48, 48]
    """

    target: float = 0.001
    relative: bool = False
    pilot: int = 32
    like: tuple[tuple[int, int], ...] = ()

    def __init__(
        self,
        target: float,
        *,
        relative: bool = False,
        pilot: int = 32,
        cap: int = 10**5,
        like: Iterable[Tally | tuple[int, int]] = (),
        extended: bool = False,
    ) -> None:
        object.__setattr__(self, "target", positive("target", target, most=1.0))
        object.__setattr__(self, "relative", flag("relative", relative))
        object.__setattr__(self, "pilot", whole("pilot", pilot, least=LEAST))
        object.__setattr__(self, "n", whole("cap", cap, least=1))
        object.__setattr__(self, "like", tuple(pair(counts) for counts in like))
        if self.like and not any(draws for draws, _ in self.like):
            raise PassUntilError("like has no draws; leave it out, and a pilot is drawn")
        object.__setattr__(self, "extended", flag("extended", extended))
        if self.n < self.pilot + LEAST:
            raise PassUntilError(
                f"cap ({self.n}) leaves no draws beyond the pilot ({self.pilot}); "
                "raise the cap or lower the pilot"
            )

    @property
    def cap(self) -> int:
        """Most draws of one instance."""
        return self.n

    @property
    def _least(self) -> int:
        """Draws that every instance gets whatever comes."""
        return LEAST if self.like else self.pilot

    # --- all instances together ---

    def allocate(self, counts: Rounds, *, wave: int, costs: ArrayLike | None = None) -> Allocation:
        """What to draw of each instance now. A function of the counts (and costs) alone.

        counts: what was drawn, round by round; `Rounds.none(m)` to begin with. wave: the most draws of one
        instance in one answer. costs: shape (m,), above 0, of one draw of each (tokens, seconds); the same
        in every call of a run, or the rounds cannot be told apart. Raises PassUntilError where the counts
        hold more than this rule asked for: use `rounds_of`, which cuts overshoot off.
        """
        wave = whole("wave", wave, least=1)
        cost = self._costs(costs, counts.draws.shape[1])
        closed, steps = self._replay(counts, cost)
        step = steps[-1]
        if len(closed) == len(steps):
            return self._answer(step, np.zeros_like(step.target), done=True)
        # `counts` may end with the last closed round; then the open one has not begun.
        made = counts.draws[len(closed)] if counts.draws.shape[0] > len(closed) else 0 * step.target
        return self._answer(step, np.minimum(step.target - made, wave), done=False)

    def rounds_of(self, outcomes: Iterable[Any], *, costs: ArrayLike | None = None) -> Rounds:
        """Outcomes in draw order of every instance, cut into rounds as this rule would have asked for them.

        outcomes: for each instance a sequence of 0 and 1. Draws beyond the round that is open wait for
        theirs and are not looked at, so it does not matter how far ahead an engine ran.
        """
        cumulated = outcome_arrays(outcomes)
        if not cumulated:
            raise PassUntilError("no instances were given; an allocation needs at least one")
        m = len(cumulated)
        cost, have = self._costs(costs, m), np.array([c.size - 1 for c in cumulated])
        draws: list[Ints] = []
        passes: list[Ints] = []
        begin = np.zeros(m, dtype=np.int64)
        steps: list[Step] = []
        while not steps or not steps[-1].last:
            steps.append(self._next(draws, passes, steps, cost))
            end = np.minimum(begin + steps[-1].target, have)
            draws.append(end - begin)
            passes.append(np.array([c[j] - c[i] for c, i, j in zip(cumulated, begin, end, strict=True)]))
            if (draws[-1] < steps[-1].target).any():
                break
            begin = end
        return Rounds(np.array(draws), np.array(passes))

    def estimate(
        self, counts: Rounds, *, level: float = 0.95, costs: ArrayLike | None = None
    ) -> AdaptiveEstimate:
        """The mean over instances, and what is known of its error. Unbiased when the run is done.

        Before that the weights of the rounds so far are scaled up and everything is provisional. Raises
        PassUntilError where an instance has not a single draw.
        """
        level = confidence(level)
        cost = self._costs(costs, counts.draws.shape[1])
        closed, steps = self._replay(counts, cost)
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

    # --- how the rounds are planned ---

    def _replay(self, counts: Rounds, cost: Floats) -> tuple[list[int], list[Step]]:
        """(the closed rounds' numbers, the steps planned: one more than closed while the run goes on)."""
        steps: list[Step] = []
        closed: list[int] = []
        for t in range(counts.draws.shape[0]):
            if steps and steps[-1].last:
                if counts.draws[t].any():
                    raise PassUntilError(f"round {t} was drawn after the last one ({t - 1}); use rounds_of")
                break
            steps.append(self._next(counts.draws[:t], counts.passes[:t], steps, cost))
            over = counts.draws[t] - steps[-1].target
            if (over > 0).any():
                i = int(np.argmax(over))
                raise PassUntilError(
                    f"round {t} has {counts.draws[t][i]} draws of instance {i}, and {steps[-1].target[i]} "
                    "were asked for; cut the overshoot off with rounds_of"
                )
            if (over < 0).any():
                if counts.draws[t + 1 :].any():
                    raise PassUntilError(f"round {t} is open, and round {t + 1} was drawn; use rounds_of")
                return closed, steps
            closed.append(t)
        if not steps[-1].last:
            steps.append(self._next(counts.draws[: len(closed)], counts.passes[: len(closed)], steps, cost))
        return closed, steps

    def _next(
        self, draws: Sequence[Ints] | Ints, passes: Sequence[Ints] | Ints, steps: list[Step], cost: Floats
    ) -> Step:
        """The round after the closed ones."""
        if self.like and len(self.like) != cost.size:
            raise PassUntilError(
                f"like has counts of {len(self.like)} instances and the run has {cost.size}; give those of the "
                "same instances, (0, 0) where there are none"
            )
        aim = Aim(self.target, self.relative, self.pilot, self.n, self.like)
        return next_step(aim, list(draws), list(passes), steps, cost)

    def _answer(self, step: Step, draws: Ints, *, done: bool) -> Allocation:
        return Allocation(
            draws.astype(np.int64),
            step.number,
            step.target,
            step.weight,
            step.last,
            done,
            not step.note,
            step.note,
        )

    def _costs(self, costs: ArrayLike | None, m: int) -> Floats:
        """Costs of one draw, shape (m,), checked."""
        if costs is None:
            return np.ones(m)
        try:
            cost = np.asarray(costs, dtype=np.float64)
        except (TypeError, ValueError):
            raise PassUntilError(f"costs must be numbers, not {costs!r:.60}") from None
        if cost.shape != (m,):
            raise PassUntilError(
                f"costs must have one entry for each of {m} instances, not shape {cost.shape}"
            )
        if not (np.isfinite(cost) & (cost > 0)).all():
            bad = cost[~(np.isfinite(cost) & (cost > 0))][0]
            raise PassUntilError(f"every cost must be above 0 and finite, not {bad:g}")
        return cost

    # --- one instance alone ---

    def is_done(self, counts: Tally | tuple[int, int]) -> bool:
        """Whether the pilot is made, which is all that one instance alone can tell."""
        return pair(counts)[0] >= self._least

    def next_draws(self, *, draws: int, passes: int, wave: int) -> int:
        """What is left of the pilot, at most `wave`; beyond it ask `allocate`."""
        draws, _ = pair((draws, passes))
        return min(max(self._least - draws, 0), whole("wave", wave, least=1))

    def settle(self, bits: Iterable[Any]) -> Tally:
        """All outcomes as a tally. How many there are depended on them, so its interval is the sequence."""
        return Tally.from_bits(bits, floor=self._least, extended=True)

    # --- what it will cost ---

    def plan(
        self,
        prior: BetaPrior | None = None,
        *,
        pilot: Iterable[Tally | tuple[int, int]] | None = None,
        instances: int | None = None,
        tokens_per_draw: float | None = None,
        tokens_per_second: float | None = None,
    ) -> Plan:
        """Expected draws, tokens and hours; from a pilot's counts, a prior and how many instances, or `like`.

        The draws are the pilot's and those of the optimal allocation with its exploration, were every
        instance as the belief says on average. What it costs to learn the allocation on the way comes on top:
        up to a half more where most instances pass rarely. `reachable` is False, and `note` says what can be
        had, where the cap stands against the target.

        >>> rule = DatasetPrecision(0.02, relative=True)
        >>> plan = rule.plan(BetaPrior.of_mean(0.02), instances=164)
        >>> plan.reachable, plan.draws < 164 * 1500
        (True, True)
        """
        if pilot is None and prior is None and self.like:
            nothing = np.zeros(len(self.like), dtype=np.int64)
            p, v, _ = beliefs_about(nothing, nothing, self.like)
            mean, m, n, passed = float(p.mean()), nothing.size, nothing.astype(np.float64), nothing + 1
        elif pilot is None and prior is not None:
            m = whole("instances", 1 if instances is None else instances, least=1)
            # Representative instances: the prior's quantiles.
            p, weight = prior.spread()
            edges = np.concatenate([[0.0], np.cumsum(weight)])
            place = (np.arange(m) + 0.5) / m
            p = np.interp(place, 0.5 * (edges[1:] + edges[:-1]), p)
            v, mean = p * (1.0 - p), prior.a / (prior.a + prior.b)
            n, passed = np.zeros(m), np.ones(m, dtype=np.int64)
        else:
            each, counted, passed = beliefs(prior, pilot, instances)
            a, b = np.array([belief.a for belief in each]), np.array([belief.b for belief in each])
            v, mean = a * b / ((a + b) * (a + b + 1.0)), float((a / (a + b)).mean())
            n, m = counted.astype(np.float64), counted.size
        target = self.target * mean if self.relative else self.target
        begun = np.maximum(n, float(self._least))
        allowed = (target * m) ** 2
        room = np.maximum(self.n - self._least, 0.0) * np.ones(m)
        wanted, _ = neyman(v, allowed, least=float(LEAST), most=room)
        wanted, met = neyman(v, allowed, least=max(LEAST, EXPLORE * wanted.mean()), most=room)
        note = "" if met else unreachable(v, room, 0.0, target, self.n)
        if met and wanted.sum() < self._least * m:
            note = (
                f"the pilot ({self.pilot} draws an instance) is more than the target needs; lower the pilot"
            )
        if passed.sum() == 0 and pilot is not None:
            note = "the pilot has no pass: the mean is unknown, and these draws are a guess; " + note
        return assemble(
            np.maximum(self._least + wanted, begun),
            float(met),
            tokens_per_draw=tokens_per_draw,
            tokens_per_second=tokens_per_second,
            reachable=met,
            note=note,
        )

    def extend_to(  # type: ignore[override]  # a target is what grows here, not n
        self, *, target: float | None = None, cap: int | None = None, looked: bool = True
    ) -> DatasetPrecision:
        """The rule with a smaller target or a larger cap; all draws are kept.

        The rounds are planned anew from the first on, and draws made beyond a round go to the later ones, so
        `rounds_of` over all outcomes keeps everything. looked: as in `UntilPasses.extend_to`; use
        `AdaptiveEstimate.sequence` after a look.
        """
        wanted = self.target if target is None else real("target", target)
        if wanted > self.target:
            raise PassUntilError(
                f"target ({wanted:g}) is above the rule's {self.target:g}; an extension only adds draws"
            )
        most = self.n if cap is None else whole("cap", cap)
        if most < self.n:
            raise PassUntilError(f"cap ({most}) is below the rule's {self.n}; an extension only adds draws")
        return DatasetPrecision(
            wanted,
            relative=self.relative,
            pilot=self.pilot,
            cap=most,
            like=self.like,
            extended=self.extended or flag("looked", looked),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `rule_from_dict` reads them back."""
        values = {"target": self.target, "relative": self.relative, "pilot": self.pilot, "cap": self.n}
        like = {"like": [list(counts) for counts in self.like]} if self.like else {}
        extended = {"extended": True} if self.extended else {}
        return {"kind": "dataset_precision", **values, **like, **extended}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DatasetPrecision:
        """The rule that `to_dict` described."""
        names = ("target", "relative", "pilot", "cap", "like", "extended")
        return cls(**known(data, "dataset_precision", names, "target"))
