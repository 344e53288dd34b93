"""Weights by relevance, shrunk to what the panel can tell apart and weighed by information."""

from __future__ import annotations

import numpy as np

from proxy._arrays import Floats
from proxy.weights.base import Selector, standardised, standardised_column


def shrunken_relevance(x: Floats, y: Floats) -> Floats:
    """Correlation of each task with the target, shrunk to the tasks' mean as far as the panel cannot tell them apart.

    Parameters
    ----------
    x : numpy.ndarray of float, shape (models, tasks)
        Scores of the panel, without gaps.
    y : numpy.ndarray of float, shape (models,)
        The target's score of each model.

    Returns
    -------
    numpy.ndarray, shape (tasks,)
        Shrunken correlations from -1 to 1; 0 for a constant task.

    Notes
    -----
    On Fisher's scale, z = atanh(correlation), the correlation of n models has variance v = 1 / (n - 3). What the
    tasks' z vary beyond that, b = max(var(z) - v, 0), is taken as real: z becomes mean(z) + b / (b + v) (z - mean(z)),
    an empirical-Bayes estimate.

    References
    ----------
    .. [1] B. Efron and C. Morris, Stein's Estimation Rule and Its Competitors: An Empirical Bayes Approach, Journal
       of the American Statistical Association 68 (1973).
    """
    z, t = standardised(x), standardised_column(y)
    usable = z.std(axis=0) > 0
    raw = np.clip(z.T @ t / t.size, -0.999, 0.999)
    fisher = np.arctanh(raw[usable])
    if fisher.size < 2:
        return np.asarray(np.where(usable, raw, 0.0))
    within = 1 / max(t.size - 3, 1)
    between = max(float(fisher.var(ddof=1)) - within, 0.0)
    kept = between / (between + within)
    shrunken = np.zeros(x.shape[1])
    shrunken[usable] = np.tanh(fisher.mean() + kept * (fisher - fisher.mean()))
    return shrunken


class PooledSelector(Selector):
    """Shrunken relevance, weighed by information, on standardised scores.

    Attributes
    ----------
    weights_ : numpy.ndarray, shape (tasks,)
        The weights, summing to 1.
    relevance_ : numpy.ndarray, shape (tasks,)
        Shrunken correlation of each task with the target (see `shrunken_relevance`).
    fell_back_ : bool
        Whether no task has positive relevance, so that equal weights were taken.

    Notes
    -----
    With a = relevance times the root of reliability, a task weighs a / (1 - a^2): the best linear predictor of the
    target if tasks share nothing but what they tell of it (Bartlett's weights of one factor), and never far from equal
    weights when the panel is small. No a is taken above .95 or below 0.

    References
    ----------
    .. [1] M. S. Bartlett, The Statistical Conception of Mental Factors, British Journal of Psychology 28 (1937).

    Examples
    --------
    >>> panel = [[0.1, 0.9], [0.2, 0.3], [0.4, 0.5], [0.6, 0.4]]
    >>> PooledSelector().fit(panel, [1.0, 2.0, 3.0, 4.0]).weights_.round(2).tolist()
    [1.0, 0.0]
    """

    label = "pooled"
    relevance_: Floats

    def _weights(self, x: Floats, y: Floats, h: Floats) -> Floats:
        self.relevance_ = shrunken_relevance(x, y)
        known = np.clip(self.relevance_ * np.sqrt(h), 0.0, 0.95)
        return np.asarray(known / (1 - known**2))
