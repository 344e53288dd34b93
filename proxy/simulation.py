"""How sure a ranking by noisy proxies can be, in closed form and by simulation, and how many seeds are worth buying.

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
from numpy.typing import ArrayLike, NDArray
from scipy.stats import f as f_distribution

from proxy._checks import confidence, real, whole
from proxy.errors import ProxyError
from proxy.selectors import PooledSelector, Selector, standardised
from proxy.truth import decision_accuracies

Floats = NDArray[np.float64]


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


@dataclass(frozen=True, slots=True)
class SeedAdvice:
    """How many seeds a configuration to train, and what each number gives.

    seeds: the smallest number from which one more gains less than `least_gain` of decision accuracy (and no later one
    more). accuracy: expected decision accuracy with 1, 2, ... seeds. limit: with endless seeds. low, high: the
    accuracy at `seeds`, at the ends of the interval of the signal's share. reliability: share of the variance of
    single-seed scores that is signal, and its interval. sentence: the advice in words.
    """

    seeds: int
    accuracy: tuple[float, ...]
    limit: float
    low: float
    high: float
    reliability: float
    reliability_low: float
    reliability_high: float
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__} | {"accuracy": list(self.accuracy)}


def seeds_worth_buying(
    *,
    spread: float,
    noise: float,
    models: int,
    noise_runs: int,
    relevance: float = 1.0,
    seeds_had: int = 1,
    least_gain: float = 0.01,
    most: int = 20,
    level: float = 0.95,
) -> SeedAdvice:
    """Say before training how many seeds a configuration are worth their cost.

    spread: standard deviation of the score over the configurations of a pilot, each the mean of `seeds_had` seeds.
    noise: standard deviation of the score over seeds of one configuration. models, noise_runs: how many
    runs each was computed from (at least 2). relevance: correlation of the score, free of noise, with the truth.
    least_gain: decision accuracy that one more seed must bring. most: the largest number considered.

    The signal is spread^2 - noise^2 / seeds_had, at least 0; its interval comes from the F distribution of the ratio
    of the two variances. Seeds cannot mend an irrelevant score: `limit` says what they can reach.

    Raises ProxyError for values out of range.

    >>> advice = seeds_worth_buying(spread=1.5, noise=1.0, models=12, noise_runs=6)
    >>> advice.seeds, round(advice.accuracy[0], 3), round(advice.limit, 3)
    (5, 0.768, 1.0)
    """
    spread, noise = real("spread", spread, least=0), real("noise", noise, least=0)
    relevance, least_gain = (
        real("relevance", relevance, least=0, most=1),
        real("least_gain", least_gain, least=1e-6),
    )
    models, noise_runs = whole("models", models, least=2), whole("noise_runs", noise_runs, least=2)
    seeds_had, most, level = (
        whole("seeds_had", seeds_had, least=1),
        whole("most", most, least=1),
        confidence(level),
    )
    if spread == 0 and noise == 0:
        raise ProxyError("spread and noise are both 0: the score is the same everywhere and tells nothing")
    ratio = seeds_had * spread**2 / noise**2 if noise > 0 else math.inf
    free = (models - 1, noise_runs - 1)
    tail = (1 - level) / 2
    bounds = (ratio / f_distribution.isf(tail, *free), ratio, ratio / f_distribution.ppf(tail, *free))
    # In units of the noise of one seed: the variance of true scores, seeds_had of which make a ratio of 1 + that.
    signals = [max(float(bound) - 1, 0.0) / seeds_had for bound in bounds]

    def accuracies(signal: float) -> Floats:
        count = np.arange(1, most + 2)
        share = np.ones(count.size) if math.isinf(signal) else signal / (signal + 1 / count)
        return pair_accuracy(relevance * np.sqrt(share))

    central = accuracies(signals[1])
    gains = np.diff(central)
    worth = np.flatnonzero(gains >= least_gain)
    seeds = min(int(worth[-1]) + 2 if worth.size else 1, most)
    low, high = float(accuracies(signals[0])[seeds - 1]), float(accuracies(signals[2])[seeds - 1])
    limit = float(pair_accuracy(relevance if signals[1] > 0 else 0.0))
    shares = [1.0 if math.isinf(s) else s / (s + 1) for s in signals]
    if signals[1] == 0:
        said = "the configurations differ no more than seeds do: this pilot cannot tell that any number of seeds helps"
    else:
        said = (
            f"{seeds} seed{'s' if seeds > 1 else ''} a configuration: decision accuracy {central[seeds - 1]:.2f} "
            f"[{low:.2f}, {high:.2f}], with one seed {central[0]:.2f}, at most {limit:.2f} with endless seeds"
        )
    return SeedAdvice(
        seeds, tuple(central[:most].tolist()), limit, low, high, shares[1], shares[0], shares[2], said
    )
