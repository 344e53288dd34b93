"""What was counted for one instance, and what it says about the pass probability."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from passuntil._checks import whole, whole_or_none
from passuntil.counts import estimates, intervals, sequences
from passuntil.counts.gbas import GammaEstimate, gamma_estimate
from passuntil.counts.intervals import Interval
from passuntil.errors import PassUntilError

Outcome = Literal["fixed", "floor", "stopped", "capped", "unfinished"]


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one instance in draw order: at least `floor` draws, then to the r-th pass, at most `cap`.

    draws: draws that count (n >= 0): the floor, K, or the cap; fewer while the run goes on. Overshoot after
    the stop does not count.
    passes: passes among them (0 <= s <= n).
    stopped_at: K, the 1-based draw of the r-th pass; None if it has not come.
    r: passes wanted; None for a fixed number of draws (then `cap`, if given, is that number).
    floor, cap: least and most draws; None for none.
    extended: how many draws there are was decided after a look at them, outside this design: no estimate is
    then free of bias, and the interval is a confidence sequence, which holds all the same.

    Whole numbers only. Raises PassUntilError where the counts contradict each other or the design.

    >>> tally = Tally(draws=37, passes=5, stopped_at=37, r=5, cap=10_000)
    >>> round(tally.estimate(), 4), round(tally.estimate(method="paper"), 4)
    (0.1111, 0.1351)
    >>> low, high = tally.interval()
    >>> round(low, 4), round(high, 4)
    (0.0454, 0.2606)
    """

    draws: int
    passes: int
    stopped_at: int | None = None
    r: int | None = None
    floor: int | None = None
    cap: int | None = None
    extended: bool = False

    def __post_init__(self) -> None:
        checked: dict[str, int | None] = {
            "draws": whole("draws", self.draws),
            "passes": whole("passes", self.passes),
            "stopped_at": whole_or_none("stopped_at", self.stopped_at, least=1),
            "r": whole_or_none("r", self.r, least=1),
            "floor": whole_or_none("floor", self.floor),
            "cap": whole_or_none("cap", self.cap, least=1),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if not isinstance(self.extended, bool):
            raise PassUntilError(f"extended must be True or False, not {self.extended!r}")
        problem = self._contradiction()
        if problem:
            raise PassUntilError(problem)

    def _contradiction(self) -> str | None:
        """What is wrong with these counts, or None."""
        n, s, k, r, floor = self.draws, self.passes, self.stopped_at, self.r, self.floor or 0
        if s > n:
            return f"passes ({s}) exceed draws ({n}); count both over the same draws"
        if self.cap is not None and self.cap < floor:
            return f"cap ({self.cap}) is below floor ({floor}); raise the cap or lower the floor"
        if self.cap is not None and n > self.cap:
            return f"draws ({n}) exceed cap ({self.cap}); count only the draws up to the cap"
        if r is None:
            return (
                None if k is None else f"stopped_at ({k}) needs r: a fixed number of draws stops at no pass"
            )
        if k is None:
            if s >= r:
                return f"{s} passes reach r ({r}) but stopped_at is missing; give the draw of the r-th pass"
            return None
        if k < r:
            return f"stopped_at ({k}) is below r ({r}): the r-th pass cannot come before draw r"
        if k > n:
            return f"stopped_at ({k}) exceeds draws ({n}); leave it out until the r-th pass has come"
        if s < r:
            return f"stopped_at is {k} but only {s} of r = {r} passes were counted; leave stopped_at out"
        if n - k < s - r:
            return f"{s} passes in {n} draws cannot be: only {n - k} draws follow pass r = {r} at K = {k}"
        if n > max(k, floor):
            return (
                f"draws ({n}) go on after the stop at draw {max(k, floor)}; "
                "drop the overshoot, or build the tally with Tally.from_bits"
            )
        return None

    @classmethod
    def from_bits(
        cls,
        bits: Iterable[Any] | NDArray[Any],
        *,
        r: int | None = None,
        floor: int | None = None,
        cap: int | None = None,
        extended: bool = False,
    ) -> Tally:
        """The tally of pass (1) or fail (0) outcomes, given in draw order and cut where the design stops.

        bits: shape (m,), each 0, 1, False or True. What follows the stop is overshoot and is dropped. Bits
        that end before the stop give a tally whose `finished` is False. Raises PassUntilError for other
        values and for an impossible design.

        >>> Tally.from_bits([0, 1, 0, 0, 1, 1, 0], r=2)
        Tally(draws=5, passes=2, stopped_at=5, r=2, floor=None, cap=None, extended=False)
        """
        outcomes = _as_outcomes(bits)
        r, floor, cap = (
            whole_or_none("r", r, least=1),
            whole_or_none("floor", floor),
            whole_or_none("cap", cap, least=1),
        )
        outcomes = outcomes[:cap]
        stopped_at = None
        if r is not None:
            places = np.flatnonzero(outcomes)
            if places.size >= r:
                stopped_at = int(places[r - 1]) + 1
                outcomes = outcomes[: max(stopped_at, floor or 0)]
        return cls(int(outcomes.size), int(outcomes.sum()), stopped_at, r, floor, cap, extended)

    @property
    def outcome(self) -> Outcome:
        """How the run ended: "fixed", "floor" (r passes by then), "stopped" at K, "capped", "unfinished"."""
        if self.r is None:
            planned = self.floor or 0 if self.cap is None else self.cap
            return "fixed" if self.draws >= planned else "unfinished"
        if self.stopped_at is not None and self.stopped_at > (self.floor or 0):
            return "stopped"
        if self.stopped_at is not None and self.draws == self.floor:
            return "floor"
        return "capped" if self.draws == self.cap else "unfinished"

    @property
    def finished(self) -> bool:
        """False while the design asks for more draws."""
        return self.outcome != "unfinished"

    @property
    def capped(self) -> bool:
        """True where the cap came before the r-th pass."""
        return self.outcome == "capped"

    def estimate(self, method: str = "unbiased") -> float:
        """Estimate of the pass probability, in [0, 1].

        "unbiased": s / n at the floor, at the cap and for a fixed number of draws, (r - 1) / (K - 1) where
        the r-th pass ended the run. For r = 1 it degenerates and is no use (see
        `passuntil.counts.estimates.unbiased`). "paper": r / K, and s / n where the r-th pass never came (arXiv
        2310.03262, eq. 2); biased upwards. "mle": s / n.

        An unfinished run gives s / n (for "paper", r / K if K has come): provisional, and not unbiased.
        Without draws: NaN. Raises PassUntilError for another name.
        """
        return float(estimates.by_name(method)(*self._columns()))

    def log_estimate(self) -> float | None:
        """Unbiased estimate of log p (natural), psi(r) - psi(K), if the r-th pass ended the run, else None.

        It is unbiased over a design without floor and cap (arXiv 2001.03985). Where a floor or cap makes it
        None for some outcomes, those that are left are a selection: fit the likelihood instead.
        """
        if self.outcome != "stopped":
            return None
        return float(estimates.log_unbiased(self.stopped_at or 0, self.r or 0))

    def log_sd(self) -> float | None:
        """Standard deviation of `log_estimate`: the root of psi'(r) - psi'(K), unbiased for its square."""
        if self.outcome != "stopped":
            return None
        return float(np.sqrt(estimates.log_variance(self.stopped_at or 0, self.r or 0)))

    def gamma_estimate(self, level: float = 0.95, *, seed: int = 0) -> GammaEstimate | None:
        """Huber's estimate, whose relative error is known before drawing (`passuntil.counts.gbas`).

        None where something else than the r-th pass ended the run, or r is 1. Give each instance its own
        seed.
        """
        if self.outcome != "stopped" or self.r is None or self.r < 2 or self.stopped_at is None:
            return None
        return gamma_estimate(k=self.r, stopped_at=self.stopped_at, level=level, seed=seed)

    def interval(self, level: float = 0.95, method: str | None = None) -> Interval:
        """Confidence interval for the pass probability.

        "exact" (`passuntil.counts.intervals.exact`): covers at least at `level` under this design. An unfinished
        run gets the interval of a run that was planned to end here, labelled "provisional": looking at it to
        decide whether to go on voids its level, and so it is labelled where `extended` is set. "sequence"
        (`passuntil.counts.sequences`): covers at all looks at once, whatever ended the run; about 1.8 times as wide
        on the log scale. Left out: "sequence" where `extended` is set, else "exact".

        Without a pass it is (0, upper). Without draws: (0, 1). Raises PassUntilError for another method or a
        level outside (0, 1).
        """
        method = ("sequence" if self.extended else "exact") if method is None else method
        if method == "sequence":
            low, high = sequences.sequence(self.draws, self.passes, level=level)
            return Interval(float(low), float(high), float(level), "sequence")
        if method != "exact":
            raise PassUntilError(f"no interval is called {method!r}; use 'exact' or 'sequence'")
        low, high = intervals.exact(*self._columns(), level=level)
        label = "exact" if self.finished and not self.extended else "provisional"
        return Interval(float(low), float(high), float(level), label)

    def variance(self) -> float:
        """Variance of the unbiased estimate, itself without bias (see `passuntil.counts.estimates.variance`)."""
        return float(estimates.variance(*self._columns()))

    def _columns(self) -> tuple[int, int, int | None, int | None, int | None, int | None]:
        return self.draws, self.passes, self.stopped_at, self.r, self.floor, self.cap


def _as_outcomes(bits: Iterable[Any] | NDArray[Any]) -> NDArray[np.bool_]:
    """Pass and fail outcomes as booleans; text is refused, since "10" reads as two outcomes or one number."""
    if isinstance(bits, str | bytes):
        raise PassUntilError(f"bits must be a sequence of 0 and 1, not text ({bits[:20]!r})")
    try:
        array = np.asarray(bits if isinstance(bits, np.ndarray) else list(bits))
    except (TypeError, ValueError):
        raise PassUntilError(f"bits must be a sequence of 0 and 1, not {type(bits).__name__}") from None
    if array.ndim != 1:
        raise PassUntilError(
            f"bits must have one dimension, not shape {array.shape}; give one instance at a time"
        )
    if array.size == 0 or array.dtype == np.bool_:
        return array.astype(np.bool_)
    if array.dtype.kind not in "iuf" or not bool(np.isin(array, (0, 1)).all()):
        odd = next((v for v in array.tolist() if v not in (0, 1)), array.tolist()[0])
        raise PassUntilError(f"bits must be 0 or 1, not {odd!r}; an unscored draw is missing, never 0")
    return array.astype(np.bool_)
