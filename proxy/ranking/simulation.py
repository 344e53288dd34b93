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
from proxy.weights.selectors import PooledSelector, Selector, standardised


def pair_accuracy(correlation: ArrayLike) -> Floats:
    """Chance that two configurations are ordered rightly by a score of this correlation with the truth.

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

    relevance: a_i, from -1 to 1. noise: sigma_i of one seed, at least 0. weights: by default the best possible ones,
    a_i / (1 - a_i^2 + sigma_i^2 / seeds).

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
    """Mean decision accuracy of `replicates` simulated studies, its standard error, and that of the best weights."""

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
        """Plain JSON values."""
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

    models: candidates. relevance: the range from which each task's a_i is drawn evenly, anew in each study. panel:
    noise-free models of the same kind to fit `selector` on (by default `PooledSelector`); 0: uniform weights on
    standardised scores. best_possible: the mean of `expected_decision_accuracy` over the studies.
    """
    whole("models", models, least=2), whole("tasks", tasks, least=1), whole("replicates", replicates, least=2)
    generator, found, best = np.random.default_rng(seed), np.empty(replicates), np.empty(replicates)
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
        found[study] = decision_accuracies(score[:, None], q)[0]
        best[study] = expected_decision_accuracy(a, noise, seeds)
    name = getattr(fitted, "label", "selector") if panel else "uniform"
    error = float(found.std(ddof=1) / math.sqrt(replicates))
    return Simulated(
        models, tasks, seeds, float(noise), panel, name, float(found.mean()), error, float(best.mean())
    )
