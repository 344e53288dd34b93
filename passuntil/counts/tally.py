"""What was counted for one instance, and what it says about the pass probability."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from passuntil._checks import whole, whole_or_none
from passuntil._text import counted
from passuntil.counts import estimates, intervals, sequences
from passuntil.counts._design import Outcome, contradiction, outcome_of
from passuntil.counts._outcomes import outcomes_of
from passuntil.counts.gbas import GammaEstimate, gamma_estimate
from passuntil.counts.intervals import Interval
from passuntil.errors import PassUntilError


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one instance in draw order: at least `floor` draws, then to the r-th pass, at most `cap`.

    Parameters
    ----------
    draws : int
        Draws that count, n >= 0: the floor, K, or the cap; fewer while the run goes on. Overshoot after the
        stop does not count.
    passes : int
        Passes among them, 0 <= s <= n.
    stopped_at : int, optional
        K, the 1-based draw of the r-th pass; None if it has not come.
    r : int, optional
        Passes wanted, at least 1; None for a fixed number of draws (then `cap`, if given, is that number).
    floor, cap : int, optional
        Least and most draws; None for none.
    extended : bool, optional
        True where the number of draws was decided after a look at them, outside this design: no estimate is
        then free of bias, and the interval is a confidence sequence, which holds all the same.

    Raises
    ------
    PassUntilError
        Where a count is no whole number, or the counts contradict each other or the design.

    Examples
    --------
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
        problem = contradiction(self.draws, self.passes, self.stopped_at, self.r, self.floor or 0, self.cap)
        if problem:
            raise PassUntilError(problem)

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
        """Count pass (1) or fail (0) outcomes in draw order, and cut them where the design stops.

        Parameters
        ----------
        bits : array_like of bool, shape (m,)
            Outcomes in draw order. What follows the stop is overshoot and is dropped; where they end before
            the stop, the tally is not `finished`.
        r, floor, cap : int, optional
            The design, as in `Tally`.
        extended : bool, optional
            As in `Tally`.

        Returns
        -------
        Tally
            The counts up to the stop.

        Raises
        ------
        PassUntilError
            For other outcomes and for an impossible design.

        Examples
        --------
        >>> Tally.from_bits([0, 1, 0, 0, 1, 1, 0], r=2)
        Tally(draws=5, passes=2, stopped_at=5, r=2, floor=None, cap=None, extended=False)
        """
        return cls(0, 0, r=r, floor=floor, cap=cap, extended=extended).continued(bits)

    def continued(self, bits: Iterable[Any] | NDArray[Any]) -> Tally:
        """Count `bits` after the outcomes that this tally has counted, and cut them where its design stops.

        It equals `Tally.from_bits` over all of them, and those before need not be read again.

        Parameters
        ----------
        bits : array_like of bool, shape (m,)
            The next outcomes in draw order, as in `Tally.from_bits`.

        Returns
        -------
        Tally
            The counts of all outcomes up to the stop.

        Raises
        ------
        PassUntilError
            For other outcomes, and where this tally is finished.

        Examples
        --------
        >>> Tally(draws=2, passes=1, r=2, cap=9).continued([0, 1, 1])
        Tally(draws=4, passes=2, stopped_at=4, r=2, floor=None, cap=9, extended=False)
        """
        outcomes = outcomes_of(bits)
        n, stopped_at = self.draws, self.stopped_at
        if self.finished and n and (self.r is not None or self.cap is not None):
            raise PassUntilError(
                f"the tally is finished after {counted(n, 'draw')}; what comes after it is overshoot"
            )
        if self.cap is not None:
            outcomes = outcomes[: self.cap - n]
        if self.r is not None:
            if stopped_at is None:
                places = np.flatnonzero(outcomes)
                missing = self.r - self.passes
                if places.size >= missing:
                    stopped_at = n + int(places[missing - 1]) + 1
            if stopped_at is not None:
                outcomes = outcomes[: max(stopped_at, self.floor or 0) - n]
        return replace(
            self,
            draws=n + int(outcomes.size),
            passes=self.passes + int(outcomes.sum()),
            stopped_at=stopped_at,
        )

    @property
    def outcome(self) -> Outcome:
        """How the run ended: "fixed", "floor" (r passes by then), "stopped" at K, "capped", "unfinished"."""
        return outcome_of(self.draws, self.stopped_at, self.r, self.floor or 0, self.cap)

    @property
    def finished(self) -> bool:
        """False while the design asks for more draws."""
        return self.outcome != "unfinished"

    @property
    def capped(self) -> bool:
        """True where the cap came before the r-th pass."""
        return self.outcome == "capped"

    @property
    def columns(self) -> tuple[int, int, int | None, int | None, int | None, int | None]:
        """Draws, passes, stopped_at, r, floor and cap, as the functions of `estimates` take them."""
        return self.draws, self.passes, self.stopped_at, self.r, self.floor, self.cap

    def estimate(self, method: str = "unbiased") -> float:
        """Estimate the pass probability.

        An unfinished run gives s / n (for "paper", r / K if K has come): provisional, and not unbiased.

        Parameters
        ----------
        method : {"unbiased", "paper", "mle"}, optional
            "unbiased": see `passuntil.counts.estimates.unbiased`; it is no use for r = 1. "paper": r / K,
            and s / n where the r-th pass never came (arXiv 2310.03262, eq. 2); biased upwards. "mle": s / n.

        Returns
        -------
        float
            The estimate, in [0, 1]; NaN without draws.

        Raises
        ------
        PassUntilError
            For another name.
        """
        return float(estimates.by_name(method)(*self.columns))

    def log_estimate(self) -> float | None:
        """Estimate log p (natural logarithm) without bias, where the r-th pass ended the run.

        Where a floor or cap makes it None for some, the others are a selection: fit the likelihood instead.

        Returns
        -------
        float or None
            psi(r) - psi(K), as `passuntil.counts.estimates.log_unbiased`; None for another outcome.
        """
        if self.outcome != "stopped":
            return None
        return float(estimates.log_unbiased(self.stopped_at or 0, self.r or 0))

    def log_sd(self) -> float | None:
        """Standard deviation of `log_estimate`; its square is without bias.

        Returns
        -------
        float or None
            The root of psi'(r) - psi'(K); None where `log_estimate` is.
        """
        if self.outcome != "stopped":
            return None
        return float(np.sqrt(estimates.log_variance(self.stopped_at or 0, self.r or 0)))

    def gamma_estimate(self, level: float = 0.95, *, seed: int = 0) -> GammaEstimate | None:
        """Huber's estimate, whose relative error is known before drawing (`passuntil.counts.gbas`).

        Parameters
        ----------
        level : float, optional
            Confidence level of its interval, in (0, 1).
        seed : int, optional
            Seed of its clock, at least 0. Give each instance its own.

        Returns
        -------
        GammaEstimate or None
            None where something else than the r-th pass ended the run, or r is 1.
        """
        if self.outcome != "stopped" or self.r is None or self.r < 2 or self.stopped_at is None:
            return None
        return gamma_estimate(k=self.r, stopped_at=self.stopped_at, level=level, seed=seed)

    def interval(self, level: float = 0.95, method: str | None = None) -> Interval:
        """Confidence interval for the pass probability.

        Parameters
        ----------
        level : float, optional
            Confidence level, in (0, 1).
        method : {"exact", "sequence"}, optional
            "exact" (`passuntil.counts.intervals.exact`): covers at least at `level` under this design;
            labelled "provisional" where the run is unfinished (as if it was planned to end here: looking at
            it to decide whether to go on voids its level) or `extended` is set. "sequence"
            (`passuntil.counts.sequences`): covers at all looks at once, whatever ended the run; about 1.8
            times as wide on the log scale. Left out: "sequence" where `extended` is set, else "exact".

        Returns
        -------
        Interval
            (0, upper) without a pass, (0, 1) without draws.

        Raises
        ------
        PassUntilError
            For another method or a level outside (0, 1).
        """
        method = ("sequence" if self.extended else "exact") if method is None else method
        if method == "sequence":
            low, high = sequences.sequence(self.draws, self.passes, level=level)
            return Interval(float(low), float(high), float(level), "sequence")
        if method != "exact":
            raise PassUntilError(f"no interval is called {method!r}; use 'exact' or 'sequence'")
        low, high = intervals.exact(*self.columns, level=level)
        label = "exact" if self.finished and not self.extended else "provisional"
        return Interval(float(low), float(high), float(level), label)

    def variance(self) -> float:
        """Estimate the variance of the unbiased estimate, without bias (`passuntil.counts.estimates.variance`).

        Returns
        -------
        float
            At least 0.
        """
        return float(estimates.variance(*self.columns))
