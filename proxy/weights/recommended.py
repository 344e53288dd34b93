"""The recommended way to score configurations: proxies, held-out loss and the target's own score, joined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kendalltau

from proxy._arrays import Floats
from proxy.errors import ProxyError
from proxy.weights.expected import DecisionSelector
from proxy.weights.selectors import (
    PaperSelector,
    PooledSelector,
    Selector,
    ShrinkageSelector,
    checked_panel,
    reliabilities,
    standardised,
)
from proxy.weights.transfer import (
    LARGEST,
    Relevance,
    correlation,
    cross_validated,
    fisher,
    relevance_of,
    shift_of,
)

SELECTORS: dict[str, Callable[[], Selector]] = {
    "paper": PaperSelector,
    "shrinkage": ShrinkageSelector,
    "decision": DecisionSelector,
    "pooled": PooledSelector,
}
#: "recommended" chooses between these, the first where the panel cannot tell.
CHOSEN_AMONG = ("pooled", "shrinkage")
SELECTOR_NAMES = (*SELECTORS, "recommended")
#: Cells of the grids over which the join averages, for the relevance (Fisher's scale) and the own reliability.
GRID = (np.linspace(-2.2, 2.2, 89), np.sin(np.pi / 2 * (np.arange(60) + 0.5) / 60) ** 2)


def selector_named(name: str) -> Selector:
    """A selector by its label; ProxyError names the labels there are."""
    if name not in SELECTORS:
        raise ProxyError(f"no selector is called {name!r}; there are {', '.join(SELECTOR_NAMES)}")
    return SELECTORS[name]()


@dataclass(frozen=True, slots=True, eq=False)
class Recommended:
    """Coefficients on standardised scores, and what they rest on.

    weights: of the proxies; loss_weight: of the held-out loss, lower first; own_weight: of the target's own score;
    together they sum to 1. selector: the one that weighed the proxies, chosen by the panel's cross-validated
    decision accuracy. own_reliability: share of the own score's variance that is not noise. panel_relevance: of
    the proxies' composite to the target in the panel, cross-validated; relevance: what is believed of it (joined with
    the loss) among the candidates. shift: what the proxies show of the difference, on Fisher's scale.
    """

    weights: Floats
    own_weight: float
    loss_weight: float
    selector: str
    own_reliability: float
    relevance: float
    panel_relevance: float
    shift: Relevance
    fell_back: bool

    def predict(
        self, scores: ArrayLike, own: ArrayLike | None = None, loss: ArrayLike | None = None
    ) -> Floats:
        """A score for each candidate, of standardised proxies, own score and loss."""
        total = standardised(np.asarray(scores, dtype=np.float64)) @ self.weights
        for column, weight in ((own, self.own_weight), (loss, -self.loss_weight)):
            if column is not None and weight != 0:
                total = total + weight * standardised(np.asarray(column, dtype=np.float64)[:, None])[:, 0]
        return np.asarray(total)


def recommend(
    panel: ArrayLike,
    panel_target: ArrayLike,
    scores: ArrayLike,
    *,
    noise: ArrayLike | None = None,
    own: ArrayLike | None = None,
    own_noise: float | None = None,
    loss: ArrayLike | None = None,
    same_models: bool = False,
    shift: Relevance | None = None,
    ids: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Recommended:
    """Fit the recommended selector.

    panel, panel_target: models x proxies with the target's score of each. scores: candidates x proxies. noise: the
    proxies' deviation over seeds (or each score's standard error). own: the target as seen on the candidates:
    PassUntil's forecast, or the plain small-scale score; own_noise: its deviation, None for none. loss: held-out loss
    of each candidate. same_models: the candidates are the panel, so that nothing is lost between them and the own
    score's agreement with the proxies has spoken already. shift: what relevance loses from panel to candidates, where
    that is known (by default it is learnt from the proxies, see `proxy.weights.transfer`). ids: which model each row
    of the panel is, if some stand there twice. seed: of the folds.

    Three steps. A selector weighs the proxies into one composite; the panel chooses it by cross-validated decision
    accuracy. The loss joins the composite, as relevant as it is for the proxies. The own score joins
    both: with h its reliability and r the relevance of the rest, the best linear predictor weighs them as sqrt(h)
    (1 - r^2) to r (1 - h), if they share nothing but the target (Fay and Herriot 1979 so joined direct and
    synthetic estimates). Neither h nor r is known; the weights are averaged over what the candidates leave of both:
    a prior of r from panel and shift, an arcsine prior of h, the own score's variance against its noise, and its
    correlation with the composite. A noiseless own score decides alone.

    Raises ProxyError as `checked_panel` and `reliabilities` do.
    """
    x, y = checked_panel(panel, panel_target)
    if ids is not None:
        ids = ids[np.isfinite(np.asarray(panel_target, dtype=np.float64))]
    candidates = np.asarray(scores, dtype=np.float64)
    if candidates.ndim != 2 or candidates.shape[1] != x.shape[1]:
        raise ProxyError(
            f"candidates of shape {candidates.shape} for {x.shape[1]} proxies: give the same tasks"
        )
    h = reliabilities(candidates, noise)
    name, ahead = _chosen(x, y, h, seed, ids)
    make = SELECTORS[name]
    selector = make().fit(x, y, reliability=h)
    composite = standardised(selector.predict(candidates)[:, None])[:, 0]
    if shift is None:
        shift = (
            Relevance(0.0, 1 / max(y.size - 3, 1)) if same_models else shift_of(make, x, candidates, h, seed)
        )
    belief = Relevance(float(fisher(ahead)), 0.0).shifted(shift)
    share, loss_share = 1.0, 0.0
    if loss is not None:
        less = standardised(-np.asarray(loss, dtype=np.float64)[:, None])[:, 0]
        share, loss_share, belief = _with_loss(composite, less, belief, relevance_of(less, candidates, h))
    rest = share * composite + (loss_share * less if loss is not None else 0.0)
    own_share, rest_share, reliability = 0.0, 1.0, 0.0
    if own is not None:
        own_share, rest_share, reliability, belief = _with_own(
            rest, np.asarray(own, float), own_noise, belief, unseen=not same_models
        )
    spread = float(selector.predict(candidates).std())
    proxies = selector.weights_ * (rest_share * share / spread if spread > 0 else 0.0)
    parts = np.array([*proxies, own_share, rest_share * loss_share])
    if not np.abs(parts).sum() > 0:
        parts[: proxies.size] = selector.weights_
    parts = parts / np.abs(parts).sum()
    return Recommended(
        parts[:-2], float(parts[-2]), float(parts[-1]), name, reliability, belief.correlation, ahead, shift,
        selector.fell_back_,
    )  # fmt: skip


def _chosen(x: Floats, y: Floats, h: Floats, seed: int, ids: NDArray[np.int64] | None) -> tuple[str, float]:
    """The selector that orders most of the panel's pairs rightly by weights from other folds, and its correlation."""
    found = {name: cross_validated(SELECTORS[name], x, y, h, seed, ids) for name in CHOSEN_AMONG}
    # Kendall's tau is decision accuracy on another scale, and takes n log n; constant scores decide nothing.
    taus = [kendalltau(np.round(z, 12), y).statistic if np.ptp(z) > 0 else 0.0 for z in found.values()]
    best = CHOSEN_AMONG[int(np.argmax(taus))]
    return best, correlation(found[best], y)


def _with_loss(
    composite: Floats, less: Floats, one: Relevance, two: Relevance
) -> tuple[float, float, Relevance]:
    """Shares of composite and loss (standardised, higher is better) in their best sum, of deviation 1; its relevance.

    The two are taken to share at least what both tell of the target: nothing may weigh by making up for the other.
    """
    r, s = one.correlation, two.correlation
    if s <= 0 or not less.any():
        return 1.0, 0.0, one
    seen = correlation(composite, less)
    both = float(np.clip(max(seen, r * s), -LARGEST, LARGEST))
    share, loss_share = max(r - both * s, 0.0), max(s - both * r, 0.0)
    if share == loss_share == 0:
        share, loss_share = float(r >= s), float(r < s)
    together = max((share * r + loss_share * s) / _size(share, loss_share, both), 0.0)
    variance = (share * one.variance + loss_share * two.variance) / (share + loss_share)
    size = _size(share, loss_share, seen)
    return share / size, loss_share / size, Relevance(float(fisher(together)), variance)


def _size(a: float, b: float, correlated: float) -> float:
    return float(np.sqrt(max(a * a + b * b + 2 * a * b * correlated, 1e-12)))


def _with_own(
    rest: Floats, own: Floats, own_noise: float | None, belief: Relevance, *, unseen: bool
) -> tuple[float, float, float, Relevance]:
    """Shares of the own score and the rest, the own score's reliability, and the belief of the rest's relevance."""
    n, variance = own.size, float(own.var(ddof=1))
    square = 0.0 if own_noise is None or np.isnan(own_noise) else float(own_noise) ** 2
    if square <= 1e-9 * variance:
        return (1.0, 0.0, 1.0, belief) if variance > 0 else (0.0, 1.0, 0.0, belief)
    z, h = GRID[0][:, None], GRID[1][None, :]
    r = np.tanh(z)
    log = -((z - belief.mean) ** 2) / (2 * belief.variance)
    # The own score's variance is its noise / (1 - h), seen with n - 1 degrees of freedom.
    log = log + (n - 1) / 2 * (np.log1p(-h) - (1 - h) * variance / square)
    if unseen and n > 3 and rest.any() and variance > 0:
        log = log - (n - 3) / 2 * (fisher(correlation(rest, own)) - np.arctanh(r * np.sqrt(h))) ** 2
    chance = np.exp(log - log.max())
    chance /= chance.sum()
    whole = 1 - r**2 * h
    own_share = float((chance * np.sqrt(h) * (1 - r**2) / whole).sum())
    rest_share = max(float((chance * r * (1 - h) / whole).sum()), 0.0)
    mean = float((chance * z).sum())
    after = Relevance(mean, float((chance * (z - mean) ** 2).sum()))
    return own_share, rest_share, float((chance * h).sum()), after
