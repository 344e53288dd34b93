"""What a ranking can decide: pairwise decisions with Holm's correction, rank intervals, tied sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from proxy._arrays import Floats, Ints
from proxy._holm import holm
from proxy.errors import ProxyError

#: With more models only neighbours in the ranking are decided pair by pair.
MOST_PAIRED = 100
#: With more models the simultaneous quantile is Bonferroni's instead of simulated.
MOST_SIMULATED = 300


@dataclass(frozen=True, slots=True)
class Decision:
    """One pair: the better model by score, and how sure that is.

    Parameters
    ----------
    better, worse : str
        The two models.
    difference : float
        Of their scores, at least 0.
    stderr : float
        Standard error of the difference.
    p_value : float
        Two-sided, normal.
    p_holm : float
        After Holm's correction over all pairs asked.
    decided : bool
        Whether `p_holm` is at most 1 - level.
    """

    better: str
    worse: str
    difference: float
    stderr: float
    p_value: float
    p_holm: float
    decided: bool

    def as_dict(self) -> dict[str, Any]:
        """The decision in the JSON shape.

        Returns
        -------
        dict
            The fields by name.
        """
        return {name: getattr(self, name) for name in self.__slots__}


def pairwise_decisions(
    scores: ArrayLike, errors: ArrayLike, models: Sequence[str], *, level: float = 0.95
) -> tuple[Decision, ...]:
    """Decide every pair of models, the surest first; above 100 models, neighbours in the ranking.

    Parameters
    ----------
    scores : array_like of float, shape (models,)
        One a model, higher is better.
    errors : array_like of float, shape (draws, models)
        Simulated errors of the scores, common errors included: the standard error of a difference comes from them.
    models : sequence of str
        Names of the models.
    level : float, optional
        1 - the family-wise error rate, between 0 and 1.

    Returns
    -------
    tuple of Decision
        One a pair.

    Raises
    ------
    ProxyError
        Where shapes disagree or a number is not finite.

    References
    ----------
    .. [1] S. Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6
       (1979).

    Examples
    --------
    >>> errors = np.random.default_rng(0).normal(size=(1000, 2))
    >>> [(one.better, one.decided) for one in pairwise_decisions([0.0, 9.0], errors, ["a", "b"])]
    [('b', True)]
    """
    s, e = _checked(scores, errors, len(models))
    order = np.argsort(-s, kind="stable")
    if s.size <= MOST_PAIRED:
        upper, lower = np.triu_indices(s.size, 1)
    else:
        upper, lower = np.arange(s.size - 1), np.arange(1, s.size)
    better, worse = order[upper], order[lower]
    difference = s[better] - s[worse]
    stderr = (e[:, better] - e[:, worse]).std(axis=0)
    safe = np.where(stderr > 0, stderr, 1.0)
    z = np.where(stderr > 0, difference / safe, np.where(difference > 0, np.inf, 0.0))
    p = 2 * norm.sf(z)
    adjusted = holm(p)
    decisions = [
        Decision(
            better=models[i],
            worse=models[j],
            difference=float(gap),
            stderr=float(error),
            p_value=float(one),
            p_holm=float(many),
            decided=bool(many <= 1 - level),
        )
        for i, j, gap, error, one, many in zip(better, worse, difference, stderr, p, adjusted, strict=True)
    ]
    return tuple(sorted(decisions, key=lambda decision: decision.p_value))


def rank_intervals(scores: ArrayLike, errors: ArrayLike, *, level: float = 0.95) -> tuple[Ints, Ints]:
    """Lowest and highest rank of each model that the errors allow; rank 1 is the best.

    Each interval holds its model's true rank with probability `level` (for its own model; not for all models
    together).

    Parameters
    ----------
    scores : array_like of float, shape (models,)
        One a model, higher is better.
    errors : array_like of float, shape (draws, models)
        Simulated errors of the scores, common errors included.
    level : float, optional
        Confidence level, between 0 and 1.

    Returns
    -------
    low, high : numpy.ndarray of int, shape (models,)
        The interval of each model's rank.

    Raises
    ------
    ProxyError
        Where shapes disagree or a number is not finite.

    Notes
    -----
    A model's best rank is 1 + how many models are surely better, where "surely" holds for all its comparisons at once:
    the quantile of the largest standardised error of its differences, simulated [1]_ (above 300 models, Bonferroni's).
    Percentiles of simulated ranks would be wrong instead: noise is added to scores that are noisy already, and ties
    never show.

    References
    ----------
    .. [1] M. Mogstad, J. P. Romano, A. M. Shaikh and D. Wilhelm, Inference for Ranks with Applications to Mobility
       across Neighbourhoods and Academic Achievement across Countries, Review of Economic Studies 91 (2024).

    Examples
    --------
    >>> errors = np.random.default_rng(0).normal(size=(1000, 3))
    >>> [ranks.tolist() for ranks in rank_intervals([0.0, 1.0, 9.0], errors)]
    [[2, 2, 1], [3, 3, 1]]
    """
    s, e = _checked(scores, errors, None)
    low, high = np.ones(s.size, dtype=np.int64), np.full(s.size, s.size, dtype=np.int64)
    variance = e.var(axis=0)
    centred = e - e.mean(axis=0)
    bonferroni = float(norm.isf((1 - level) / (2 * max(s.size - 1, 1))))
    for start in range(0, s.size, 256):
        rows = slice(start, min(start + 256, s.size))
        covariance = centred[:, rows].T @ centred / e.shape[0]
        spread = np.sqrt(np.maximum(variance[rows, None] + variance[None, :] - 2 * covariance, 0.0))
        # Rounding leaves a little spread where a difference has none at all.
        spread[spread < 1e-9 * np.sqrt(variance[rows, None] + variance[None, :])] = 0.0
        gap = s[None, :] - s[rows, None]
        width = np.full(spread.shape[0], bonferroni)
        if s.size <= MOST_SIMULATED:
            for place in range(spread.shape[0]):
                usable = spread[place] > 0
                if usable.any():
                    own = centred[:, usable] - centred[:, start + place, None]
                    width[place] = np.quantile(np.abs(own / spread[place, usable]).max(axis=1), level)
        sure = width[:, None] * spread
        low[rows] = 1 + (gap > sure).sum(axis=1)
        high[rows] = s.size - (-gap > sure).sum(axis=1)
    return low, high


def chance_of_best(scores: ArrayLike, errors: ArrayLike) -> Floats:
    """Share of draws in which each model comes out first, under a flat prior on the true scores.

    Parameters
    ----------
    scores : array_like of float, shape (models,)
        One a model, higher is better.
    errors : array_like of float, shape (draws, models)
        Simulated errors of the scores, common errors included.

    Returns
    -------
    numpy.ndarray, shape (models,)
        Shares that sum to 1; ties are shared.

    Raises
    ------
    ProxyError
        Where shapes disagree or a number is not finite.
    """
    s, e = _checked(scores, errors, None)
    drawn = s - e
    best = drawn >= drawn.max(axis=1, keepdims=True)
    return np.asarray((best / best.sum(axis=1, keepdims=True)).mean(axis=0))


def tied_sets(ranks: Sequence[int], low: Sequence[int]) -> tuple[int, ...]:
    """Sets of models that may be called equal: 1 is what may be called the best, and so on down the ranking.

    A set is opened by the best model left, and takes every model left whose lowest rank reaches the opener's rank.

    Parameters
    ----------
    ranks : sequence of int
        The rank of each model, from 1.
    low : sequence of int
        The lowest rank that each model's errors allow.

    Returns
    -------
    tuple of int
        The set of each model, from 1.

    Examples
    --------
    >>> tied_sets([1, 2, 3, 4], [1, 1, 2, 4])
    (1, 1, 2, 3)
    """
    left, sets, number = sorted(range(len(ranks)), key=lambda place: ranks[place]), [0] * len(ranks), 0
    while left:
        number += 1
        opener = left[0]
        taken = [place for place in left if place == opener or low[place] <= ranks[opener]]
        for place in taken:
            sets[place] = number
        left = [place for place in left if sets[place] == 0]
    return tuple(sets)


def _checked(scores: ArrayLike, errors: ArrayLike, models: int | None) -> tuple[Floats, Floats]:
    """Scores and errors as arrays that fit each other and so many models, all finite."""
    s, e = np.asarray(scores, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    if s.ndim != 1 or e.ndim != 2 or e.shape[1] != s.size or e.shape[0] < 2:
        raise ProxyError(
            f"scores of shape {s.shape} and errors of shape {e.shape}: give a score a model, and draws x models"
        )
    if models is not None and models != s.size:
        raise ProxyError(f"{models} names for {s.size} scores: give one for each")
    if not (np.isfinite(s).all() and np.isfinite(e).all()):
        raise ProxyError("a score or its error is not finite: fill or drop the model")
    return s, e
