"""How a ranking agrees with the truth: inversions, Kendall's tau, decision accuracy and a permutation test."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import permutations as all_orders
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from proxy._arrays import Floats
from proxy.errors import ProxyError

#: Every order is tried up to here; beyond, Kendall's own distribution where nothing is tied.
ENUMERATED = 8
#: Beyond this many models of one budget the distribution is taken as normal.
LARGEST_EXACT = 300


@dataclass(frozen=True, slots=True)
class TruthComparison:
    """A ranking held against the truth, over the pairs of equal budget whose truths differ.

    models: how many were compared. pairs: how many pairs. inversions: pairs ordered wrongly; ties: pairs that
    the ranking leaves tied. decision_accuracy: share of pairs ordered rightly, a tie counting half.
    kendall_tau: tau-b (None where every pair is tied), over the pairs within budgets.
    p_value: probability of an agreement at least as good if truths were dealt out at random within budgets
    (one-sided). p_method says how it was found, p_error its Monte Carlo standard error (0 where exact).
    null_low, null_high: the central 95% of decision accuracies under that dealing (the permutation interval).
    """

    models: int
    pairs: int
    inversions: int
    ties: int
    decision_accuracy: float
    kendall_tau: float | None
    p_value: float
    p_method: str
    p_error: float
    null_low: float
    null_high: float

    def as_dict(self) -> dict[str, Any]:
        """The comparison in the JSON shape."""
        return {name: getattr(self, name) for name in self.__slots__}


def compare_with_truth(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    budget: Sequence[Hashable] | None = None,
    seed: int = 0,
    permutations: int = 20_000,
) -> TruthComparison:
    """Compare scores with true values, both of which count upwards, one a model.

    scores, truth: arrays of one length; models whose score or truth is NaN are left out. budget: a label a
    model (its size, tokens or compute); only models of one label are compared, and truths are dealt out
    within it. seed, permutations: of the Monte Carlo test, used only where more than 8 models have ties.

    The p value is exact up to 8 models of a budget (every order), and beyond without ties (the distribution
    of inversions, known as Mahonian; Kendall 1938); with budgets the distributions are convolved.

    Raises ProxyError where no two models of one budget differ in truth, or lengths disagree.

    >>> found = compare_with_truth([1.0, 2.0, 3.0, 5.0, 4.0], [10, 20, 30, 40, 50])
    >>> found.inversions, found.kendall_tau, round(found.p_value, 4)
    (1, 0.8, 0.0417)
    """
    a, b = np.asarray(scores, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ProxyError(
            f"scores of shape {a.shape} and truths of shape {b.shape}: give one of each for every model"
        )
    if budget is not None and len(budget) != a.size:
        raise ProxyError(f"{len(budget)} budgets for {a.size} models: give one for every model")
    known = np.isfinite(a) & np.isfinite(b)
    labels = [0] * a.size if budget is None else list(budget)
    groups = [
        np.flatnonzero(known & np.array([label == other for label in labels]))
        for other in dict.fromkeys(labels)
    ]
    groups = [group for group in groups if group.size > 1 and np.ptp(b[group]) > 0]
    if not groups:
        within = "" if budget is None else " of one budget"
        raise ProxyError(
            f"no two models{within} differ in their known truth: there is no pair to judge; give more truths"
        )
    counts = np.array([_counts(a[group], b[group]) for group in groups])
    agreement, pairs, score_pairs, both = counts.sum(axis=0)
    values, chances, method = _null([(a[g], b[g]) for g in groups], seed, permutations)
    at_least = values >= agreement - 0.5
    if method == "Monte Carlo":
        p_value = float((1 + at_least.sum()) / (1 + values.size))
        p_error = math.sqrt(p_value * (1 - p_value) / values.size)
    elif method == "normal approximation":
        p_value, p_error = float(norm.sf((agreement - 1) / values.std())), 0.0
    else:
        p_value, p_error = float(min(chances[at_least].sum(), 1.0)), 0.0
    low, high = _quantiles(values, chances, (0.025, 0.975))
    discordant = (both - agreement) / 2
    return TruthComparison(
        models=int(sum(group.size for group in groups)),
        pairs=int(pairs),
        inversions=round(float(discordant)),
        ties=int(pairs - both),
        decision_accuracy=float(0.5 + agreement / (2 * pairs)),
        kendall_tau=float(agreement / math.sqrt(pairs * score_pairs)) if score_pairs else None,
        p_value=p_value,
        p_method=method,
        p_error=p_error,
        null_low=float(0.5 + low / (2 * pairs)),
        null_high=float(0.5 + high / (2 * pairs)),
    )


def decision_accuracies(columns: Floats, truth: Floats, budget: Sequence[Hashable] | None = None) -> Floats:
    """Decision accuracy of each column of scores (models x columns) against one truth, ties counting half."""
    first, second = np.triu_indices(truth.size, 1)
    keep = np.sign(truth[first] - truth[second]) != 0
    if budget is not None:
        keep &= np.array([budget[int(i)] == budget[int(j)] for i, j in zip(first, second, strict=True)])
    first, second = first[keep], second[keep]
    if not first.size:
        raise ProxyError("no two models of one budget differ in their truth: there is no pair to judge")
    wanted = np.sign(truth[first] - truth[second])
    step = max(1, 4_000_000 // first.size)
    parts = [
        wanted @ np.sign(columns[first, at : at + step] - columns[second, at : at + step])
        for at in range(0, columns.shape[1], step)
    ]
    return np.asarray(0.5 + np.concatenate(parts) / (2 * first.size))


def _signs(values: Floats) -> Floats:
    return np.sign(values[:, None] - values[None, :])


def _counts(a: Floats, b: Floats) -> tuple[float, float, float, float]:
    """(concordant less discordant, pairs whose truth differs, whose score differs, where both differ)."""
    agreement = pairs = score_pairs = both = 0.0
    for start in range(0, a.size, 512):
        rows = slice(start, start + 512)
        x, y = np.sign(a[rows, None] - a[None, :]), np.sign(b[rows, None] - b[None, :])
        agreement += float((x * y).sum()) / 2
        pairs += np.count_nonzero(y) / 2
        score_pairs += np.count_nonzero(x) / 2
        both += np.count_nonzero(x * y) / 2
    return agreement, pairs, score_pairs, both


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
    orders = np.array(list(all_orders(range(a.size))))
    x, y = _signs(a), _signs(b)
    first, second = np.triu_indices(a.size, 1)
    return np.asarray(y[orders[:, first], orders[:, second]] @ x[first, second])


def _null(groups: list[tuple[Floats, Floats]], seed: int, permutations: int) -> tuple[Floats, Floats, str]:
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
            found, count = np.unique(_enumerated(a, b).round().astype(np.int64), return_counts=True)
            own[found + most] = count / count.sum()
        else:
            # Few inversions, whose small chances are summed without cancelling, stand at the upper end.
            own[::2] = inversion_distribution(a.size)[::-1]
            method = "exact Kendall distribution" if a.size > ENUMERATED else method
        chances, reach = np.convolve(chances, own), reach + most
    return np.arange(-reach, reach + 1.0), chances, method


def _sampled(groups: list[tuple[Floats, Floats]], seed: int, permutations: int) -> tuple[Floats, Floats, str]:
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


def _quantiles(values: Floats, chances: Floats, at: Sequence[float]) -> list[float]:
    order = np.argsort(values, kind="stable")
    below = np.cumsum(chances[order])
    return [float(values[order][min(int(np.searchsorted(below, q)), values.size - 1)]) for q in at]
