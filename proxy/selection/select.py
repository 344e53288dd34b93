"""Selection of proxy tasks and their weights: relevance x phi(robustness), for the tasks that may weigh."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from proxy._arrays import Floats
from proxy._checks import one_of, real, whole
from proxy._text import finite
from proxy.errors import ProxyError
from proxy.relevance.study import study_relevance
from proxy.relevance.task_relevance import RelevanceStudy
from proxy.scores.chance import AboveChance, above_chance_of
from proxy.scores.matrix import ScoreMatrix
from proxy.selection.robustness import CAP, PHI, VarianceRatio, phi_of, study_robustness

AGGREGATES = ("raw", "z")


@dataclass(frozen=True, slots=True)
class TaskScore:
    """One candidate: its relevance, its robustness where measured, whether it weighs, and why (not)."""

    task: str
    relevance: float
    robustness: VarianceRatio | None
    chance: AboveChance | None
    phi: float
    kept: bool
    why: str
    weight: float

    def as_dict(self) -> dict[str, Any]:
        """The candidate in the JSON shape; `robustness` is the ratio, at most the cap."""
        ratio = self.robustness
        return {
            "task": self.task,
            "relevance": finite(self.relevance),
            "robustness": finite(ratio.capped) if ratio else None,
            "phi": finite(self.phi),
            "kept": self.kept,
            "why": self.why,
            "weight": self.weight,
            "robustness_details": ratio.as_dict() if ratio else None,
            "above_chance": self.chance.above if self.chance else None,
            "chance_p_value": finite(self.chance.p_adjusted) if self.chance else None,
        }


@dataclass(frozen=True, slots=True)
class Selection:
    """The proxies of a target, their weights (summing to 1), and every candidate with the reason."""

    target: str
    metric: str
    normalisation: str
    phi: str
    aggregate: str
    weights: dict[str, float]
    tasks: tuple[TaskScore, ...]
    thresholds: dict[str, float]
    relevance: RelevanceStudy
    mean: dict[str, float]
    scale: dict[str, float]
    notes: tuple[str, ...]

    def predict(self, matrix: ScoreMatrix) -> Floats:
        """The proxy score of each model of a matrix that has all the weighted tasks, without gaps.

        Higher is better: a task where lower is better enters with its sign turned. With aggregate "z" the scores
        are measured in deviations of the models that the selection was made on.
        """
        chosen = matrix.select(tasks=list(self.weights))
        gaps = np.argwhere(~np.isfinite(chosen.scores))
        if len(gaps):
            model, task = gaps[0]
            raise ProxyError(
                f"{chosen.models[model]} has no score on {chosen.tasks[task]}, which weighs "
                f"{self.weights[chosen.tasks[task]]:.3f}: measure it, or leave the model out"
            )
        if self.aggregate == "raw":
            refuse_mixed_scales(chosen, list(self.weights))
        scores = chosen.scores * chosen.signs()
        if self.aggregate == "z":
            mean, scale = (np.array([facts[t] for t in self.weights]) for facts in (self.mean, self.scale))
            scores = (scores - mean) / scale
        return np.asarray(scores @ np.array(list(self.weights.values())))

    def as_dict(self) -> dict[str, Any]:
        """The selection in the JSON shape."""
        return {
            "target": self.target,
            "metric": self.metric,
            "normalisation": self.normalisation,
            "phi": self.phi,
            "aggregate": self.aggregate,
            "weights": self.weights,
            "tasks": [task.as_dict() for task in self.tasks],
            "thresholds": self.thresholds,
            "models": len(self.relevance.models),
            "left_out": self.relevance.left_out,
            "without_target": list(self.relevance.without_target),
            "consistency": {name: one.as_dict() for name, one in self.relevance.consistency.items()},
            "flags": [flag.as_dict() for flag in self.relevance.flags],
            "notes": list(self.notes),
        }


def select_proxies(
    matrix: ScoreMatrix,
    target: str,
    *,
    data_group: ScoreMatrix | None = None,
    noise_group: ScoreMatrix | None = None,
    candidates: Sequence[str] | None = None,
    metric: str = "auto",
    normalisation: str = "raw",
    phi: str = "ratio",
    aggregate: str = "raw",
    relevance_threshold: float = 0.3,
    robustness_threshold: float = 1.0,
    alpha: float = 0.05,
    most: int | None = None,
    cap: float = CAP,
    rounds: int = 1000,
    permutations: int = 999,
    seed: int = 0,
) -> Selection:
    """Choose proxies of a target and weigh them: relevance x phi(robustness), normalised to a sum of 1.

    matrix: models that have the target. data_group, noise_group: small models trained on other data, and with other
    seeds; both or neither (then phi is 1 for every task). metric, normalisation, rounds, permutations: see
    `study_relevance`. A candidate weighs if its relevance and its variance ratio reach their thresholds and, where
    the score of guessing is known, some small model is above it (`above_chance` at `alpha`, asked of the groups
    where given, else of the matrix). most: keep only so many, the best scored. cap: see `variance_ratio`.

    The paper's recipe is normalisation="two_way", phi="sigmoid", aggregate="raw", robustness_threshold=0, alpha=1.

    Raises ProxyError where nothing is left to weigh, and where raw scores of several scales would be averaged.
    """
    one_of("phi", phi, PHI)
    one_of("aggregate", aggregate, AGGREGATES)
    relevance_threshold = real("relevance_threshold", relevance_threshold, least=-1.0, most=1.0)
    robustness_threshold = real("robustness_threshold", robustness_threshold, least=0.0)
    if most is not None:
        whole("most", most, least=1)
    if (data_group is None) != (noise_group is None):
        missing = "noise" if noise_group is None else "data"
        raise ProxyError(f"no {missing} group: robustness compares two groups; give both, or neither")
    study = study_relevance(
        matrix,
        target,
        candidates=candidates,
        metric=metric,
        normalisation=normalisation,
        rounds=rounds,
        permutations=permutations,
        seed=seed,
    )
    values = study.values()
    ratios: dict[str, VarianceRatio] = {}
    if data_group is not None and noise_group is not None:
        ratios = study_robustness(data_group, noise_group, tasks=list(values), cap=cap)
    chances = above_chance_of(matrix, data_group, noise_group, list(values), alpha)
    rows: list[TaskScore] = []
    for task in study.ranking():
        ratio, chance = ratios.get(task), chances.get(task)
        factor = 1.0 if data_group is None else phi_of(phi, ratio.capped) if ratio else math.nan
        why = _objection(
            values[task], relevance_threshold, data_group is not None, ratio, robustness_threshold, chance
        )
        rows.append(TaskScore(task, values[task], ratio, chance, factor, not why, why, 0.0))
    kept = sorted((row for row in rows if row.kept), key=lambda row: row.relevance * row.phi, reverse=True)
    if most is not None:
        kept = kept[:most]
    total = sum(row.relevance * row.phi for row in kept)
    if not kept or total <= 0:
        best = rows[0]
        raise ProxyError(
            f"no candidate may weigh for {target}: the most relevant, {best.task}, {best.why or 'has no weight'}; "
            "add tasks or models, or lower the thresholds"
        )
    names = [row.task for row in kept]
    if aggregate == "raw":
        refuse_mixed_scales(matrix, names)
    chosen = {row.task: row.relevance * row.phi / total for row in kept}
    used = matrix.select(tasks=names, models=study.models)
    signed = used.scores * used.signs()
    return Selection(
        target,
        study.metric,
        normalisation,
        phi if data_group is not None else "none",
        aggregate,
        chosen,
        tuple(_final(row, chosen, most) for row in rows),
        {"relevance": relevance_threshold, "robustness": robustness_threshold, "alpha": alpha},
        study,
        dict(zip(names, map(float, np.nanmean(signed, axis=0)), strict=True)),
        dict(zip(names, map(float, np.nanstd(signed, axis=0)), strict=True)),
        (
            *study.notes,
            *([] if data_group is not None else ["no groups were given: robustness was not asked"]),
        ),
    )


def refuse_mixed_scales(matrix: ScoreMatrix, tasks: Sequence[str]) -> None:
    """Refuse to average raw scores of which some are percent and others fractions, or without a top."""
    scales: Mapping[float | None, str] = {matrix.scale.get(task): task for task in reversed(tasks)}
    if len(scales) > 1:
        (one, first), (two, second), *_ = scales.items()
        kinds = {100.0: "percent", 1.0: "fractions", None: "on no known scale"}
        raise ProxyError(
            f"{first} is {kinds.get(one, f'of {one}')} and {second} {kinds.get(two, f'of {two}')}: "
            "a mean of raw scores would be of one of them; bring them to one scale, or aggregate z-scores"
        )


def _objection(
    relevance: float,
    least: float,
    groups: bool,
    ratio: VarianceRatio | None,
    robust: float,
    chance: AboveChance | None,
) -> str:
    """Why a task may not weigh; empty if it may."""
    if math.isnan(relevance):
        return "has no defined relevance"
    if relevance < least or relevance <= 0:
        return f"has relevance {relevance:.3f}, below {max(least, 0.0):g}"
    if groups and ratio is None:
        return "is not in both groups, so its robustness is unknown"
    if groups and ratio is not None:
        if math.isnan(ratio.ratio):
            return "has the same score in both groups: robustness is undefined"
        if ratio.capped < robust:
            return f"has a variance ratio of {ratio.ratio:.3g}, below {robust:g}"
    if chance is not None and not chance.above:
        test = f"{chance.test} test, p {chance.p_adjusted:.2g}"
        return f"is not above guessing ({chance.mean:.4g} against {chance.baseline:g}, {test})"
    return ""


def _final(row: TaskScore, chosen: dict[str, float], most: int | None) -> TaskScore:
    if row.task in chosen:
        note = row.robustness.note() if row.robustness else ""
        why = "; ".join(["passed every test", *([note] if note else [])])
        return TaskScore(
            row.task, row.relevance, row.robustness, row.chance, row.phi, True, why, chosen[row.task]
        )
    why = row.why or f"is not among the best {most}"
    return TaskScore(row.task, row.relevance, row.robustness, row.chance, row.phi, False, why, 0.0)
