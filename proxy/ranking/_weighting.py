"""Weights of a ranking: given, or fitted for a target; their own uncertainty, and what the scores inherit of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from proxy._arrays import Floats, Ints
from proxy.ranking._inputs import RankingInput
from proxy.ranking.settings import RankingSettings
from proxy.weights.base import Selector, reliabilities, standardised
from proxy.weights.paper import PaperSelector
from proxy.weights.recommended import recommend, selector_named
from proxy.weights.transfer import Relevance

#: Panels are resampled so often for the error of fitted weights; the slow selector is refitted less often.
REFITS, SLOW_REFITS = 40, 10


@dataclass(frozen=True, slots=True, eq=False)
class Weighting:
    """Coefficients over all columns, sizes summing to 1, and others as plausible as they (draws x columns).

    method: "given", or the selector. aggregate: "raw" or "z".
    """

    method: str
    aggregate: str
    coefficients: Floats
    plausible: Floats
    warnings: tuple[str, ...]

    def scaled(self, columns: Floats) -> Floats:
        """Scores as they are averaged: raw, or standardised."""
        return standardised(columns) if self.aggregate == "z" else columns


def weighting_of(given: RankingInput, settings: RankingSettings) -> Weighting:
    """The weights that were given, or weights fitted for the target."""
    warnings: list[str] = []
    if given.weights is not None:
        method, aggregate, coefficients = "given", "raw", given.weights
        plausible = _task_bootstrap(coefficients, settings)
        if given.weight_draws is None:
            warnings.append("the weights' own error is not known: the tasks were resampled in its place")
    else:
        method = settings.selector
        recommended = method == "recommended"
        aggregate = "z" if recommended else selector_named(method).aggregate
        fit = (_recommended if recommended else _selected)(given, settings, warnings)
        coefficients, plausible = _refitted(fit, given, settings)
    return Weighting(
        method=method,
        aggregate=settings.aggregate or aggregate,
        coefficients=coefficients,
        plausible=plausible if given.weight_draws is None else given.weight_draws,
        warnings=tuple(warnings),
    )


def simulated_errors(given: RankingInput, weighting: Weighting, settings: RankingSettings) -> Floats:
    """Errors of the final scores, draws x models: noise of the scores under drawn weights, and the weights' own."""
    columns, generator = given.columns, np.random.default_rng([settings.seed, 2])
    count = int(np.clip(4e7 // columns.size, min(200, settings.draws), settings.draws))
    unit = np.ones(columns.shape[1])
    if weighting.aggregate == "z":
        flat = columns.std(axis=0) == 0
        unit = np.where(flat, 0.0, 1 / np.where(flat, 1.0, columns.std(axis=0)))
    scale = np.where(np.isfinite(given.deviations), given.deviations, 0.0) * unit
    used = weighting.plausible[np.arange(count) % weighting.plausible.shape[0]]
    errors = (used - weighting.coefficients) @ weighting.scaled(columns).T
    # The noise of a weighted mean of independent errors is drawn at once, with the variance of the drawn weights.
    errors += generator.standard_normal(errors.shape) * np.sqrt(used**2 @ (scale**2).T)
    return np.asarray(errors)


#: From rows of the panel to coefficients over all columns.
Fit = Callable[[Ints], Floats]


def _refitted(fit: Fit, given: RankingInput, settings: RankingSettings) -> tuple[Floats, Floats]:
    """Coefficients fitted on the whole panel, and on resampled panels."""
    _, target = given.proxy_panel()
    central = fit(np.arange(target.size))
    generator, refits = np.random.default_rng(settings.seed), []
    for _ in range(SLOW_REFITS if settings.selector == "decision" else REFITS):
        rows = generator.integers(0, target.size, target.size)
        if np.unique(rows).size >= 3 and np.ptp(target[rows]) > 0:
            refits.append(fit(rows))
    return central, np.array(refits or [central])


def _recommended(given: RankingInput, settings: RankingSettings, warnings: list[str]) -> Fit:
    """The recommended join of proxies, loss and the target's own score."""
    places, own_place = given.proxy_places, given.own_place
    panel, target = given.proxy_panel()
    own = own_noise = None
    if own_place is not None:
        own, deviation = given.columns[:, own_place], given.deviations[:, own_place]
        if np.isfinite(deviation).any():
            own_noise = float(np.sqrt(np.nanmean(deviation**2)))
        else:
            warnings.append(
                "the noise of the target's own score is not known, so that score decides alone: "
                "give its standard errors, or its noise over seeds"
            )
    # What relevance loses on the way to the candidates is learnt once, from the whole panel.
    shift: Relevance | None = None

    def fit(rows: Ints) -> Floats:
        nonlocal shift
        joined = recommend(
            panel[rows], target[rows], given.columns[:, places], noise=given.noise_of(places),
            own=own, own_noise=own_noise, loss=given.loss, same_models=given.panel_is_scored, shift=shift,
            ids=rows, seed=settings.seed,
        )  # fmt: skip
        shift = joined.shift
        coefficients = np.zeros(given.columns.shape[1])
        coefficients[places] = joined.weights
        for place, weight in ((own_place, joined.own_weight), (given.loss_place, joined.loss_weight)):
            if place is not None:
                coefficients[place] = weight
        return coefficients

    return fit


def _selected(given: RankingInput, settings: RankingSettings, warnings: list[str]) -> Fit:
    """One selector on the proxies alone."""
    places, name = given.proxy_places, settings.selector
    panel, target = given.proxy_panel()
    ratios = None if given.robustness is None else given.robustness[places]
    reliability = reliabilities(given.columns[:, places], given.noise_of(places))

    def fit(rows: Ints) -> Floats:
        selector: Selector = PaperSelector(robustness=ratios) if name == "paper" else selector_named(name)
        selector.fit(panel[rows], target[rows], reliability=reliability)
        if selector.fell_back_:
            warnings.append("no task relates to the target in the panel: equal weights were taken")
        coefficients = np.zeros(given.columns.shape[1])
        coefficients[places] = selector.weights_
        return coefficients

    return fit


def _task_bootstrap(coefficients: Floats, settings: RankingSettings) -> Floats:
    """Weights of unknown origin under a Bayesian bootstrap of the tasks: others might have been chosen."""
    generator = np.random.default_rng([settings.seed, 1])
    drawn = coefficients * generator.exponential(size=(settings.draws, coefficients.size))
    return np.asarray(drawn / np.abs(drawn).sum(axis=1, keepdims=True))
