"""Simulated series of models: instances that obey the law, and the counts that a stopping rule leaves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
#: The population: log c ~ N(MEAN, SD), alpha ~ |N(MEAN, SD)|, with sizes in billions.
LOG_C, ALPHA = (float(np.log(7.0)), 0.45), (0.22, 0.06)


def lawful_population(
    generator: np.random.Generator,
    sizes: Array,
    instances: int,
    *,
    training_noise: float = 0.0,
    cell_noise: float = 0.0,
    accelerated: float = 0.0,
) -> tuple[Array, Array, Array]:
    """(p, c, alpha): pass probabilities (instances, sizes) of instances with spread-out c and alpha.

    log c ~ N(log 7, .45^2), alpha ~ |N(.22, .06^2)|, sizes in billions: the setting of docs/method.md.
    training_noise: sd of each model's own deviation; cell_noise: sd of each cell's. accelerated: share of
    the instances with a second, steeper circuit (alpha three times as large, crossing at the sizes' middle);
    the better circuit counts.
    """
    log_c = generator.normal(*LOG_C, instances)
    alpha = np.abs(generator.normal(*ALPHA, instances))
    x = np.log(sizes)
    eta = log_c[:, None] - alpha[:, None] * x
    if accelerated:
        crossing = x.mean() + 0.3 * generator.standard_normal(instances)
        second = (
            log_c[:, None]
            - alpha[:, None] * crossing[:, None]
            - 3.0 * alpha[:, None] * (x - crossing[:, None])
        )
        has = generator.random(instances) < accelerated
        eta = np.where(has[:, None], np.minimum(eta, second), eta)
    eta = eta + training_noise * generator.standard_normal(sizes.size)
    eta = eta + cell_noise * generator.standard_normal(eta.shape)
    return np.exp(-np.exp(eta)), np.exp(log_c), alpha


def of_known_population(sizes: Array, draws: Ints, passes: Ints, target: float) -> float:
    """The task mean at `target` that somebody expects who knows the population and that the law is true.

    Posterior means by quadrature over (log c, alpha) on 49 x 49 nodes. No estimate from the same counts has a
    smaller mean square error, so what is left is the noise of the draws.
    """
    node = np.linspace(-4.0, 4.0, 49)
    u, v = np.meshgrid(node, node, indexing="ij")
    log_c, alpha = LOG_C[0] + LOG_C[1] * u, np.abs(ALPHA[0] + ALPHA[1] * v)
    log_p = -np.exp(log_c - alpha * np.log(sizes)[:, None, None])
    log_rest = np.log(-np.expm1(log_p))
    s, missed = passes.astype(np.float64), (draws - passes).astype(np.float64)
    log_weight = np.einsum("mj,juv->muv", s, log_p) + np.einsum("mj,juv->muv", missed, log_rest)
    log_weight -= (u**2 + v**2) / 2.0
    weight = np.exp(log_weight - log_weight.max(axis=(1, 2), keepdims=True))
    there = np.exp(-np.exp(log_c - alpha * np.log(target)))
    return float(((weight * there).sum(axis=(1, 2)) / weight.sum(axis=(1, 2))).mean())


def draw_counts(
    generator: np.random.Generator, p: Array, *, r: int, floor: int, cap: int
) -> tuple[Ints, Ints]:
    """(draws, passes) of every cell: at least `floor` draws, then until the r-th pass, at most `cap`.

    A pass is drawn by the gap before it (a geometric number of draws), so small p cost nothing.
    """
    passes = generator.binomial(floor, p).astype(np.int64)
    place = np.full(p.shape, floor, dtype=np.int64)
    missing = np.maximum(r - passes, 0)
    for step in range(1, r + 1):
        wanted = missing >= step
        gaps = generator.geometric(np.maximum(p[wanted], 1e-15))
        place[wanted] = np.minimum(place[wanted] + np.minimum(gaps, cap + 1), 2 * cap + 2)
        passes += wanted & (place <= cap)
    return np.where(passes >= r, np.maximum(place, floor), cap), passes
