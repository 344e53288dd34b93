"""Agreement of a ranking with truths that are dealt out at random: the null distribution of the permutation test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations as all_orders

import numpy as np
from scipy.stats import norm

from proxy._arrays import Floats

#: Every order is tried up to here; beyond, Kendall's own distribution where nothing is tied.
ENUMERATED = 8
#: Beyond this many models of one budget the distribution is taken as normal.
LARGEST_EXACT = 300


def _signs(values: Floats) -> Floats:
    """Which of each two values is larger."""
    return np.sign(values[:, None] - values[None, :])


def inversion_distribution(n: int) -> Floats:
    """Probability of 0, 1, ... n (n - 1) / 2 inversions of a random order of n (the Mahonian numbers / n!).

    >>> (inversion_distribution(3) * 6).round().tolist()
    [1.0, 2.0, 2.0, 1.0]
    """
    chances = np.ones(1)
    for size in range(2, n + 1):
        total = np.concatenate(([0.0], np.cumsum(np.concatenate((chances, np.zeros(size - 1))))))
        upper = np.arange(1, total.size)
        chances = np.maximum(total[upper] - total[np.maximum(upper - size, 0)], 0.0) / size
    return chances


def _enumerated(a: Floats, b: Floats) -> Floats:
    """The agreement under every order of b."""
    orders = np.array(list(all_orders(range(a.size))))
    x, y = _signs(a), _signs(b)
    first, second = np.triu_indices(a.size, 1)
    return np.asarray(y[orders[:, first], orders[:, second]] @ x[first, second])


def null_distribution(
    groups: list[tuple[Floats, Floats]], seed: int, permutations: int
) -> tuple[Floats, Floats, str]:
    """(values of the agreement, their chances, method) with truths dealt out at random within each group."""
    largest = max(a.size for a, _ in groups)
    tied = [np.unique(a).size < a.size or np.unique(b).size < b.size for a, b in groups]
    if largest > LARGEST_EXACT:
        variance = sum(a.size * (a.size - 1) * (2 * a.size + 5) / 18 for a, _ in groups)
        grid = norm.ppf((np.arange(2000) + 0.5) / 2000) * math.sqrt(variance)
        return grid, np.full(2000, 1 / 2000), "normal approximation"
    if any(has and a.size > ENUMERATED for has, (a, _) in zip(tied, groups, strict=True)):
        return _sampled(groups, seed, permutations)
    # The agreement is a whole number; its distribution stands at [-reach, reach], and groups convolve.
    chances, reach, method = np.ones(1), 0, "exact enumeration"
    for (a, b), has in zip(groups, tied, strict=True):
        most = a.size * (a.size - 1) // 2
        own = np.zeros(2 * most + 1)
        if a.size <= ENUMERATED and (has or a.size == largest):
            values, count = np.unique(_enumerated(a, b).round().astype(np.int64), return_counts=True)
            own[values + most] = count / count.sum()
        else:
            # Few inversions, whose small chances are summed without cancelling, stand at the upper end.
            own[::2] = inversion_distribution(a.size)[::-1]
            method = "exact Kendall distribution" if a.size > ENUMERATED else method
        chances, reach = np.convolve(chances, own), reach + most
    return np.arange(-reach, reach + 1.0), chances, method


def _sampled(groups: list[tuple[Floats, Floats]], seed: int, permutations: int) -> tuple[Floats, Floats, str]:
    """The agreement under random orders, as many as time allows."""
    generator = np.random.default_rng(seed)
    cells = sum(a.size * (a.size - 1) // 2 for a, _ in groups)
    count = int(np.clip(4e7 // cells, min(2000, permutations), permutations))
    total = np.zeros(count)
    for a, b in groups:
        first, second = np.triu_indices(a.size, 1)
        x = np.sign(a[first] - a[second])
        for start in range(0, count, 200):
            dealt = generator.permuted(np.tile(b, (min(200, count - start), 1)), axis=1)
            total[start : start + 200] += np.sign(dealt[:, first] - dealt[:, second]) @ x
    return total, np.full(count, 1 / count), "Monte Carlo"


def quantiles(values: Floats, chances: Floats, at: Sequence[float]) -> list[float]:
    """Quantiles of a discrete distribution."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(chances[order])
    return [float(values[order][min(int(np.searchsorted(below, q)), values.size - 1)]) for q in at]
