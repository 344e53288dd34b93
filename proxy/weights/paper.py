"""The paper's weights: relevance x phi(robustness)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import kendalltau

from proxy._arrays import Floats
from proxy._checks import one_of
from proxy.choices import PHI
from proxy.relevance.normalisation import two_way
from proxy.selection.robustness import phi_of
from proxy.weights.base import Selector


class PaperSelector(Selector):
    """Relevance x phi(robustness), the paper's formula, on raw scores.

    Parameters
    ----------
    robustness : array_like of float, shape (tasks,), optional
        Variance ratio R of each task, at least 0; NaN where unknown, which counts like the best. By default no task's
        is known.
    phi : {"sigmoid", "ratio", "none"}, optional
        What becomes of R: its logistic function (the paper's), R / (1 + R), or 1.
    normalise : bool, optional
        Whether tasks and then models are normalised before relevance is taken (the paper's two-way normalisation).
    least : float, optional
        A relevance that is not above it weighs nothing; below 0 counts as 0.

    Attributes
    ----------
    weights_ : numpy.ndarray, shape (tasks,)
        The weights, summing to 1.
    fell_back_ : bool
        Whether no task has positive relevance, so that equal weights were taken.

    Raises
    ------
    ProxyError
        For a phi that there is not.

    Notes
    -----
    With tau_i Kendall's tau of task i and the target over the panel, the weight is
    w_i = max(tau_i, 0) phi(R_i) / sum_j max(tau_j, 0) phi(R_j).

    References
    ----------
    .. [1] Predictable Emergent Abilities of LLMs: Proxy Tasks Are All You Need, arXiv 2412.07111.

    Examples
    --------
    >>> panel = [[0.1, 0.9], [0.2, 0.3], [0.4, 0.5], [0.6, 0.4]]
    >>> PaperSelector(normalise=False).fit(panel, [1.0, 2.0, 3.0, 4.0]).weights_.tolist()
    [1.0, 0.0]
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
        self.robustness, self.phi = robustness, one_of("phi", phi, PHI)
        self.normalise, self.least = normalise, least

    def _weights(self, x: Floats, y: Floats, h: Floats) -> Floats:
        usable = np.ptp(x, axis=0) > 1e-12 * np.abs(x).max(axis=0, initial=1e-300)
        table = np.column_stack([x[:, usable], y])
        table = two_way(table) if self.normalise else table
        relevance = np.zeros(x.shape[1])
        relevance[usable] = [kendalltau(column, table[:, -1]).statistic for column in table[:, :-1].T]
        return np.asarray(np.where(relevance > max(self.least, 0.0), relevance, 0.0) * self._factors(h.size))

    def _factors(self, tasks: int) -> Floats:
        """phi(R) of each task; 1 where R is unknown, and where it is infinite, which is phi's limit."""
        if self.robustness is None:
            return np.ones(tasks)
        ratios = np.asarray(self.robustness, dtype=np.float64)
        return np.array([phi_of(self.phi, float(r)) if np.isfinite(r) else 1.0 for r in ratios])
