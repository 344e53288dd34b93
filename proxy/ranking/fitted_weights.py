"""Weights of a ranking: fitted for a target, their own uncertainty, and what the scores inherit of both."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy._arrays import Floats
from proxy.errors import ProxyError
from proxy.ranking.inputs import RankingInput
from proxy.weights.recommended import Recommended, recommend, selector_named
from proxy.weights.selectors import reliabilities

REFITS = 40


def fitted_weights(
    given: RankingInput, selector: str, forecast_noise: float | None, seed: int, warnings: list[str]
) -> tuple[Floats, str, list[Floats]]:
    """Coefficients over all columns for a target, their aggregation, and refits on resampled panels."""
    places = given.proxy_places
    if not places:
        raise ProxyError("the target is the only task without gaps: give at least one proxy task beside it")
    x, y = given.panel_of(places)
    candidates, noise = given.columns[:, places], given.noise_of(places)
    own_place = given.own_place
    own_noise = None
    if own_place is not None:
        column = given.deviations(forecast_noise)[:, own_place]
        own_noise = float(np.sqrt(np.nanmean(column**2))) if np.isfinite(column).any() else None

    loss_place = given.loss_place
    central: Recommended | None = None

    def coefficients(rows: NDArray[np.int64]) -> tuple[Floats, str]:
        nonlocal central
        found = np.zeros(given.columns.shape[1])
        if selector == "recommended":
            fit = recommend(
                x[rows], y[rows], candidates, noise=noise, own_noise=own_noise, loss=given.loss,
                own=None if own_place is None else given.columns[:, own_place],
                same_models=given.panel_is_scored, shift=None if central is None else central.shift,
                ids=rows, seed=seed,
            )  # fmt: skip
            central = central or fit
            found[places] = fit.weights
            for place, weight in ((own_place, fit.own_weight), (loss_place, fit.loss_weight)):
                if place is not None:
                    found[place] = weight
            return found, "z"
        one = selector_named(selector)
        if selector == "paper":
            one.robustness = None if given.robustness is None else given.robustness[places]  # type: ignore[attr-defined]
        one.fit(x[rows], y[rows], reliability=reliabilities(candidates, noise))
        if one.fell_back_:
            warnings.append("no task relates to the target in the panel: equal weights were taken")
        found[places] = one.weights_
        return found, one.aggregate

    weights, how = coefficients(np.arange(y.size))
    if own_place is not None and selector == "recommended" and own_noise is None:
        warnings.append(
            "the noise of the target's own score is not known, so that score decides alone: give stderr or noise"
        )
    generator, refits = np.random.default_rng(seed), []
    for _ in range(REFITS if selector != "decision" else REFITS // 4):
        rows = generator.integers(0, y.size, y.size)
        if np.unique(rows).size >= 3 and np.ptp(y[rows]) > 0:
            refits.append(coefficients(rows)[0])
    return weights, how, refits or [weights]


def task_bootstrap(coefficients: Floats, draws: int, seed: int) -> Floats:
    generator = np.random.default_rng([seed, 1])
    drawn = coefficients * generator.exponential(size=(draws, coefficients.size))
    return np.asarray(drawn / np.abs(drawn).sum(axis=1, keepdims=True))


def checked_draws(weight_draws: ArrayLike, tasks: int, given: RankingInput) -> Floats:
    drawn = np.asarray(weight_draws, dtype=np.float64)
    if drawn.ndim != 2 or drawn.shape[1] != tasks or not np.isfinite(drawn).all():
        raise ProxyError(
            f"weight_draws of shape {drawn.shape} for {tasks} tasks: give draws x tasks, all finite"
        )
    size = np.abs(drawn).sum(axis=1, keepdims=True)
    if (size == 0).any():
        raise ProxyError("a row of weight_draws is 0 throughout: drop it")
    full = np.zeros((drawn.shape[0], given.columns.shape[1]))
    full[:, : len(given.kept)] = (drawn / size)[:, given.kept]
    return full


def simulated_errors(
    scaled: Floats, columns: Floats, deviations: Floats, central: Floats, spread: Floats,
    how: str, draws: int, seed: int,
) -> tuple[Floats, int]:  # fmt: skip
    """Errors of the final scores, draws x models: noise of the scores under drawn weights, and the weights' own."""
    generator = np.random.default_rng([seed, 2])
    count = int(np.clip(4e7 // columns.size, min(200, draws), draws))
    unit = np.ones(columns.shape[1])
    if how == "z":
        flat = columns.std(axis=0) == 0
        unit = np.where(flat, 0.0, 1 / np.where(flat, 1.0, columns.std(axis=0)))
    scale = np.where(np.isfinite(deviations), deviations, 0.0) * unit
    used = spread[np.arange(count) % spread.shape[0]]
    errors = (used - central) @ scaled.T
    # The noise of a weighted mean of independent errors is drawn at once, with the variance of the drawn weights.
    errors += generator.standard_normal(errors.shape) * np.sqrt(used**2 @ (scale**2).T)
    return np.asarray(errors), count
