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
from numpy.typing import NDArray

from proxy._arrays import Floats
from proxy.weights.selectors import Selector, standardised

FOLDS = 10
#: A proxy of which less than this share is signal cannot play the target.
LEAST_RELIABILITY = 0.1
#: So many candidates tell nothing: the error of their correlations has no bound.
TOO_FEW = 3
#: Correlations are kept this far from 1, where Fisher's scale is endless.
LARGEST = 0.95
#: Variance, on Fisher's scale, of what a relevance may lose from panel to candidates before anything is seen.
PRIOR = 1.0
#: Spread of that loss between tasks, at least: no two tasks lose quite the same.
LEAST_SPREAD = 0.02


@dataclass(frozen=True, slots=True)
class Relevance:
    """A belief about a correlation among the candidates, on Fisher's scale: normal with this mean and variance."""

    mean: float
    variance: float

    @property
    def correlation(self) -> float:
        """The correlation at the mean, bounded by .95 either way."""
        return float(np.clip(np.tanh(self.mean), -LARGEST, LARGEST))

    def shifted(self, shift: Relevance) -> Relevance:
        """This belief after a shift that is itself uncertain."""
        return Relevance(self.mean + shift.mean, shift.variance)


def fisher(correlation: Floats | float) -> Floats:
    """atanh of a correlation, bounded; NaN stays."""
    return np.asarray(np.arctanh(np.clip(correlation, -LARGEST, LARGEST)))


def correlation(a: Floats, b: Floats) -> float:
    """Pearson's, 0 where either is constant."""
    z = standardised(np.column_stack([a, b]))
    return float(z[:, 0] @ z[:, 1] / z.shape[0])


def cross_validated(
    make: Callable[[], Selector],
    x: Floats,
    y: Floats,
    h: Floats,
    seed: int,
    ids: NDArray[np.int64] | None = None,
) -> Floats:
    """Scores of the panel's models by weights from the other folds; 0 where these cannot be fitted.

    ids: which model a row is, where a bootstrap has drawn some twice: they share a fold.
    """
    ids = np.arange(y.size) if ids is None else ids
    _, which = np.unique(ids, return_inverse=True)
    count = int(which.max()) + 1
    fold = np.random.default_rng(seed).permutation(np.arange(count) % min(count, FOLDS))[which]
    z, predicted = standardised(x), np.zeros(y.size)
    for held in np.unique(fold):
        rest = fold != held
        if rest.sum() >= 4 and np.ptp(y[rest]) > 0:
            predicted[~rest] = z[~rest] @ make().fit(x[rest], y[rest], reliability=h).weights_
    return predicted


def shift_of(
    make: Callable[[], Selector], panel: Floats, candidates: Floats, reliability: Floats, seed: int = 0
) -> Relevance:
    """What a composite's relevance loses from panel (models x proxies) to candidates, by every proxy as the target.

    The mean loss is shrunk to 0 as far as so few candidates cannot tell (the error of a correlation of n models,
    1 / (n - 3), is common to all proxies); the variance adds how much the proxies differ.
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
        there = correlation(cross_validated(make, x, y, h, seed), y)
        composite = make().fit(x, y, reliability=h).predict(candidates[:, rest])
        here = correlation(composite, candidates[:, place]) / np.sqrt(reliability[place])
        losses.append(float(fisher(here) - fisher(there)))
        shares.append(float(reliability[place]))
    return _shrunken(losses, shares, len(candidates))


def relevance_of(scores: Floats, candidates: Floats, reliability: Floats) -> Relevance:
    """Relevance for the target of a score that no panel knows (held-out loss): as for the proxies, on average."""
    usable = np.flatnonzero((reliability > LEAST_RELIABILITY) & (np.ptp(candidates, axis=0) > 0))
    found = [fisher(correlation(scores, candidates[:, i]) / np.sqrt(reliability[i])) for i in usable]
    return _shrunken([float(one) for one in found], reliability[usable].tolist(), len(scores))


def _shrunken(values: list[float], shares: list[float], models: int) -> Relevance:
    if not values or models <= TOO_FEW:
        return Relevance(0.0, PRIOR)
    error = 1 / (models - 3)
    mean = float(np.average(values, weights=shares))
    spread = float(np.average((np.array(values) - mean) ** 2, weights=shares))
    return Relevance(
        mean * PRIOR / (PRIOR + error), PRIOR * error / (PRIOR + error) + max(spread, LEAST_SPREAD)
    )
