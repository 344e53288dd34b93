"""How sure a ranking by noisy proxies can be, in closed form and by simulation.

The model: configurations differ in their true ability at the target, q ~ N(0, 1). Proxy i shows
a_i q + sqrt(1 - a_i^2) u_i, u_i of its own, a_i its relevance; each training run adds seed noise of deviation
sigma_i (in units of the spread of the true proxy scores), and s seeds are averaged. Whatever the weights, score and
ability are then bivariate normal with a correlation rho, and a pair of configurations is ordered rightly with
probability 1/2 + arcsin(rho) / pi (Sheppard 1899).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from proxy._arrays import Floats
from proxy._checks import real, whole
from proxy.errors import ProxyError
from proxy.ranking.truth import decision_accuracies
from proxy.weights.base import Selector, standardised
from proxy.weights.pooled import PooledSelector


def pair_accuracy(correlation: ArrayLike) -> Floats:
    """Chance that two configurations are ordered rightly by a score of this correlation with the truth.

    Parameters
    ----------
    correlation : array_like of float
        rho, from -1 to 1, of bivariate normal score and truth.

    Returns
    -------
    numpy.ndarray
        Chances from 0 to 1, in the correlations' shape.

    Raises
    ------
    ProxyError
        For a correlation that is none.

    Notes
    -----
    1/2 + arcsin(rho) / pi [1]_.

    References
    ----------
    .. [1] W. F. Sheppard, On the Application of the Theory of Error to Cases of Normal Distribution and Normal
       Correlation, Philosophical Transactions of the Royal Society A 192 (1899).

    Examples
    --------
    >>> pair_accuracy([0.0, 0.5, 1.0]).round(4).tolist()
    [0.5, 0.6667, 1.0]
    """
    rho = np.asarray(correlation, dtype=np.float64)
    if not ((rho >= -1) & (rho <= 1)).all():
        raise ProxyError("a correlation lies between -1 and 1")
    return np.asarray(0.5 + np.arcsin(rho) / np.pi)


def expected_decision_accuracy(
    relevance: ArrayLike, noise: ArrayLike, seeds: int = 1, weights: ArrayLike | None = None
) -> float:
    """Exact decision accuracy of a weighted mean of proxies under the model of this module.

    Parameters
    ----------
    relevance : array_like of float, shape (proxies,)
        a_i, the correlation of each proxy, free of noise, with the target, from -1 to 1.
    noise : array_like of float, shape (proxies,)
        sigma_i, the standard deviation of one seed in units of the spread of true scores, at least 0.
    seeds : int, optional
        Seeds that each score is the mean of, at least 1.
    weights : array_like of float, shape (proxies,), optional
        By default the best possible ones.

    Returns
    -------
    float
        The share of pairs ordered rightly, from 0 to 1.

    Raises
    ------
    ProxyError
        For a relevance, a noise or a number of seeds out of range.

    Notes
    -----
    With v_i = 1 - a_i^2 + sigma_i^2 / seeds the correlation of score and truth is
    rho = w a / sqrt((w a)^2 + sum w_i^2 v_i); the best weights are a_i / v_i.

    Examples
    --------
    >>> round(expected_decision_accuracy([0.6] * 4, [1.0] * 4, seeds=1), 4)
    0.7397
    """
    a, sigma = np.broadcast_arrays(np.asarray(relevance, float), np.asarray(noise, float))
    if (np.abs(a) > 1).any() or (sigma < 0).any():
        raise ProxyError("relevance lies between -1 and 1, and noise is at least 0")
    own = 1 - a**2 + sigma**2 / whole("seeds", seeds, least=1)
    w = a / np.maximum(own, 1e-12) if weights is None else np.asarray(weights, dtype=np.float64)
    signal = float(w @ a)
    spread = math.sqrt(signal**2 + float(w**2 @ own))
    return float(pair_accuracy(signal / spread if spread > 0 else 0.0))


@dataclass(frozen=True, slots=True)
class Simulated:
    """Mean decision accuracy of simulated studies, its standard error, and that of the best weights.

    Parameters
    ----------
    models, tasks, seeds : int
        Candidates, proxies, and seeds of each.
    noise : float
        Of one seed, in units of the spread of true scores.
    panel : int
        Models that weights were fitted on; 0 for equal weights.
    weights : str
        The selector, or "uniform".
    decision_accuracy : float
        Mean over the studies, from 0 to 1.
    error : float
        Its standard error.
    best_possible : float
        Mean of what the best weights give.
    """

    models: int
    tasks: int
    seeds: int
    noise: float
    panel: int
    weights: str
    decision_accuracy: float
    error: float
    best_possible: float

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values.

        Returns
        -------
        dict
            The fields by name.
        """
        return {name: getattr(self, name) for name in self.__slots__}


def simulate(
    *,
    models: int = 10,
    tasks: int = 8,
    seeds: int = 1,
    noise: float = 1.0,
    relevance: tuple[float, float] = (0.2, 0.8),
    panel: int = 0,
    selector: Selector | None = None,
    replicates: int = 400,
    seed: int = 0,
) -> Simulated:
    """Simulate whole studies: relevances drawn, weights fitted on a panel, candidates ranked, the truth known.

    Parameters
    ----------
    models : int, optional
        Candidates, at least 2.
    tasks : int, optional
        Proxies, at least 1.
    seeds : int, optional
        Seeds that each score is the mean of, at least 1.
    noise : float, optional
        Standard deviation of one seed, in units of the spread of true scores, at least 0.
    relevance : tuple of float, optional
        The range from which each task's relevance is drawn evenly, anew in each study; within -1 to 1.
    panel : int, optional
        Noise-free models of the same kind to fit the selector on; 0: equal weights on standardised scores.
    selector : Selector, optional
        What weighs the tasks; by default a `PooledSelector`.
    replicates : int, optional
        Studies, at least 2.
    seed : int, optional
        Of everything drawn.

    Returns
    -------
    Simulated
        Mean decision accuracy, beside the mean of `expected_decision_accuracy` over the studies.

    Raises
    ------
    ProxyError
        For a number out of range.

    Examples
    --------
    >>> simulate(noise=0.0, replicates=20).decision_accuracy > simulate(noise=3.0, replicates=20).decision_accuracy
    True
    """
    whole("models", models, least=2), whole("tasks", tasks, least=1), whole("replicates", replicates, least=2)
    generator, accuracy, best = np.random.default_rng(seed), np.empty(replicates), np.empty(replicates)
    deviation = real("noise", noise, least=0) / math.sqrt(whole("seeds", seeds, least=1))
    fitted = selector if selector is not None else PooledSelector()
    for study in range(replicates):
        a = generator.uniform(*relevance, tasks)

        def draw(count: int, extra: float, a: Floats = a) -> tuple[Floats, Floats]:
            q = generator.standard_normal(count)
            own = np.sqrt(1 - a**2) * generator.standard_normal((count, tasks))
            return q[:, None] * a + own + extra * generator.standard_normal((count, tasks)), q

        x, q = draw(models, deviation)
        if panel:
            reliability = np.full(tasks, 1 / (1 + deviation**2))
            score = fitted.fit(*draw(panel, 0.0), reliability=reliability).predict(x)
        else:
            score = standardised(x).mean(axis=1)
        accuracy[study] = decision_accuracies(score[:, None], q)[0]
        best[study] = expected_decision_accuracy(a, noise, seeds)
    name = getattr(fitted, "label", "selector") if panel else "uniform"
    return Simulated(
        models=models,
        tasks=tasks,
        seeds=seeds,
        noise=float(noise),
        panel=panel,
        weights=name,
        decision_accuracy=float(accuracy.mean()),
        error=float(accuracy.std(ddof=1) / math.sqrt(replicates)),
        best_possible=float(best.mean()),
    )
