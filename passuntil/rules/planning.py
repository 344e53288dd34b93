"""What a stopping rule will cost before it is run: draws, tokens and hours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # a part of it loads at its first use, and no error waits for that
from numpy.typing import ArrayLike

from passuntil._arrays import Floats
from passuntil._text import grid


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rule is expected to cost: expectations over the prior (or the pilot's posterior) and the draws.

    Parameters
    ----------
    draws : float
        Expected draws, all instances together, those of the pilot included.
    per_instance : tuple of float, shape (instances,)
        The same for each.
    reached : float
        Expected share of instances that get what the rule wants (r passes; the target) under the cap.
    tokens, hours : float or None
        None where tokens a draw, or their rate, were not given.
    reachable : bool, optional
        False where the target cannot be met under the cap.
    note : str, optional
        What to know; empty if nothing.
    """

    draws: float
    per_instance: tuple[float, ...]
    reached: float
    tokens: float | None
    hours: float | None
    reachable: bool = True
    note: str = ""

    def __str__(self) -> str:
        return self.table()

    def table(self) -> str:
        """Return the plan as text: what it costs, what it reaches, what to know.

        Returns
        -------
        str
            Lines without a line break at the end.
        """
        header = ("instances", "draws", "most of one", "tokens", "hours", "reached")
        tokens, hours = ("-" if v is None else v for v in (self.tokens, self.hours))
        most = max(self.per_instance)
        row = (str(len(self.per_instance)), self.draws, most, tokens, hours, f"{self.reached:.0%}")
        return "\n".join([*grid(header, [row]), *([self.note] if self.note else [])])


def expected_draws(p: ArrayLike, *, r: int, floor: int = 0, cap: int) -> Floats:
    """Compute the expected draws until the r-th pass, at least `floor` and at most `cap`; exact.

    Parameters
    ----------
    p : array_like of float
        Pass probabilities, in [0, 1].
    r, floor, cap : int
        Passes wanted, fewest and most draws.

    Returns
    -------
    ndarray of float
        In the shape of p.

    Notes
    -----
    E[min(K, c)] = (r / p) P(Bin(c + 1, p) > r) + c P(Bin(c, p) < r); a floor f adds f - E[min(K, f)].

    Examples
    --------
    >>> expected_draws([0.0, 0.01, 1.0], r=5, cap=10_000).round(6).tolist()
    [10000.0, 500.0, 5.0]
    """
    q = np.asarray(p, dtype=np.float64)
    # Nothing this rare passes under any cap, and r / p would overflow.
    some = q > 1e-200
    safe = np.where(some, q, 1.0)

    def until(c: int) -> Floats:
        met = r / safe * scipy.stats.binom.sf(r, c + 1, q) if c > 0 else 0.0
        return np.asarray(np.where(some, met, 0.0) + c * scipy.stats.binom.cdf(r - 1, c, q), dtype=np.float64)

    return until(cap) + floor - until(floor)


def reach_probability(p: ArrayLike, *, r: int, cap: int) -> Floats:
    """Compute the probability of r passes within `cap` draws.

    Parameters
    ----------
    p : array_like of float
        Pass probabilities, in [0, 1].
    r, cap : int
        Passes wanted, and most draws.

    Returns
    -------
    ndarray of float
        In the shape of p.
    """
    return np.asarray(scipy.stats.binom.sf(r - 1, cap, np.asarray(p, dtype=np.float64)), dtype=np.float64)
