"""How a ranking agrees with the truth: inversions, Kendall's tau, decision accuracy and a permutation test."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from proxy._arrays import Floats
from proxy.errors import ProxyError
from proxy.ranking._null import null_distribution, quantiles


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What the configurations reached at the large scale, to judge a ranking by.

    Parameters
    ----------
    scores : mapping of str to float, or array_like of shape (models,)
        The true value of each model, by name or in the matrix's order; a model that is absent, or NaN, is left out.
    direction : {1, -1}, optional
        1 where higher is better, -1 where lower.
    budget : mapping of str to label, or sequence of labels, optional
        A label a model (its size, tokens or compute): only models of one label are compared.

    Raises
    ------
    ProxyError
        For a direction other than 1 and -1.

    Examples
    --------
    >>> Truth({"a": 0.7, "b": 0.9}).direction
    1
    """

    scores: Mapping[str, float] | ArrayLike
    direction: int = 1
    budget: Mapping[str, Hashable] | Sequence[Hashable] | None = None

    def __post_init__(self) -> None:
        if self.direction not in (1, -1):
            raise ProxyError(
                f"the truth's direction must be 1 (higher is better) or -1 (lower), not {self.direction!r}"
            )


@dataclass(frozen=True, slots=True)
class TruthComparison:
    """A ranking held against the truth, over the pairs of equal budget whose truths differ.

    Parameters
    ----------
    models : int
        How many models were compared.
    pairs : int
        How many pairs.
    inversions : int
        Pairs ordered wrongly.
    ties : int
        Pairs that the ranking leaves tied.
    decision_accuracy : float
        Share of pairs ordered rightly, a tie counting half.
    kendall_tau : float or None
        Tau-b over the pairs within budgets; None where the ranking ties every pair.
    p_value : float
        Probability of an agreement at least as good if truths were dealt out at random within budgets (one-sided).
    p_method : str
        How the p value was computed.
    p_error : float
        Its Monte Carlo standard error; 0 where it is exact.
    null_low, null_high : float
        The central 95% of decision accuracies under that dealing (the permutation interval).
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
        """The comparison in the JSON shape.

        Returns
        -------
        dict
            The fields by name.
        """
        return {name: getattr(self, name) for name in self.__slots__}


def compare_with_truth(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    budget: Sequence[Hashable] | None = None,
    seed: int = 0,
    permutations: int = 20_000,
) -> TruthComparison:
    """Compare scores with true values, both of which count upwards.

    Parameters
    ----------
    scores, truth : array_like of float, shape (models,)
        One each for every model; a model whose score or truth is NaN is left out.
    budget : sequence of labels, optional
        A label a model (its size, tokens or compute): only models of one label are compared, and truths are dealt out
        within it.
    seed : int, optional
        Of the Monte Carlo test, which is used only where more than 8 models have ties.
    permutations : int, optional
        Of the Monte Carlo test; with very many models fewer, down to 2000.

    Returns
    -------
    TruthComparison
        The agreement, and how surely it is better than chance.

    Raises
    ------
    ProxyError
        Where no two models of one budget differ in truth, or lengths disagree.

    Notes
    -----
    The p value is exact up to 8 models of a budget (every order), and beyond without ties (the distribution of
    inversions, known as Mahonian [1]_); with budgets the distributions are convolved.

    References
    ----------
    .. [1] M. G. Kendall, A New Measure of Rank Correlation, Biometrika 30 (1938).

    Examples
    --------
    >>> comparison = compare_with_truth([1.0, 2.0, 3.0, 5.0, 4.0], [10, 20, 30, 40, 50])
    >>> comparison.inversions, comparison.kendall_tau, round(comparison.p_value, 4)
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
    values, chances, method = null_distribution([(a[g], b[g]) for g in groups], seed, permutations)
    at_least = values >= agreement - 0.5
    if method == "Monte Carlo":
        p_value = float((1 + at_least.sum()) / (1 + values.size))
        p_error = math.sqrt(p_value * (1 - p_value) / values.size)
    elif method == "normal approximation":
        p_value, p_error = float(norm.sf((agreement - 1) / values.std())), 0.0
    else:
        p_value, p_error = float(min(chances[at_least].sum(), 1.0)), 0.0
    low, high = quantiles(values, chances, (0.025, 0.975))
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
    """Decision accuracy of each column of scores against one truth.

    Parameters
    ----------
    columns : numpy.ndarray of float, shape (models, columns)
        Scores, higher is better.
    truth : numpy.ndarray of float, shape (models,)
        The true value of each model, higher is better.
    budget : sequence of labels, optional
        A label a model; only models of one label are compared.

    Returns
    -------
    numpy.ndarray, shape (columns,)
        Share of pairs ordered as the truth orders them, a tie counting half.

    Raises
    ------
    ProxyError
        Where no two models of one budget differ in truth.

    Examples
    --------
    >>> decision_accuracies(np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]]), np.array([1.0, 2.0, 3.0])).tolist()
    [1.0, 0.0]
    """
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
