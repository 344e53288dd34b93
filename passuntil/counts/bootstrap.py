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

    mean: shape (sizes,), the means of the instances given. replicates: shape (replicates, sizes), the means
    of redrawn instances; row b used the same instances at all sizes. level, seed, instances: as asked for.
    """

    mean: Floats
    replicates: Floats
    level: float
    seed: int
    instances: int

    def __str__(self) -> str:
        return self.table()

    def table(self) -> str:
        """The means as text, a line a size."""
        ends = [self.interval(j) for j in range(self.mean.size)]
        rows = [
            (str(j), float(mean), float(se), end.low, end.high)
            for j, (mean, se, end) in enumerate(zip(self.mean, self.se, ends, strict=True))
        ]
        told = f"{len(self.replicates)} replicates of {self.instances} instances, seed {self.seed}"
        return "\n".join([*grid(("size", "mean", "se", f"{self.level:.0%} low", "high"), rows), told])

    @property
    def se(self) -> Floats:
        """Standard error of each mean, shape (sizes,): the draws' noise and the choice of instances."""
        return np.asarray(self.replicates.std(axis=0, ddof=1), dtype=np.float64)

    def covariance(self) -> Floats:
        """Covariance of the means over sizes, shape (sizes, sizes)."""
        return np.atleast_2d(np.cov(self.replicates, rowvar=False))

    def interval(self, size: int = 0) -> Interval:
        """Percentile interval of the mean of one size (its place, from 0)."""
        return self.of(lambda means: means[:, size])

    def of(self, statistic: Callable[[Floats], Floats]) -> Interval:
        """Percentile interval of any statistic of the means.

        statistic: takes means of shape (any, sizes), returns shape (any,). Replicates where it is not finite
        (log(-log 0)) count as the ends they stand for; NaN is refused, because a replicate that is silently
        dropped shortens the interval.

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

    values: shape (instances,) or (instances, sizes): unbiased estimates, or anything else whose mean over
    instances is wanted; a missing cell is refused (leave the instance out at all sizes). At least two
    instances. seed: the same seed and shape redraw the same instances, so results of two calls can be
    compared.

    Raises PassUntilError for NaN, infinities, fewer than two instances, fewer than two replicates.
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
            f"{gaps} of {table.size} values are not finite; leave those instances out at all sizes"
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
