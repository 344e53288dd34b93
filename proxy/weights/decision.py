"""Weights by expected decision accuracy: how surely seeds of a known noise order the panel's pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_ndtr

from proxy._arrays import Floats
from proxy.weights.base import Selector, standardised


class DecisionSelector(Selector):
    """Weights on the simplex that order the most pairs of the panel rightly, as far as the candidates' noise allows.

    Parameters
    ----------
    folds : int, optional
        Folds of the cross-validation that chooses the penalty, at least 2.
    floor : float, optional
        Variance added to that of a difference, above 0, so that noiseless tasks do not decide everything.
    most_pairs : int, optional
        Of more pairs than this, so many are drawn.
    seed : int, optional
        Of the folds and of the drawn pairs.

    Attributes
    ----------
    weights_ : numpy.ndarray, shape (tasks,)
        The weights, at least 0 and summing to 1.
    penalty_ : float
        The chosen penalty, one of `penalties`.
    accuracy_ : float
        Its cross-validated decision accuracy, from 0 to 1.
    fell_back_ : bool
        Whether every task is constant or all noise, so that equal weights were taken.

    Notes
    -----
    Maximises the mean over pairs of log Phi(d w / sqrt(2 w' S w + floor)), d the difference of a pair in standardised
    scores, signed by the target, and S the noise of the tasks (1 - reliability), less `penalty` times the divergence of
    w from weights in proportion to reliability. Log Phi, not Phi: a concave score has one optimum. The penalty is the
    strongest among those of the best cross-validated decision accuracy.

    Examples
    --------
    >>> panel = [[0.1, 0.9], [0.2, 0.3], [0.4, 0.5], [0.6, 0.4]]
    >>> fitted = DecisionSelector().fit(panel, [1.0, 2.0, 3.0, 4.0])
    >>> bool(fitted.weights_[0] > fitted.weights_[1])
    True
    """

    label = "decision"
    #: Penalties that are tried.
    penalties = (0.003, 0.03, 0.3, 3.0)

    def __init__(self, *, folds: int = 5, floor: float = 0.25, most_pairs: int = 4000, seed: int = 0) -> None:
        self.folds, self.floor, self.most_pairs, self.seed = folds, floor, most_pairs, seed

    def _weights(self, x: Floats, y: Floats, h: Floats) -> Floats:
        z = standardised(x)
        usable = (z.std(axis=0) > 0) & (h > 0)
        if not usable.any():
            return np.zeros(x.shape[1])
        z, h_used = z[:, usable], h[usable]
        generator = np.random.default_rng(self.seed)
        fold = generator.permutation(y.size) % min(self.folds, y.size)
        accuracies = []
        for penalty in self.penalties:
            right = total = 0.0
            for held in np.unique(fold):
                w = self._optimum(z[fold != held], y[fold != held], h_used, penalty, generator)
                d = self._pairs(z, y, generator, fold == held)
                right, total = right + float((np.sign(d @ w) + 1).sum() / 2), total + d.shape[0]
            accuracies.append(right / max(total, 1))
        # The strongest penalty among the best: a tie says that the panel cannot tell.
        best = max(accuracies)
        self.penalty_ = max(p for p, a in zip(self.penalties, accuracies, strict=True) if a >= best - 1e-12)
        self.accuracy_ = best
        weights = np.zeros(x.shape[1])
        weights[usable] = self._optimum(z, y, h_used, self.penalty_, generator)
        return weights

    def _pairs(
        self, z: Floats, y: Floats, generator: np.random.Generator, touching: NDArray[np.bool_] | None = None
    ) -> Floats:
        """Differences of pairs, the better model's score first; only pairs that touch one of some models, if given."""
        first, second = np.triu_indices(y.size, 1)
        keep = y[first] != y[second]
        if touching is not None:
            keep &= touching[first] | touching[second]
        first, second = first[keep], second[keep]
        if first.size > self.most_pairs:
            chosen = generator.choice(first.size, self.most_pairs, replace=False)
            first, second = first[chosen], second[chosen]
        return np.asarray((z[first] - z[second]) * np.sign(y[first] - y[second])[:, None])

    def _optimum(
        self, z: Floats, y: Floats, h: Floats, penalty: float, generator: np.random.Generator
    ) -> Floats:
        """The weights of the largest penalised score; weights in proportion to h where there is no pair."""
        d, noise, prior = self._pairs(z, y, generator), 1 - h, h / h.sum()
        if not d.shape[0]:
            return np.asarray(prior)

        def loss(logits: Floats) -> tuple[float, Floats]:
            w = prior * np.exp(logits - logits.max())
            w = w / w.sum()
            scale = np.sqrt(2 * (w**2 @ noise) + self.floor)
            margin = d @ w / scale
            value = log_ndtr(margin)
            slope = np.exp(-0.5 * margin**2 - value) / np.sqrt(2 * np.pi) / margin.size
            gradient = -(slope @ d) / scale + (slope @ margin) * 2 * noise * w / scale**2
            ratio = np.log(np.maximum(w, 1e-300) / prior)
            gradient = gradient + penalty * (ratio + 1)
            return -float(value.mean()) + penalty * float(w @ ratio), np.asarray(
                w * (gradient - w @ gradient)
            )

        logits = minimize(loss, np.zeros(h.size), jac=True, method="L-BFGS-B").x
        w = prior * np.exp(logits - logits.max())
        return np.asarray(w / w.sum())
