"""The recommended way to score configurations: proxies, held-out loss and the target's own score, joined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import kendalltau

from proxy._arrays import Floats, Ints
from proxy.choices import SELECTOR_NAMES
from proxy.errors import ProxyError
from proxy.weights._correlation import correlation, fisher
from proxy.weights._join import with_loss, with_own
from proxy.weights.base import Selector, checked_panel, reliabilities, standardised, standardised_column
from proxy.weights.decision import DecisionSelector
from proxy.weights.paper import PaperSelector
from proxy.weights.pooled import PooledSelector
from proxy.weights.shrinkage import ShrinkageSelector
from proxy.weights.transfer import Relevance, cross_validated, relevance_of, shift_of

SELECTORS: dict[str, Callable[[], Selector]] = {
    "paper": PaperSelector,
    "shrinkage": ShrinkageSelector,
    "decision": DecisionSelector,
    "pooled": PooledSelector,
}
#: "recommended" chooses between these, the first where the panel cannot tell.
CHOSEN_AMONG = ("pooled", "shrinkage")


def selector_named(name: str) -> Selector:
    """An unfitted selector by its label.

    Parameters
    ----------
    name : {"paper", "shrinkage", "decision", "pooled"}
        The label.

    Returns
    -------
    Selector
        The selector with its default settings.

    Raises
    ------
    ProxyError
        Where no selector is called so.

    Examples
    --------
    >>> selector_named("pooled").label
    'pooled'
    """
    if name not in SELECTORS:
        raise ProxyError(f"no selector is called {name!r}; there are {', '.join(SELECTOR_NAMES)}")
    return SELECTORS[name]()


@dataclass(frozen=True, slots=True, eq=False)
class Recommended:
    """Coefficients on standardised scores, whose sizes sum to 1, and what they rest on.

    Parameters
    ----------
    weights : numpy.ndarray, shape (proxies,)
        Of the proxies.
    own_weight : float
        Of the target's own score, from 0 to 1.
    loss_weight : float
        Of the held-out loss, lower first, from 0 to 1.
    selector : str
        The selector that weighed the proxies, chosen by the panel's cross-validated decision accuracy.
    own_reliability : float
        Share of the own score's variance that is not noise, from 0 to 1.
    relevance : float
        Correlation of the proxies' composite, joined with the loss, with the target that is believed to hold among
        the candidates.
    panel_relevance : float
        Cross-validated correlation of the proxies' composite with the target in the panel.
    shift : Relevance
        What the proxies show of the difference between the two, on Fisher's scale.
    fell_back : bool
        Whether no proxy relates to the target, so that proxies got equal weights.
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
        """A score for each candidate, of standardised proxies, own score and loss.

        Parameters
        ----------
        scores : array_like of float, shape (candidates, proxies)
            Scores on the proxies, in the order of the fit.
        own : array_like of float, shape (candidates,), optional
            The target's own score of each candidate.
        loss : array_like of float, shape (candidates,), optional
            Held-out loss of each candidate.

        Returns
        -------
        numpy.ndarray, shape (candidates,)
            Scores to rank by, higher is better.
        """
        total = standardised(np.asarray(scores, dtype=np.float64)) @ self.weights
        for column, weight in ((own, self.own_weight), (loss, -self.loss_weight)):
            if column is not None and weight != 0:
                total = total + weight * standardised_column(column)
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
    ids: Ints | None = None,
    seed: int = 0,
) -> Recommended:
    """Weigh proxies, held-out loss and the target's own score for some candidates.

    Parameters
    ----------
    panel : array_like of float, shape (models, proxies)
        Scores of the panel, higher is better.
    panel_target : array_like of float, shape (models,)
        The target's score of each; at least 4 must be known.
    scores : array_like of float, shape (candidates, proxies)
        Scores of the candidates, without gaps.
    noise : array_like of float, shape (proxies,) or (candidates, proxies), optional
        The proxies' standard deviation over seeds, or each score's standard error; by default none is known.
    own : array_like of float, shape (candidates,), optional
        The target as seen on the candidates: PassUntil's forecast, or the plain small-scale score.
    own_noise : float, optional
        Its standard deviation, at least 0; by default there is none.
    loss : array_like of float, shape (candidates,), optional
        Held-out loss.
    same_models : bool, optional
        Whether the candidates are the panel, so that nothing is lost between them and the own score's agreement with
        the proxies has spoken already.
    shift : Relevance, optional
        What relevance loses from panel to candidates, where that is known; by default the proxies tell (see
        `proxy.weights.transfer`).
    ids : numpy.ndarray of int, shape (models,), optional
        Which model each row of the panel is, if some stand there twice.
    seed : int, optional
        Of the folds.

    Returns
    -------
    Recommended
        The coefficients, and what they rest on.

    Raises
    ------
    ProxyError
        Where panel or noise cannot be used (see `checked_panel` and `reliabilities`), or tasks differ in number.

    Notes
    -----
    Three steps. A selector weighs the proxies into one composite; the panel chooses it by cross-validated decision
    accuracy. The loss joins the composite, as relevant as it is for the proxies. The own score joins both: with h
    its reliability and r the relevance of the rest, the best linear predictor weighs them as sqrt(h) (1 - r^2) to
    r (1 - h), if they share nothing but the target [1]_. Neither h nor r is known; the weights are averaged over what
    the candidates leave of both: a prior of r from panel and shift, an arcsine prior of h, the own score's variance
    against its noise, and its correlation with the composite. A noiseless own score decides alone.

    References
    ----------
    .. [1] R. E. Fay and R. A. Herriot, Estimates of Income for Small Places: An Application of James-Stein Procedures
       to Census Data, Journal of the American Statistical Association 74 (1979).

    Examples
    --------
    >>> panel = [[0.1, 0.9], [0.2, 0.3], [0.4, 0.5], [0.6, 0.4], [0.7, 0.8]]
    >>> fit = recommend(panel, [1.0, 2.0, 3.0, 4.0, 5.0], [[0.3, 0.3], [0.5, 0.2]], own=[0.0, 1.0], own_noise=0.0)
    >>> fit.own_weight
    1.0
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
    selector = SELECTORS[name]().fit(x, y, reliability=h)
    predicted = selector.predict(candidates)
    composite = standardised_column(predicted)
    if shift is None and same_models:
        shift = Relevance(0.0, 1 / max(y.size - 3, 1))
    elif shift is None:
        shift = shift_of(SELECTORS[name], x, candidates, reliability=h, seed=seed)
    belief = Relevance(float(fisher(ahead)), 0.0).shifted(shift)
    share, loss_share, rest = 1.0, 0.0, composite
    if loss is not None:
        less = standardised_column(-np.asarray(loss, dtype=np.float64))
        loss_belief = relevance_of(less, candidates, reliability=h)
        share, loss_share, belief = with_loss(composite, less, belief, loss_belief)
        rest = share * composite + loss_share * less
    own_share, rest_share, reliability = 0.0, 1.0, 0.0
    if own is not None:
        own_share, rest_share, reliability, belief = with_own(
            rest, np.asarray(own, float), own_noise, belief, unseen=not same_models
        )
    spread = float(predicted.std())
    proxies = selector.weights_ * (rest_share * share / spread if spread > 0 else 0.0)
    parts = np.array([*proxies, own_share, rest_share * loss_share])
    if not np.abs(parts).sum() > 0:
        parts[: proxies.size] = selector.weights_
    parts = parts / np.abs(parts).sum()
    return Recommended(
        weights=parts[:-2],
        own_weight=float(parts[-2]),
        loss_weight=float(parts[-1]),
        selector=name,
        own_reliability=reliability,
        relevance=belief.correlation,
        panel_relevance=ahead,
        shift=shift,
        fell_back=selector.fell_back_,
    )


def _chosen(x: Floats, y: Floats, h: Floats, seed: int, ids: Ints | None) -> tuple[str, float]:
    """The selector that orders most of the panel's pairs rightly by weights from other folds, and its correlation."""
    predictions = {
        name: cross_validated(SELECTORS[name], x, y, reliability=h, seed=seed, ids=ids)
        for name in CHOSEN_AMONG
    }
    # Kendall's tau is decision accuracy on another scale, and takes n log n; constant scores decide nothing.
    taus = [kendalltau(np.round(z, 12), y).statistic if np.ptp(z) > 0 else 0.0 for z in predictions.values()]
    best = CHOSEN_AMONG[int(np.argmax(taus))]
    return best, correlation(predictions[best], y)
