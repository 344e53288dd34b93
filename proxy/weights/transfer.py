"""Does what the panel says hold among the candidates? Asked of every proxy in the target's place.

A panel of models of many sizes says that everything relates to everything, because larger models are better at it
all; among candidates of one size nothing may. The target is not known among the candidates, but the proxies are: each
in turn plays the target, is predicted from the others as the panel teaches, and is held against its own scores. What
the proxies' relevances lose on the way from panel to candidates, the target's is taken to lose too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from proxy._arrays import Floats
from proxy.weights._correlation import LARGEST, correlation, fisher
from proxy.weights.base import Selector, standardised

FOLDS = 10
#: A proxy of which less than this share is signal cannot play the target.
LEAST_RELIABILITY = 0.1
#: So many candidates tell nothing: the error of their correlations has no bound.
TOO_FEW = 3
#: Variance, on Fisher's scale, of what a relevance may lose from panel to candidates before anything is seen.
PRIOR = 1.0
#: Spread of that loss between tasks, at least: no two tasks lose quite the same.
LEAST_SPREAD = 0.02


@dataclass(frozen=True, slots=True)
class Relevance:
    """A normal belief about a correlation among the candidates, on Fisher's scale.

    Parameters
    ----------
    mean : float
        Mean of atanh(correlation).
    variance : float
        Its variance, at least 0.
    """

    mean: float
    variance: float

    @property
    def correlation(self) -> float:
        """The correlation at the mean, bounded by .95 either way."""
        return float(np.clip(np.tanh(self.mean), -LARGEST, LARGEST))

    def shifted(self, shift: Relevance) -> Relevance:
        """This belief after a shift that is itself uncertain.

        Parameters
        ----------
        shift : Relevance
            What is added on Fisher's scale; its variance takes the place of this belief's.

        Returns
        -------
        Relevance
            The shifted belief.
        """
        return Relevance(self.mean + shift.mean, shift.variance)


def cross_validated(
    make: Callable[[], Selector],
    x: Floats,
    y: Floats,
    *,
    reliability: ArrayLike,
    seed: int = 0,
    ids: ArrayLike | None = None,
) -> Floats:
    """Scores of the panel's models by weights from the other folds.

    Parameters
    ----------
    make : callable
        Makes an unfitted selector.
    x : numpy.ndarray of float, shape (models, tasks)
        Scores of the panel, without gaps.
    y : numpy.ndarray of float, shape (models,)
        The target's score of each model.
    reliability : array_like of float, shape (tasks,)
        Of each task, from 0 to 1.
    seed : int, optional
        Of the folds, of which there are at most 10.
    ids : array_like of int, shape (models,), optional
        Which model a row is, where a bootstrap has drawn some twice: they share a fold.

    Returns
    -------
    numpy.ndarray, shape (models,)
        Scores on standardised tasks; 0 where weights cannot be fitted without the fold.
    """
    _, which = np.unique(np.arange(y.size) if ids is None else ids, return_inverse=True)
    count = int(which.max()) + 1
    fold = np.random.default_rng(seed).permutation(np.arange(count) % min(count, FOLDS))[which]
    z, predicted = standardised(x), np.zeros(y.size)
    for held in np.unique(fold):
        rest = fold != held
        if rest.sum() >= 4 and np.ptp(y[rest]) > 0:
            predicted[~rest] = z[~rest] @ make().fit(x[rest], y[rest], reliability=reliability).weights_
    return predicted


def shift_of(
    make: Callable[[], Selector], panel: Floats, candidates: Floats, *, reliability: Floats, seed: int = 0
) -> Relevance:
    """What a composite's relevance loses from panel to candidates, by every proxy in the target's place.

    Parameters
    ----------
    make : callable
        Makes an unfitted selector.
    panel : numpy.ndarray of float, shape (models, proxies)
        Scores of the panel.
    candidates : numpy.ndarray of float, shape (candidates, proxies)
        Scores of the candidates on the same proxies; 3 or fewer tell nothing.
    reliability : numpy.ndarray of float, shape (proxies,)
        Of each proxy among the candidates, from 0 to 1; one below .1 does not play the target.
    seed : int, optional
        Of the folds.

    Returns
    -------
    Relevance
        The shift on Fisher's scale, below 0 where relevance is lost.

    Notes
    -----
    The mean loss is shrunk to 0 as far as so few candidates cannot tell: the error of a correlation of n models,
    1 / (n - 3), is common to all proxies. The variance adds how much the proxies differ.
    """
    losses: list[float] = []
    shares: list[float] = []
    if len(candidates) <= TOO_FEW:
        return _shrunken(losses, shares, len(candidates))
    for place in np.flatnonzero((reliability > LEAST_RELIABILITY) & (np.ptp(panel, axis=0) > 0)):
        rest = np.arange(panel.shape[1]) != place
        if not rest.any() or np.ptp(candidates[:, place]) == 0:
            continue
        x, y, h = panel[:, rest], panel[:, place], reliability[rest]
        there = correlation(cross_validated(make, x, y, reliability=h, seed=seed), y)
        composite = make().fit(x, y, reliability=h).predict(candidates[:, rest])
        here = correlation(composite, candidates[:, place]) / np.sqrt(reliability[place])
        losses.append(float(fisher(here) - fisher(there)))
        shares.append(float(reliability[place]))
    return _shrunken(losses, shares, len(candidates))


def relevance_of(scores: Floats, candidates: Floats, *, reliability: Floats) -> Relevance:
    """Relevance for the target of a score that no panel knows, such as held-out loss: as for the proxies, on average.

    Parameters
    ----------
    scores : numpy.ndarray of float, shape (candidates,)
        The score in question, higher is better.
    candidates : numpy.ndarray of float, shape (candidates, proxies)
        Scores of the candidates on the proxies.
    reliability : numpy.ndarray of float, shape (proxies,)
        Of each proxy among the candidates, from 0 to 1; one below .1 is not asked.

    Returns
    -------
    Relevance
        The belief about its correlation with the target, on Fisher's scale.
    """
    usable = np.flatnonzero((reliability > LEAST_RELIABILITY) & (np.ptp(candidates, axis=0) > 0))
    relevances = [
        float(fisher(correlation(scores, candidates[:, i]) / np.sqrt(reliability[i]))) for i in usable
    ]
    return _shrunken(relevances, reliability[usable].tolist(), len(scores))


def _shrunken(values: list[float], shares: list[float], models: int) -> Relevance:
    """A belief from what several proxies say, each with its share; the prior where they say nothing."""
    if not values or models <= TOO_FEW:
        return Relevance(0.0, PRIOR)
    error = 1 / (models - 3)
    mean = float(np.average(values, weights=shares))
    spread = float(np.average((np.array(values) - mean) ** 2, weights=shares))
    return Relevance(
        mean * PRIOR / (PRIOR + error), PRIOR * error / (PRIOR + error) + max(spread, LEAST_SPREAD)
    )
