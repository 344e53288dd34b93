"""Ranking of training configurations by proxy scores, with what it can and cannot decide beside it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from proxy._arrays import Floats
from proxy._checks import confidence, one_of, whole
from proxy.errors import ProxyError
from proxy.ranking.controls import Control, RandomWeights, control_scores, judged, random_weights
from proxy.ranking.decisions import Decision, chance_of_best, pairwise_decisions, rank_intervals, tied_sets
from proxy.ranking.fitted_weights import checked_draws, fitted_weights, simulated_errors, task_bootstrap
from proxy.ranking.inputs import read_input, weights_by_task
from proxy.ranking.truth import TruthComparison, compare_with_truth
from proxy.weights.recommended import SELECTOR_NAMES
from proxy.weights.selectors import standardised

FEW_MODELS = 4


@dataclass(frozen=True, slots=True)
class RankedModel:
    """One configuration: its score, its rank (1 is best, equal scores share the lowest) and the rank's range.

    rank_low, rank_high: the ranks that the known errors allow. probability_best: under a flat prior. tied_set: 1 for
    those that may be called the best, and so on (see `proxy.ranking.decisions.tied_sets`).
    """

    model: str
    score: float
    rank: int
    rank_low: int
    rank_high: int
    probability_best: float
    tied_set: int

    def as_dict(self) -> dict[str, Any]:
        """The configuration in the JSON shape."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Ranking:
    """Configurations from best to worst, with the decisions, the controls and, where known, the truth.

    weights: of tasks (and of "passuntil", a forecast), sizes summing to 1. aggregate: "raw" or "z". decisions: pairs,
    the surest first. controls: by name; "random" is a distribution. warnings: one sentence each.
    """

    ranking: tuple[RankedModel, ...]
    weights: dict[str, float]
    method: str
    aggregate: str
    target: str | None
    truth: TruthComparison | None
    controls: dict[str, Control | RandomWeights]
    decisions: tuple[Decision, ...]
    level: float
    draws: int
    seed: int
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The ranking as plain JSON values (no NaN)."""
        return {
            "ranking": [one.as_dict() for one in self.ranking],
            "truth": None if self.truth is None else self.truth.as_dict(),
            "controls": {name: control.as_dict() for name, control in self.controls.items()},
            "weights": dict(self.weights),
            "method": self.method,
            "aggregate": self.aggregate,
            "target": self.target,
            "decisions": [one.as_dict() for one in self.decisions],
            "decided_pairs": sum(one.decided for one in self.decisions),
            "level": self.level,
            "draws": self.draws,
            "seed": self.seed,
            "warnings": list(self.warnings),
        }


def rank_configurations(
    scores: ArrayLike,
    models: Sequence[str],
    tasks: Sequence[str],
    *,
    weights: Mapping[str, float] | Sequence[float] | None = None,
    target: str | None = None,
    selector: str = "recommended",
    panel: ArrayLike | None = None,
    truth: Mapping[str, float] | ArrayLike | None = None,
    truth_direction: int = 1,
    direction: Mapping[str, int] | int = 1,
    stderr: ArrayLike | None = None,
    noise: ArrayLike | Mapping[str, float] | None = None,
    robustness: ArrayLike | Mapping[str, float] | None = None,
    budget: Sequence[Hashable] | Mapping[str, Hashable] | None = None,
    loss: ArrayLike | Mapping[str, float] | None = None,
    forecast: ArrayLike | Mapping[str, float] | None = None,
    forecast_noise: float | None = None,
    weight_draws: ArrayLike | None = None,
    aggregate: str | None = None,
    gaps: str = "refuse",
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Ranking:
    """Rank configurations by given weights, or by weights fitted for a target.

    scores: models x tasks, NaN a gap. weights: task -> weight (absent: 0), or one a task. target: a task that is what
    matters; without weights, they are fitted by `selector` ("recommended", "pooled", "shrinkage", "decision" or
    "paper") on `panel`, models x tasks in the same columns (NaN allowed for models without the target); by
    default the scored models themselves are the panel. The target's own column enters only under "recommended".
    direction: 1 where higher is better, -1 where lower, a task or all. truth: model -> value at the large scale (some
    may be missing), with truth_direction. budget: a label a model; only equal budgets are compared with the truth.
    stderr: standard errors of the scores (models x tasks). noise: deviation over seeds, a task or a score.
    robustness: variance ratio of each task, for the paper's formula. loss: held-out loss or perplexity of each
    model. forecast: PassUntil's forecast of the target (forecast_noise its deviation): a control, and under
    "recommended" the target's own score.
    weight_draws: draws x tasks, plausible weights. aggregate: weighted mean of "raw" scores, or "z"; by default raw
    for given weights, as in the paper, and what the selector was fitted for. gaps: "refuse", or "drop" the tasks
    that have one. level, draws, seed: of the intervals, which are simulated.

    Intervals rest on three sources of error. Scores: stderr and noise, independent of each other. Weights: given
    draws; else refits on resampled panels; else, for weights of unknown origin, a Bayesian bootstrap of the tasks
    (other tasks might have been chosen). Every result carries `warnings` that say what is missing.

    Raises ProxyError for names that do not fit, gaps, a truth of unknown models, weights that sum to nothing,
    a target or panel that cannot be used.

    >>> found = rank_configurations([[0.2, 0.3], [0.5, 0.6], [0.4, 0.7], [0.1, 0.1]], "abcd", ["x", "y"],
    ...                             weights={"x": 1, "y": 1}, noise=[0.05, 0.05],
    ...                             truth={"a": 1, "b": 3, "c": 4, "d": 0})
    >>> [(one.model, one.rank) for one in found.ranking], found.truth.inversions
    ([('b', 1), ('c', 1), ('a', 3), ('d', 4)], 0)
    """
    level, seed, draws = confidence(level), whole("seed", seed), whole("draws", draws, least=100)
    one_of("selector", selector, SELECTOR_NAMES)
    given = read_input(
        scores, models, tasks, direction=direction, truth=truth, truth_direction=truth_direction,
        stderr=stderr, noise=noise, robustness=robustness, budget=budget, loss=loss, forecast=forecast,
        target=target, panel=panel, gaps=one_of("gaps", gaps, ("refuse", "drop")),
        weighted=weights_by_task(weights, tasks),
    )  # fmt: skip
    warnings = list(given.warnings)
    if weights is not None:
        method, coefficients = "given", given.weights
        how = one_of("aggregate", aggregate or "raw", ("raw", "z"))
        spread = task_bootstrap(coefficients, draws, seed)
        warnings.append("the weights' own error is not known: the tasks were resampled in its place")
    elif target is not None:
        method = selector
        coefficients, how, refits = fitted_weights(given, selector, forecast_noise, seed, warnings)
        how = one_of("aggregate", aggregate or how, ("raw", "z"))
        spread = np.array(refits)
    else:
        raise ProxyError("nothing to rank by: give weights, or the target whose weights are to be fitted")
    if weight_draws is not None:
        spread = checked_draws(weight_draws, len(tasks), given)
        warnings = [w for w in warnings if not w.startswith("the weights' own error")]
    columns, deviations = given.columns, given.deviations(forecast_noise)
    scaled = standardised(columns) if how == "z" else columns
    final = scaled @ coefficients
    errors, count = simulated_errors(scaled, columns, deviations, coefficients, spread, how, draws, seed)
    warnings += _doubts(final, deviations, coefficients)
    low, high = rank_intervals(final, errors, level=level)
    rank = rankdata(-np.round(final, 12), method="min").astype(int)
    best, sets = chance_of_best(final, errors), tied_sets(rank.tolist(), low.tolist())
    order = np.lexsort((np.arange(rank.size), rank))
    # A sum of losses is shown as one again: the sign was turned only to sort.
    sign = -1.0 if given.all_lower and how == "raw" and target is None else 1.0
    ranked = tuple(
        RankedModel(
            given.models[i], float(sign * final[i]), int(rank[i]), int(min(low[i], rank[i])),
            int(max(high[i], rank[i])), float(best[i]), sets[i],
        )
        for i in order
    )  # fmt: skip
    proxies = given.proxy_places
    controls: dict[str, Control | RandomWeights] = {
        name: judged(name, values, what, final, given.truth, given.budget, seed)
        for name, (values, what) in control_scores(
            columns[:, proxies], [given.names[i] for i in proxies], noise=given.noise_of(proxies),
            target=given.own, loss=given.loss, forecast=given.forecast, aggregate=how,
        ).items()
    }  # fmt: skip
    controls["random"] = random_weights(
        columns[:, proxies], final, given.truth, aggregate=how, budget=given.budget, seed=seed
    )
    return Ranking(
        ranking=ranked,
        weights={given.names[i]: float(c) for i, c in enumerate(coefficients) if c != 0},
        method=method,
        aggregate=how,
        target=target,
        truth=None
        if given.truth is None
        else compare_with_truth(np.round(final, 12), given.truth, budget=given.budget, seed=seed),
        controls=controls,
        decisions=pairwise_decisions(final, errors, given.models, level=level),
        level=level,
        draws=count,
        seed=seed,
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _doubts(final: Floats, deviations: Floats, coefficients: Floats) -> list[str]:
    found = []
    if not np.isfinite(deviations[:, coefficients != 0]).any():
        found.append(
            "neither standard errors nor seed noise are known: the intervals hold the weights' error only"
        )
    if final.size < FEW_MODELS:
        found.append(f"only {final.size} models: no ranking of so few can reach p = .05 against chance")
    if np.ptp(final) == 0:
        found.append("every model has the same score: the ranking says nothing")
    if (coefficients < 0).any():
        found.append("some weights are negative: those tasks count against a model")
    return found
