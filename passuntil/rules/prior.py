"""What is believed of the pass probabilities of a task before, or after, a few draws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy  # a part of it loads at its first use, and no error waits for that
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, betaln, expit, logit

from passuntil._arrays import Floats
from passuntil._checks import positive
from passuntil.counts._columns import whole_columns
from passuntil.errors import PassUntilError

#: Nodes of the midpoint rule over a Beta distribution's quantiles.
NODES = 256
#: A Beta(a, b) is fitted within these: between "every instance alike" and "each passes always or never".
_LEAST_SHAPE, _MOST_SHAPE = 1e-3, 1e7


@dataclass(frozen=True, slots=True)
class BetaPrior:
    """How the pass probabilities of a task's instances spread: a Beta distribution.

    Parameters
    ----------
    a, b : float
        Its shape, above 0; the mean is a / (a + b).

    Raises
    ------
    PassUntilError
        For a shape that is not above 0.

    Examples
    --------
    >>> BetaPrior.of_mean(0.02, like_draws=25)
    BetaPrior(a=0.5, b=24.5)
    """

    a: float
    b: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "a", positive("a", self.a))
        object.__setattr__(self, "b", positive("b", self.b))

    @classmethod
    def of_mean(cls, mean: float, *, like_draws: float = 10.0) -> BetaPrior:
        """Return the prior with a given mean.

        Parameters
        ----------
        mean : float
            Mean pass probability, in (0, 1).
        like_draws : float, optional
            As many draws as the prior is worth, above 0.

        Returns
        -------
        BetaPrior
            Its a + b is `like_draws`.

        Raises
        ------
        PassUntilError
            For a number out of range.
        """
        mean, size = positive("mean", mean), positive("like_draws", like_draws)
        if mean >= 1.0:
            raise PassUntilError(f"mean must be below 1, not {mean:g}")
        return cls(mean * size, (1.0 - mean) * size)

    @classmethod
    def fit(cls, draws: ArrayLike, passes: ArrayLike) -> BetaPrior:
        """Fit the Beta distribution under which a pilot's counts are likeliest.

        Parameters
        ----------
        draws, passes : array_like of int, shape (instances,)
            Counts, with at least one draw in all. Instances without a pass stay in.

        Returns
        -------
        BetaPrior
            The fit.

        Raises
        ------
        PassUntilError
            For counts that cannot be, and where nothing was drawn.

        Notes
        -----
        The likelihood is beta-binomial. Two weak terms keep the fit finite where the counts say nothing: half a pass
        and half a failure over all instances together, and log(a + b) normal around log 10 with an SD of 3.
        """
        n, s = (column.ravel().astype(np.float64) for column in whole_columns(draws, passes))
        if n.sum() == 0:
            raise PassUntilError("the pilot has no draws; draw first, or give a prior")
        return cls(*_likeliest(n.tobytes(), s.tobytes()))

    def spread(self) -> tuple[Floats, Floats]:
        """Return a midpoint rule over p, for averages of bounded functions of p.

        Returns
        -------
        nodes : ndarray of float, shape (256,)
            Values of p, finer in both tails.
        weights : ndarray of float, shape (256,)
            They sum to 1.
        """
        edges = expit(np.linspace(-16.0, 16.0, NODES + 1))
        edges[0], edges[-1] = 0.0, 1.0
        nodes = betaincinv(self.a, self.b, 0.5 * (edges[1:] + edges[:-1]))
        return np.asarray(nodes, dtype=np.float64), np.diff(edges)

    def after(self, draws: int, passes: int) -> BetaPrior:
        """Return the posterior of an instance with these counts.

        Parameters
        ----------
        draws, passes : int
            Counts of the instance.

        Returns
        -------
        BetaPrior
            Beta(a + passes, b + draws - passes).
        """
        return BetaPrior(self.a + passes, self.b + draws - passes)


@lru_cache(maxsize=256)
def _likeliest(draws: bytes, passes: bytes) -> tuple[float, float]:
    """(a, b) of the fit, from float64 counts as bytes; remembered, since a run asks again at every wave."""
    n, s = np.frombuffer(draws), np.frombuffer(passes)
    pairs, times = np.unique(np.stack([n, s]), axis=1, return_counts=True)
    n, s = pairs

    def cost(x: NDArray[np.float64]) -> float:
        mean, size = expit(x[0]), math.exp(x[1])
        a, b = mean * size, max(1.0 - mean, 1e-300) * size
        fit = float((times * (betaln(s + a, n - s + b) - betaln(a, b))).sum())
        weak = 0.5 * (math.log(mean) + math.log(max(1.0 - mean, 1e-300)))
        return -(fit + weak - 0.5 * ((x[1] - math.log(10.0)) / 3.0) ** 2)

    total, passed = float((n * times).sum()), float((s * times).sum())
    start = logit((passed + 0.5) / (total + 1.0))
    optimum = scipy.optimize.minimize(
        cost, [start, math.log(10.0)], method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-5}
    )
    mean, size = float(expit(optimum.x[0])), math.exp(float(optimum.x[1]))
    a, b = (float(np.clip(v * size, _LEAST_SHAPE, _MOST_SHAPE)) for v in (mean, 1.0 - mean))
    return a, b
