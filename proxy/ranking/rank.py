"""Ranking of training configurations by proxy scores, with what it can and cannot decide beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from proxy._arrays import Floats
from proxy.ranking._inputs import RankingInput, read_input
from proxy.ranking._weighting import Weighting, simulated_errors, weighting_of
from proxy.ranking.controls import Control, RandomWeights, control_scores, judged, random_weights
from proxy.ranking.decisions import Decision, chance_of_best, pairwise_decisions, rank_intervals, tied_sets
from proxy.ranking.evidence import Evidence
from proxy.ranking.settings import RankingSettings
from proxy.ranking.truth import Truth, TruthComparison, compare_with_truth
from proxy.scores.matrix import ScoreMatrix

FEW_MODELS = 4
NOTHING_BESIDE, DEFAULTS = Evidence(), RankingSettings()


@dataclass(frozen=True, slots=True)
class RankedModel:
    """One configuration: its score, its rank and the rank's range.

    Parameters
    ----------
    model : str
        Its name.
    score : float
        Its weighted score; of losses that all count downwards, a loss again.
    rank : int
        From 1, the best; equal scores share the lowest.
    rank_low, rank_high : int
        The ranks that the known errors allow.
    probability_best : float
        Chance that it is the best, under a flat prior.
    tied_set : int
        1 for those that may be called the best, and so on (see `proxy.ranking.decisions.tied_sets`).
    """

    model: str
    score: float
    rank: int
    rank_low: int
    rank_high: int
    probability_best: float
    tied_set: int

    def as_dict(self) -> dict[str, Any]:
        """The configuration in the JSON shape.

        Returns
        -------
        dict
            The fields by name.
        """
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Ranking:
    """Configurations from best to worst, with the decisions, the controls and, where known, the truth.

    Parameters
    ----------
    ranking : tuple of RankedModel
        From best to worst.
    weights : dict of str to float
        Of the tasks (and of "passuntil", a forecast, and "held-out loss"), sizes summing to 1; without zeros.
    method : str
        "given", or the selector that fitted the weights.
    aggregate : {"raw", "z"}
        What was averaged: raw or standardised scores.
    target : str or None
        What the weights were fitted for.
    truth : TruthComparison or None
        How the ranking agrees with the truth, where there is one.
    controls : dict of str to Control or RandomWeights
        What the ranking must beat, by name; "random" is a distribution.
    decisions : tuple of Decision
        Pairs, the surest first.
    level : float
        Of intervals and decisions.
    draws : int
        Simulated errors behind them.
    seed : int
        Of everything drawn.
    warnings : tuple of str
        What a reader must know, a sentence each.
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
        """The ranking as plain JSON values.

        Returns
        -------
        dict
            The fields by name and `decided_pairs`, without NaN.
        """
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
    matrix: ScoreMatrix,
    settings: RankingSettings = DEFAULTS,
    *,
    weights: Mapping[str, float] | ArrayLike | None = None,
    target: str | None = None,
    panel: ScoreMatrix | None = None,
    evidence: Evidence = NOTHING_BESIDE,
    truth: Truth | None = None,
) -> Ranking:
    """Rank configurations by given weights, or by weights fitted for a target.

    Parameters
    ----------
    matrix : ScoreMatrix
        Scores of at least 2 configurations on the tasks, with their directions and, where known, standard errors.
    settings : RankingSettings, optional
        The choices: selector, aggregate, what becomes of gaps, and level, draws and seed of the simulated intervals.
    weights : mapping of str to float, or array_like of shape (tasks,), optional
        Of the tasks (absent: 0), in any scale.
    target : str, optional
        The task that matters; without weights, they are fitted for it. Its own column enters only under the selector
        "recommended".
    panel : ScoreMatrix, optional
        Models to fit the weights on, with the matrix's tasks and in its directions; a model without the target is left
        out. By default the scored models themselves.
    evidence : Evidence, optional
        What is known beside the scores: noise over seeds, robustness, held-out loss, a forecast, plausible weights.
    truth : Truth, optional
        What the configurations reached at the large scale, to judge by; it never enters the ranking.

    Returns
    -------
    Ranking
        Configurations in order with rank intervals, decisions, controls, and `warnings` that say what is missing.

    Raises
    ------
    ProxyError
        Where there are neither weights nor a target, names do not fit, scores have gaps, weights sum to nothing, or
        the target or the panel cannot be learned from.

    Notes
    -----
    Intervals rest on three sources of error. Scores: standard errors and noise, independent of each other. Weights:
    plausible ones where they are given; else refits on resampled panels; else, for weights of unknown origin, a
    Bayesian bootstrap of the tasks (other tasks might have been chosen).

    References
    ----------
    .. [1] Predictable Emergent Abilities of LLMs: Proxy Tasks Are All You Need, arXiv 2412.07111.

    Examples
    --------
    >>> matrix = ScoreMatrix(tuple("abcd"), ("x", "y"), [[0.2, 0.3], [0.5, 0.6], [0.4, 0.7], [0.1, 0.1]])
    >>> ranking = rank_configurations(matrix, weights={"x": 1, "y": 1}, evidence=Evidence(noise=[0.05, 0.05]),
    ...                               truth=Truth({"a": 1, "b": 3, "c": 4, "d": 0}))
    >>> [(one.model, one.rank) for one in ranking.ranking], ranking.truth.inversions
    ([('b', 1), ('c', 1), ('a', 3), ('d', 4)], 0)
    """
    given = read_input(
        matrix,
        weights=weights,
        target=target,
        panel=panel,
        evidence=evidence,
        truth=truth,
        gaps=settings.gaps,
    )
    weighting = weighting_of(given, settings)
    final = weighting.scaled(given.columns) @ weighting.coefficients
    errors = simulated_errors(given, weighting, settings)
    return Ranking(
        ranking=_ranked(given, weighting, final, errors, settings.level),
        weights={
            name: float(c) for name, c in zip(given.names, weighting.coefficients, strict=True) if c != 0
        },
        method=weighting.method,
        aggregate=weighting.aggregate,
        target=target,
        truth=None
        if given.truth is None
        else compare_with_truth(np.round(final, 12), given.truth, budget=given.budget, seed=settings.seed),
        controls=_controls(given, weighting, final, settings.seed),
        decisions=pairwise_decisions(final, errors, given.models, level=settings.level),
        level=settings.level,
        draws=errors.shape[0],
        seed=settings.seed,
        warnings=tuple(
            dict.fromkeys((*given.warnings, *weighting.warnings, *_doubts(given, weighting, final)))
        ),
    )


def _ranked(
    given: RankingInput, weighting: Weighting, final: Floats, errors: Floats, level: float
) -> tuple[RankedModel, ...]:
    """The configurations from best to worst."""
    low, high = rank_intervals(final, errors, level=level)
    rank = rankdata(-np.round(final, 12), method="min").astype(int)
    best, sets = chance_of_best(final, errors), tied_sets(rank.tolist(), low.tolist())
    # A sum of losses is shown as one again: the sign was turned only to sort.
    sign = -1.0 if given.all_lower and weighting.aggregate == "raw" and given.target is None else 1.0
    return tuple(
        RankedModel(
            model=given.models[i],
            score=float(sign * final[i]),
            rank=int(rank[i]),
            rank_low=int(min(low[i], rank[i])),
            rank_high=int(max(high[i], rank[i])),
            probability_best=float(best[i]),
            tied_set=sets[i],
        )
        for i in np.lexsort((np.arange(rank.size), rank))
    )


def _controls(
    given: RankingInput, weighting: Weighting, final: Floats, seed: int
) -> dict[str, Control | RandomWeights]:
    """Every control there is data for, held beside the ranking and the truth."""
    places, how = given.proxy_places, weighting.aggregate
    columns = given.columns[:, places]
    scores = control_scores(
        columns, [given.names[i] for i in places], noise=given.noise_of(places), target=given.own,
        loss=given.loss, forecast=given.forecast, aggregate=how,
    )  # fmt: skip
    controls: dict[str, Control | RandomWeights] = {
        name: judged(name, values, what, ranking=final, truth=given.truth, budget=given.budget, seed=seed)
        for name, (values, what) in scores.items()
    }
    controls["random"] = random_weights(
        columns, final, given.truth, aggregate=how, budget=given.budget, seed=seed
    )
    return controls


def _doubts(given: RankingInput, weighting: Weighting, final: Floats) -> list[str]:
    """What takes from the ranking's worth, a sentence each."""
    doubts = []
    if not np.isfinite(given.deviations[:, weighting.coefficients != 0]).any():
        doubts.append(
            "neither standard errors nor seed noise is known: the intervals hold the weights' error only"
        )
    if final.size < FEW_MODELS:
        doubts.append(f"only {final.size} models: no ranking of so few can reach p = .05 against chance")
    if np.ptp(final) == 0:
        doubts.append("every model has the same score: the ranking says nothing")
    if (weighting.coefficients < 0).any():
        doubts.append("some weights are negative: those tasks count against a model")
    return doubts
