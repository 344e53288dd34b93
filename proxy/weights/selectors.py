"""Weights for proxy tasks: the paper's formula, and selectors that go beyond it.

Every selector is fitted on a panel of models on which the target can be measured, and is then applied to the
candidates, on which it often cannot. `PaperSelector` is relevance x phi(robustness) (arXiv 2412.07111);
`ShrinkageSelector` a regression pooled towards equal weights; `proxy.weights.expected.DecisionSelector` maximises the
expected share of rightly ordered pairs under seed noise; `PooledSelector` shrinks relevance to what the panel can
tell apart and weighs it by information (`proxy.weights.recommended` chooses one, and joins the target's own score).
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import nnls
from scipy.special import expit
from scipy.stats import kendalltau

from proxy._arrays import Floats
from proxy.errors import ProxyError
from proxy.relevance.normalisation import two_way

#: Fewer models cannot show a relation.
LEAST_PANEL = 4


def checked_panel(panel: ArrayLike, target: ArrayLike) -> tuple[Floats, Floats]:
    """A panel (models x tasks) and its target (models), finite, with at least 4 models; or ProxyError."""
    x, y = np.asarray(panel, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise ProxyError(
            f"a panel of shape {x.shape} with targets of shape {y.shape}: give a target score for each model"
        )
    known = np.isfinite(y)
    if known.sum() < LEAST_PANEL:
        raise ProxyError(
            f"only {int(known.sum())} models of the panel have a target score; at least {LEAST_PANEL} are needed: "
            "measure the target on more models, or give the weights yourself"
        )
    x, y = x[known], y[known]
    if not np.isfinite(x).all():
        model, task = np.argwhere(~np.isfinite(x))[0]
        raise ProxyError(f"panel model {model} has no score on task {task}: fill it, or drop the task")
    if np.ptp(y) <= 1e-12 * np.abs(y).max(initial=1.0):
        raise ProxyError(
            f"the target is {y[0]:g} for every model of the panel: nothing relates to a constant; "
            "choose a panel that can do the target, or another target"
        )
    return x, y


def standardised(columns: Floats) -> Floats:
    """Each column with mean 0 and deviation 1; a constant column becomes 0."""
    spread = columns.std(axis=0)
    flat = spread <= 1e-12 * np.abs(columns).max(axis=0, initial=1e-300)
    return np.asarray(np.where(flat, 0.0, (columns - columns.mean(axis=0)) / np.where(flat, 1.0, spread)))


def reliabilities(candidates: Floats, noise: ArrayLike | None) -> Floats:
    """Share of each column's variance over the candidates that is not noise, from 0 to 1; 1 where noise is unknown.

    candidates: models x columns. noise: standard deviation of one column's score over seeds (columns), or of
    each score (models x columns); NaN is unknown.

    >>> reliabilities(np.array([[0.0, 1.0], [2.0, 1.1]]), [1.0, float("nan")]).tolist()
    [0.5, 1.0]
    """
    if noise is None:
        return np.ones(candidates.shape[1])
    deviation = np.asarray(noise, dtype=np.float64)
    if deviation.shape not in (candidates.shape, candidates.shape[1:]):
        raise ProxyError(
            f"noise of shape {deviation.shape} for scores of shape {candidates.shape}: give a standard deviation "
            "for each task, or for each score"
        )
    if (deviation < 0).any():
        raise ProxyError(f"noise holds {np.nanmin(deviation):g}: a standard deviation is not below 0")
    square = deviation**2
    known = np.isfinite(square)
    counted = known.sum(axis=0) if square.ndim == 2 else known.astype(float)
    average = (
        np.where(known, square, 0.0).sum(axis=0) / np.maximum(counted, 1) if square.ndim == 2 else square
    )
    total = candidates.var(axis=0, ddof=1)
    share = 1 - np.where(counted > 0, average, 0.0) / np.where(total > 0, total, 1.0)
    return np.asarray(np.where(total > 0, np.clip(share, 0.0, 1.0), 0.0))


class Selector:
    """What all selectors share: `fit`, then `weights_` (summing to 1 in size) and `predict`.

    aggregate: "raw", a weighted mean of scores as they are; or "z", of scores standardised over the candidates.
    """

    label: ClassVar[str]
    aggregate: str = "z"
    weights_: Floats

    def fit(self, panel: ArrayLike, target: ArrayLike, *, reliability: ArrayLike | None = None) -> Self:
        """Fit on a panel (models x tasks) and the target's score of each of its models.

        reliability: of each task among the candidates (see `reliabilities`). Raises ProxyError as
        `checked_panel` does.
        """
        x, y = checked_panel(panel, target)
        h = np.ones(x.shape[1]) if reliability is None else np.asarray(reliability, dtype=np.float64)
        if h.shape != x.shape[1:]:
            raise ProxyError(f"{h.size} reliabilities for {x.shape[1]} tasks: give one for each")
        found = self._weights(x, y, h)
        size = np.abs(found).sum()
        #: No positive relation at all: equal weights, and `fell_back_` says so.
        self.fell_back_ = not size > 0
        self.weights_ = np.full(found.size, 1 / found.size) if self.fell_back_ else found / size
        return self

    def _weights(self, x: Floats, y: Floats, h: Floats) -> Floats:
        raise NotImplementedError

    def predict(self, scores: ArrayLike) -> Floats:
        """A score for each candidate (models x tasks, the tasks of the panel in their order)."""
        x = np.asarray(scores, dtype=np.float64)
        return np.asarray((standardised(x) if self.aggregate == "z" else x) @ self.weights_)


class PaperSelector(Selector):
    """Relevance x phi(robustness), the paper's formula: Kendall's tau after two-way normalisation, raw scores.

    robustness: variance ratio of each task, if known. phi: "sigmoid" (the paper's), "ratio" (R / (1 + R)) or
    "none". two_way: normalise tasks, then models (the paper's), or not. least: relevance below it weighs nothing.
    """

    label = "paper"
    aggregate = "raw"

    def __init__(
        self,
        *,
        robustness: ArrayLike | None = None,
        phi: str = "sigmoid",
        normalise: bool = True,
        least: float = 0.0,
    ) -> None:
        if phi not in ("sigmoid", "ratio", "none"):
            raise ProxyError(f"phi must be sigmoid, ratio or none, not {phi!r}")
        self.robustness, self.phi, self.normalise, self.least = robustness, phi, normalise, least

    def _weights(self, x: Floats, y: Floats, h: Floats) -> Floats:
        usable = np.ptp(x, axis=0) > 1e-12 * np.abs(x).max(axis=0, initial=1e-300)
        table = np.column_stack([x[:, usable], y])
        table = two_way(table) if self.normalise else table
        relevance = np.zeros(x.shape[1])
        relevance[usable] = [kendalltau(column, table[:, -1]).statistic for column in table[:, :-1].T]
        factor = np.ones(x.shape[1])
        if self.robustness is not None and self.phi != "none":
            ratio = np.asarray(self.robustness, dtype=np.float64)
            value = (
                expit(ratio) if self.phi == "sigmoid" else np.where(np.isinf(ratio), 1.0, ratio / (1 + ratio))
            )
            factor = np.where(np.isnan(ratio), 1.0, value)
        return np.asarray(np.where(relevance > max(self.least, 0.0), relevance, 0.0) * factor)


class ShrinkageSelector(Selector):
    """Ridge regression of the target on standardised tasks, pooled towards equal weights.

    The target is explained by the mean of the tasks, weighted by the root of their reliability, and by each
    task's own departure, which a penalty holds down; the penalty is chosen by leave-one-model-out error
    (`penalty_`; the largest means: this mean alone). nonnegative: no weight below 0.
    """

    label = "shrinkage"
    penalties = np.geomspace(0.03, 1e4, 12)

    def __init__(self, *, nonnegative: bool = True) -> None:
        self.nonnegative = nonnegative

    def _weights(self, x: Floats, y: Floats, h: Floats) -> Floats:
        z, t = standardised(x) * np.sqrt(h), standardised(y[:, None])[:, 0]
        common = z.mean(axis=1)
        self.penalty_ = float(self.penalties[int(np.argmin(left_out_errors(z, common, t, self.penalties)))])
        if not self.nonnegative:
            return (self._coefficients(z, common, t, self.penalty_)) * np.sqrt(h)
        # Rows that pull every weight towards the common one, which is fitted first and may not be negative.
        level = max(float(common @ t) / max(float(common @ common), 1e-12), 0.0) / z.shape[1]
        pull = np.sqrt(self.penalty_) * np.eye(z.shape[1])
        found, _ = nnls(np.vstack([z, pull]), np.concatenate([t, pull @ np.full(z.shape[1], level)]))
        return np.asarray(found * np.sqrt(h))

    @staticmethod
    def _coefficients(z: Floats, common: Floats, t: Floats, penalty: float) -> Floats:
        level = float(common @ t) / max(float(common @ common), 1e-12)
        rest = t - level * common
        gram = z.T @ z + penalty * np.eye(z.shape[1])
        return np.asarray(level / z.shape[1] + np.linalg.solve(gram, z.T @ rest))


def left_out_errors(z: Floats, common: Floats, t: Floats, penalties: ArrayLike) -> list[float]:
    """Mean squared error, for each penalty, of each model predicted from the others by mean, common part and ridge.

    By the hat matrices of the steps, of which only the diagonals are needed: 1 / n, first = c c' / c'c, and the ridge's
    U g U' (with z = U d V', g = d^2 / (d^2 + penalty)) of what the first step leaves.
    """
    left, sizes, _ = np.linalg.svd(z, full_matrices=False)
    size = max(float(common @ common), 1e-12)
    first = common * float(common @ t) / size
    of_rest, of_common = left.T @ (t - first), left.T @ common
    errors = []
    for penalty in np.asarray(penalties, dtype=np.float64):
        kept = sizes**2 / (sizes**2 + penalty)
        fitted = t.mean() + first + left @ (kept * of_rest)
        own = 1 / t.size + common**2 / size + left**2 @ kept - (left @ (kept * of_common)) * common / size
        errors.append(float(np.mean(((t - fitted) / np.maximum(1 - own, 1e-3)) ** 2)))
    return errors


def shrunken_relevance(x: Floats, y: Floats) -> Floats:
    """Correlation of each task with the target, shrunk to their mean as far as the panel cannot tell them apart.

    On Fisher's scale a correlation of n models has variance 1 / (n - 3); what the tasks' correlations vary beyond
    that is taken as real (an empirical-Bayes or James-Stein estimate). Constant tasks get 0.
    """
    z, t = standardised(x), standardised(y[:, None])[:, 0]
    usable = z.std(axis=0) > 0
    raw = np.clip(z.T @ t / t.size, -0.999, 0.999)
    fisher = np.arctanh(raw[usable])
    if fisher.size < 2:
        return np.asarray(np.where(usable, raw, 0.0))
    within = 1 / max(t.size - 3, 1)
    between = max(float(fisher.var(ddof=1)) - within, 0.0)
    kept = between / (between + within)
    found = np.zeros(x.shape[1])
    found[usable] = np.tanh(fisher.mean() + kept * (fisher - fisher.mean()))
    return found


class PooledSelector(Selector):
    """Shrunken relevance, weighed by information, on standardised scores.

    With a = shrunken relevance (`shrunken_relevance`) times the root of reliability, a task weighs a / (1 - a^2): the
    best linear predictor of the target if tasks share nothing but what they tell of it (Bartlett's weights of one
    factor), and never far from equal weights when the panel is small. No a is taken above .95 or below 0.
    """

    label = "pooled"

    def _weights(self, x: Floats, y: Floats, h: Floats) -> Floats:
        self.relevance_ = shrunken_relevance(x, y)
        known = np.clip(self.relevance_ * np.sqrt(h), 0.0, 0.95)
        return np.asarray(known / (1 - known**2))
