"""Paired bootstrap: the instances are drawn again, the same ones for every model size.

Models of one series meet the same instances, so their means rise and fall together with the difficulty of
those that happened to be chosen. Drawing the instances anew for each size by itself would lose that: the
error of a difference or of a slope would come out too large.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from passuntil._arrays import Floats
from passuntil._checks import confidence, whole
from passuntil._text import grid
from passuntil.counts.intervals import Interval
from passuntil.errors import PassUntilError

#: Means are formed for so many cells at a time, to keep the memory of 10^5 replicates small.
_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class BootstrapResult:
    """Means over instances, and how they move when the instances are drawn again.

    Parameters
    ----------
    mean : ndarray, shape (sizes,)
        The means of the instances given.
    replicates : ndarray, shape (replicates, sizes)
        The means of redrawn instances; row b used the same instances at all sizes.
    level : float
        Confidence level of the intervals, in (0, 1).
    seed : int
        What the instances were redrawn with.
    instances : int
        How many instances there are.
    """

    mean: Floats
    replicates: Floats
    level: float
    seed: int
    instances: int

    def __str__(self) -> str:
        return self.table()

    def table(self) -> str:
        """Lay the means out as text.

        Returns
        -------
        str
            A header, a line a size, and what was redrawn.
        """
        ends = [self.interval(j) for j in range(self.mean.size)]
        rows = [
            (str(j), float(mean), float(se), end.low, end.high)
            for j, (mean, se, end) in enumerate(zip(self.mean, self.se, ends, strict=True))
        ]
        redrawn = f"{len(self.replicates)} replicates of {self.instances} instances, seed {self.seed}"
        return "\n".join([*grid(("size", "mean", "se", f"{self.level:.0%} low", "high"), rows), redrawn])

    @property
    def se(self) -> Floats:
        """Standard error of each mean, shape (sizes,): the draws' noise and the choice of instances."""
        return np.asarray(self.replicates.std(axis=0, ddof=1), dtype=np.float64)

    def covariance(self) -> Floats:
        """Covariance of the means over sizes.

        Returns
        -------
        ndarray, shape (sizes, sizes)
            The sample covariance of the replicates.
        """
        return np.atleast_2d(np.cov(self.replicates, rowvar=False))

    def interval(self, size: int = 0) -> Interval:
        """Percentile interval of the mean of one size.

        Parameters
        ----------
        size : int, optional
            Its place, from 0.

        Returns
        -------
        Interval
            Its ends are means of replicates.
        """
        return self.of(lambda means: means[:, size])

    def of(self, statistic: Callable[[Floats], Floats]) -> Interval:
        """Percentile interval of any statistic of the means.

        Parameters
        ----------
        statistic : callable
            Takes means of shape (any, sizes) and returns shape (any,). Replicates where it is infinite
            (log(-log 0)) count as the ends they stand for.

        Returns
        -------
        Interval
            Its ends are values of replicates.

        Raises
        ------
        PassUntilError
            Where it returns another shape, or NaN: a replicate that is silently dropped shortens the
            interval.

        Examples
        --------
        >>> result = paired_bootstrap([[0.1, 0.3], [0.0, 0.2], [0.3, 0.4], [0.2, 0.2]], seed=1)
        >>> low, high = result.of(lambda means: means[:, 1] - means[:, 0])
        >>> low <= 0.125 <= high
        True
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.asarray(statistic(self.replicates), dtype=np.float64)
        if values.shape != (self.replicates.shape[0],):
            raise PassUntilError(
                f"the statistic must return one value a replicate, not shape {values.shape}; "
                "let it work along the last axis"
            )
        if np.isnan(values).any():
            raise PassUntilError(
                f"the statistic is NaN in {int(np.isnan(values).sum())} of {values.size} replicates; "
                "choose one that is defined for every mean"
            )
        tail = (1.0 - self.level) / 2.0
        ends = np.quantile(values, [tail, 1.0 - tail], method="inverted_cdf")
        return Interval(float(ends[0]), float(ends[1]), self.level, "paired-bootstrap")


def paired_bootstrap(
    values: ArrayLike, *, replicates: int = 1000, seed: int = 0, level: float = 0.95
) -> BootstrapResult:
    """Draw the instances anew, the same for all sizes, and take the means.

    Parameters
    ----------
    values : array_like of float, shape (instances,) or (instances, sizes)
        Unbiased estimates, or anything else whose mean over instances is wanted. At least two instances; a
        missing cell is refused (leave the instance out at all sizes).
    replicates : int, optional
        How often the instances are redrawn, at least 2.
    seed : int, optional
        At least 0. The same seed and shape redraw the same instances, so results of two calls can be
        compared.
    level : float, optional
        Confidence level of the intervals, in (0, 1).

    Returns
    -------
    BootstrapResult
        The means and those of the replicates.

    Raises
    ------
    PassUntilError
        For NaN, infinities, fewer than two instances, fewer than two replicates.

    Examples
    --------
    >>> result = paired_bootstrap([[0.1, 0.3], [0.0, 0.2], [0.3, 0.4], [0.2, 0.2]], seed=1)
    >>> result.mean.round(3).tolist(), result.replicates.shape
    ([0.15, 0.275], (1000, 2))
    """
    try:
        table = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise PassUntilError("values must be a table of numbers, instances by sizes, without gaps") from None
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or table.shape[1] == 0:
        raise PassUntilError(f"values must have the shape (instances, sizes), not {table.shape}")
    if table.shape[0] < 2:
        raise PassUntilError(f"a bootstrap over instances needs at least 2 of them, not {table.shape[0]}")
    gaps = int((~np.isfinite(table)).sum())
    if gaps:
        raise PassUntilError(
            f"values must all be finite, unlike {gaps} of {table.size} here; "
            "leave those instances out at all sizes"
        )
    replicates, seed = whole("replicates", replicates, least=2), whole("seed", seed)
    level, m = confidence(level), table.shape[0]
    generator = np.random.default_rng(seed)
    share = np.full(m, 1.0 / m)
    # Chunks of one stream of one generator: the result does not depend on their size.
    step = max(_CELLS // m, 1)
    parts = [
        generator.multinomial(m, share, size=min(step, replicates - done)) @ table / m
        for done in range(0, replicates, step)
    ]
    return BootstrapResult(table.mean(axis=0), np.concatenate(parts), level, seed, m)
