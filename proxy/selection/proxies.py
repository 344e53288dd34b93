"""The proxies that were selected for a target: their weights, and every candidate with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from proxy._arrays import Floats
from proxy._text import finite
from proxy.errors import ProxyError
from proxy.relevance.study import RelevanceStudy
from proxy.scores.chance import AboveChance
from proxy.scores.matrix import ScoreMatrix
from proxy.selection.variance_ratios import VarianceRatio


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One candidate: its relevance, its robustness where measured, whether it weighs, and why (not).

    Parameters
    ----------
    task : str
        The candidate.
    relevance : float
        Its correlation with the target; NaN where undefined.
    robustness : VarianceRatio or None
        None where it was not measured.
    chance : AboveChance or None
        None where the score of guessing is not known.
    phi : float
        What the weight has of the robustness; NaN where that was not measured for this task alone.
    kept : bool
        Whether it weighs.
    why : str
        Why, or why not.
    weight : float
        Its weight, from 0 to 1.
    """

    task: str
    relevance: float
    robustness: VarianceRatio | None
    chance: AboveChance | None
    phi: float
    kept: bool
    why: str
    weight: float

    def as_dict(self) -> dict[str, Any]:
        """Give the candidate in the JSON shape.

        Returns
        -------
        dict
            The fields; `robustness` is the ratio, at most the cap.
        """
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The proxies of a target, their weights, and every candidate with the reason.

    Parameters
    ----------
    target : str
        The target task.
    metric : str
        The correlation that relevance is measured by.
    normalisation : {"raw", "two_way"}
        The scores that relevance is measured on.
    phi : {"ratio", "sigmoid", "none"}
        The factor that robustness weighs with.
    aggregate : {"raw", "z"}
        Whether the proxy score is a mean of raw scores or of z-scores.
    weights : dict of str to float
        Task -> weight; they sum to 1.
    tasks : tuple of Candidate
        Every candidate, the most relevant first.
    thresholds : dict of str to float
        The least `relevance`, the least `robustness`, and `alpha`.
    relevance : RelevanceStudy
        The study that the relevance is from.
    mean : dict of str to float
        Weighted task -> mean over the models of the study, higher is better.
    scale : dict of str to float
        Weighted task -> standard deviation over the models of the study.
    notes : tuple of str
        What was done to the scores, and what was not asked.
    """

    target: str
    metric: str
    normalisation: str
    phi: str
    aggregate: str
    weights: dict[str, float]
    tasks: tuple[Candidate, ...]
    thresholds: dict[str, float]
    relevance: RelevanceStudy
    mean: dict[str, float]
    scale: dict[str, float]
    notes: tuple[str, ...]

    def predict(self, matrix: ScoreMatrix) -> Floats:
        """Proxy scores of the models of a matrix.

        Parameters
        ----------
        matrix : ScoreMatrix
            Scores of k models on all the weighted tasks, without gaps.

        Returns
        -------
        ndarray of float, shape (k,)
            Higher is better: a task where lower is better enters with its sign turned. With aggregate "z" the scores
            are measured in deviations of the models that the selection was made on.

        Raises
        ------
        ProxyError
            For a gap, for a task that is not there, and for raw scores of several scales.
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
        """Give the selection in the JSON shape.

        Returns
        -------
        dict
            The fields, with what is worth knowing of the study.
        """
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


def refuse_mixed_scales(matrix: ScoreMatrix, tasks: Sequence[str]) -> None:
    """Refuse to average raw scores that are on different scales.

    Parameters
    ----------
    matrix : ScoreMatrix
        The scores.
    tasks : sequence of str
        The tasks to average.

    Raises
    ------
    ProxyError
        Where some are in percent and others in fractions, or some have a known scale and others none.
    """
    scales: Mapping[float | None, str] = {matrix.scale.get(task): task for task in reversed(tasks)}
    if len(scales) > 1:
        (one, first), (two, second), *_ = scales.items()
        raise ProxyError(
            f"{first} is {_scale_in_words(one)} and {second} {_scale_in_words(two)}: one would drown the other in a "
            "mean of raw scores; bring them to one scale, or aggregate z-scores"
        )


def _scale_in_words(top: float | None) -> str:
    """The scale whose perfect score is `top`."""
    if top is None:
        return "on no known scale"
    return {1.0: "in fractions", 100.0: "in percent"}.get(top, f"on a scale to {top:g}")
