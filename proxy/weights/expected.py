"""Weights by expected decision accuracy: how surely seeds of a known noise order the panel's pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtr

from proxy._arrays import Floats
from proxy.weights.selectors import Selector, standardised


def expected_accuracy(difference: ArrayLike, noise: ArrayLike) -> Floats:
    """Chance that a true difference is seen the right way round when each side carries `noise` (a deviation).

    >>> float(expected_accuracy(0.0, 1.0)), round(float(expected_accuracy(1.0, 0.5)), 4)
    (0.5, 0.9214)
    """
    d, sigma = np.broadcast_arrays(np.abs(np.asarray(difference, float)), np.asarray(noise, float))
    safe = np.where(sigma > 0, sigma, 1.0)
    return np.asarray(np.where(sigma > 0, ndtr(d / (np.sqrt(2) * safe)), np.where(d > 0, 1.0, 0.5)))


class DecisionSelector(Selector):
    """Weights on the simplex that order the most pairs of the panel rightly, as seeds of the candidates' noise allow.

    Maximises the mean over pairs of log Phi(d w / sqrt(2 w' S w + floor)), d the difference of a pair in
    standardised scores, signed by the target; S the noise of the tasks (1 - reliability), less
    `penalty` times the divergence of w from weights in proportion to reliability. Log Phi, not Phi: a
    concave score has one optimum. The penalty is chosen by cross-validated decision accuracy (`penalty_`).
    """

    label = "decision"
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
        found = np.zeros(x.shape[1])
        found[usable] = self._optimum(z, y, h_used, self.penalty_, generator)
        return found

    def _pairs(
        self, z: Floats, y: Floats, generator: np.random.Generator, touching: NDArray[np.bool_] | None = None
    ) -> Floats:
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

        found = minimize(loss, np.zeros(h.size), jac=True, method="L-BFGS-B").x
        w = prior * np.exp(found - found.max())
        return np.asarray(w / w.sum())
