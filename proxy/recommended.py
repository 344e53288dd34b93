"""The recommended way to score configurations: pooled proxies, joined with the target's own small-scale score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy.errors import ProxyError
from proxy.expected import DecisionSelector
from proxy.selectors import (
    PaperSelector,
    PooledSelector,
    Selector,
    ShrinkageSelector,
    checked_panel,
    reliabilities,
    standardised,
)

Floats = NDArray[np.float64]

#: The panel's word on how the proxies go with the target counts as this many candidates. Fixed before the
#: held-out data sets were loaded (docs/log.md).
PANEL_COUNTS_AS = 8
FOLDS = 10

SELECTORS: dict[str, Callable[[], Selector]] = {
    "paper": PaperSelector,
    "shrinkage": ShrinkageSelector,
    "decision": DecisionSelector,
    "pooled": PooledSelector,
}
#: "recommended" is "pooled" joined with the target's own score.
SELECTOR_NAMES = (*SELECTORS, "recommended")


def selector_named(name: str) -> Selector:
    """A selector by its label; ProxyError names the labels there are."""
    if name not in SELECTORS:
        raise ProxyError(f"no selector is called {name!r}; there are {', '.join(SELECTOR_NAMES)}")
    return SELECTORS[name]()


@dataclass(frozen=True, slots=True, eq=False)
class Recommended:
    """Coefficients on standardised scores, and what they rest on.

    weights: of the proxies; own_weight: of the target's own score; together they sum to 1. own_reliability: share of
    the own score's variance that is not noise. relevance: of the proxies' composite to the target, from panel
    and candidates. panel_relevance: the panel's alone, cross-validated.
    """

    weights: Floats
    own_weight: float
    own_reliability: float
    relevance: float
    panel_relevance: float
    fell_back: bool

    def predict(self, scores: ArrayLike, own: ArrayLike | None = None) -> Floats:
        """A score for each candidate, of standardised proxies and own score."""
        total = standardised(np.asarray(scores, dtype=np.float64)) @ self.weights
        if own is not None and self.own_weight > 0:
            total = total + self.own_weight * standardised(np.asarray(own, dtype=np.float64)[:, None])[:, 0]
        return np.asarray(total)


def recommend(
    panel: ArrayLike,
    panel_target: ArrayLike,
    scores: ArrayLike,
    *,
    noise: ArrayLike | None = None,
    own: ArrayLike | None = None,
    own_noise: float | None = None,
    seed: int = 0,
) -> Recommended:
    """Fit the recommended selector.

    panel, panel_target: models x proxies with the target's score of each. scores: candidates x proxies. noise: the
    proxies' deviation over seeds (or each score's standard error). own: the target as seen on the candidates:
    PassUntil's forecast, or the plain small-scale score; own_noise: its deviation, None for none. seed: of the folds.

    With h the own score's reliability and r the relevance of the proxies' composite, own and composite weigh as
    sqrt(h) (1 - r^2) to r (1 - h): the best linear predictor of the target from the two, if they share nothing
    but the target (Fay and Herriot 1979 so joined direct and synthetic estimates). A noiseless own score decides
    alone, one that is all noise not at all. r averages, on Fisher's scale, the panel's cross-validated
    correlation, counted as 8 models, and that among the candidates, corrected for the own score's noise.

    Raises ProxyError as `checked_panel` and `reliabilities` do.
    """
    x, y = checked_panel(panel, panel_target)
    candidates = np.asarray(scores, dtype=np.float64)
    if candidates.ndim != 2 or candidates.shape[1] != x.shape[1]:
        raise ProxyError(
            f"candidates of shape {candidates.shape} for {x.shape[1]} proxies: give the same tasks"
        )
    h = reliabilities(candidates, noise)
    selector = PooledSelector().fit(x, y, reliability=h)
    ahead = _cross_validated(x, y, h, seed)
    if own is None:
        return Recommended(selector.weights_, 0.0, 0.0, ahead, ahead, selector.fell_back_)
    column = np.asarray(own, dtype=np.float64)
    deviation = None if own_noise is None or np.isnan(own_noise) else [float(own_noise)]
    reliability = float(reliabilities(column[:, None], deviation)[0])
    composite = selector.predict(candidates)
    seen = _correlation(composite, column) / np.sqrt(max(reliability, 0.1))
    counts = max(column.size - 3, 0) * reliability
    fisher = PANEL_COUNTS_AS * np.arctanh(_bounded(ahead)) + counts * np.arctanh(_bounded(seen))
    relevance = float(max(np.tanh(fisher / (PANEL_COUNTS_AS + counts)), 0.0))
    to_own = np.sqrt(reliability) * (1 - relevance**2)
    to_composite = relevance * (1 - reliability) if composite.std() > 0 else 0.0
    if to_own + to_composite == 0:
        to_own, to_composite = 0.0, 1.0
    own_weight = float(to_own / (to_own + to_composite))
    # The composite is standardised as a whole before it is joined.
    spread = composite.std()
    share = np.array([own_weight, (1 - own_weight) / spread if spread > 0 else 0.0])
    weights = share[1] * selector.weights_
    total = share[0] + weights.sum()
    return Recommended(
        weights / total, float(share[0] / total), reliability, relevance, ahead, selector.fell_back_
    )


def _bounded(correlation: float) -> float:
    return float(np.clip(correlation, -0.95, 0.95))


def _correlation(a: Floats, b: Floats) -> float:
    z = standardised(np.column_stack([a, b]))
    return float(z[:, 0] @ z[:, 1] / z.shape[0])


def _cross_validated(x: Floats, y: Floats, h: Floats, seed: int) -> float:
    """Correlation of the target with its prediction by weights from the other folds of the panel."""
    fold = np.random.default_rng(seed).permutation(np.arange(y.size) % min(y.size, FOLDS))
    z, predicted = standardised(x), np.zeros(y.size)
    for held in np.unique(fold):
        rest = fold != held
        if rest.sum() >= 4 and np.ptp(y[rest]) > 0:
            predicted[~rest] = z[~rest] @ PooledSelector().fit(x[rest], y[rest], reliability=h).weights_
    return _correlation(predicted, y)
