"""What a study of relevance found: one candidate, and all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from proxy._text import finite
from proxy.relevance.consistency import Consistency
from proxy.scores.flags import Flag


@dataclass(frozen=True, slots=True)
class TaskRelevance:
    """One candidate, one normalisation; dicts are metric -> number, NaN where undefined.

    value: the correlation. low, high: interval at `level`. p_value: share of permutations of the target over the
    models in which the correlation is at least as far above its null mean. p_adjusted: the same, holding over all
    candidates together (step-down max-T). null_mean: mean over the permutations; not 0 under two-way normalisation.
    left_out_low, left_out_high: range when one model is left out; most_influential: the model that moves it most.
    partial: correlation given the general factor of the other candidates. models: how many have both scores.
    """

    task: str
    models: int
    value: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    p_value: dict[str, float]
    p_adjusted: dict[str, float]
    null_mean: dict[str, float]
    left_out_low: dict[str, float]
    left_out_high: dict[str, float]
    most_influential: dict[str, str]
    partial: dict[str, float]

    def as_dict(self, metric: str) -> dict[str, Any]:
        """The values of every metric, and the details of one."""
        return {
            **{name: finite(value) for name, value in self.value.items()},
            "low": finite(self.low[metric]),
            "high": finite(self.high[metric]),
            "p_value": finite(self.p_value[metric]),
            "p_adjusted": finite(self.p_adjusted[metric]),
            "null_mean": finite(self.null_mean[metric]),
            "left_out_low": finite(self.left_out_low[metric]),
            "left_out_high": finite(self.left_out_high[metric]),
            "most_influential": self.most_influential[metric],
            "partial": finite(self.partial[metric]),
        }


@dataclass(frozen=True, slots=True)
class RelevanceStudy:
    """Relevance of all candidates for one target.

    metric: chosen by Algorithm 1 on the scores of `normalisation` (or named by the caller; then `chosen_by` says
    so). tables: normalisation -> task -> TaskRelevance. consistency: normalisation -> Algorithm 1. models: used.
    without_target: models left out because the target is unscored. left_out: candidate -> why it could not be used.
    """

    target: str
    metric: str
    normalisation: str
    chosen_by: str
    tables: dict[str, dict[str, TaskRelevance]]
    consistency: dict[str, Consistency]
    models: tuple[str, ...]
    without_target: tuple[str, ...]
    left_out: dict[str, str]
    flags: tuple[Flag, ...]
    level: float
    permutations: int
    factor_share: float
    notes: tuple[str, ...]

    def values(self, metric: str | None = None, normalisation: str | None = None) -> dict[str, float]:
        """Task -> relevance by the chosen (or another) metric and normalisation."""
        table = self.tables[normalisation or self.normalisation]
        return {task: row.value[metric or self.metric] for task, row in table.items()}

    def ranking(self) -> list[str]:
        """The candidates, the most relevant first; undefined ones last."""
        values = self.values()
        return sorted(
            values, key=lambda task: -math.inf if math.isnan(values[task]) else values[task], reverse=True
        )

    def as_dict(self) -> dict[str, Any]:
        """The study in the JSON shape."""
        values = self.values()
        tasks = [
            {
                "task": task,
                "relevance": finite(values[task]),
                "models": self.tables[self.normalisation][task].models,
                **{name: table[task].as_dict(self.metric) for name, table in self.tables.items()},
            }
            for task in self.ranking()
        ]
        return {
            "target": self.target,
            "metric": self.metric,
            "normalisation": self.normalisation,
            "chosen_by": self.chosen_by,
            "models": len(self.models),
            "tasks": tasks,
            "consistency": {name: one.as_dict() for name, one in self.consistency.items()},
            "level": self.level,
            "permutations": self.permutations,
            "factor_share": finite(self.factor_share),
            "without_target": list(self.without_target),
            "left_out": self.left_out,
            "flags": [flag.as_dict() for flag in self.flags],
            "notes": list(self.notes),
        }
