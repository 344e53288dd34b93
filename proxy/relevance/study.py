"""Relevance of candidate tasks for a target: raw and two-way, with null, intervals, stability and a factor."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from proxy._checks import MOST_REPETITIONS, confidence, one_of, whole
from proxy._text import counted, finite
from proxy.choices import METRICS
from proxy.errors import ProxyError
from proxy.relevance._large import LARGE, MOST_LEFT_OUT_OF_LARGE, PARTNERS
from proxy.relevance._task_tables import fitted_normaliser, task_table, two_way_nulls
from proxy.relevance._usable import usable
from proxy.relevance.consistency import Consistency, choose_metric
from proxy.relevance.correlation import MOST_MODELS
from proxy.relevance.task_relevance import TaskRelevance
from proxy.scores.flags import Flag, flag_tasks
from proxy.scores.matrix import ScoreMatrix

NORMALISATIONS = ("raw", "two_way")
WORDS = {"raw": "raw", "two_way": "two-way normalised"}
#: Of more than `MOST_MODELS` models, or `LARGE` scores, a permutation takes long, and the null is narrow.
FEW_PERMUTATIONS = 99
#: Of more than `LARGE` scores, whose standard errors are printed beside what comes of the rounds.
FEW_ROUNDS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RelevanceStudy:
    """Relevance of all candidates for one target.

    Parameters
    ----------
    target : str
        The target task.
    metric : str
        The correlation that ranks the candidates.
    normalisation : {"raw", "two_way"}
        The table that ranks the candidates.
    chosen_by : str
        Who chose the metric: Algorithm 1, on the scores of `normalisation`, or the caller.
    tables : dict of str to dict of str to TaskRelevance
        Normalisation -> task -> its relevance.
    consistency : dict of str to Consistency
        Normalisation -> what Algorithm 1 says of the metrics.
    models : tuple of str
        The models used.
    without_target : tuple of str
        Models left out because the target is unscored.
    left_out : dict of str to str
        Candidate -> why it could not be used.
    flags : tuple of Flag
        What to know of the tasks and models.
    level : float
        Confidence level of the intervals.
    permutations : int
        Permutations behind the p values; 0 for none.
    factor_share : float
        Share of the candidates' raw variance that their first principal component holds.
    notes : tuple of str
        What was done to the scores.
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
        """Relevance of every candidate as one number.

        Parameters
        ----------
        metric : str, optional
            The chosen one by default.
        normalisation : {"raw", "two_way"}, optional
            The one that ranks by default.

        Returns
        -------
        dict of str to float
            Task -> correlation with the target, from -1 to 1; NaN where undefined.
        """
        table = self.tables[normalisation or self.normalisation]
        return {task: row.value[metric or self.metric] for task, row in table.items()}

    def ranking(self) -> list[str]:
        """Rank the candidates.

        Returns
        -------
        list of str
            The most relevant first, undefined ones last.
        """
        values = self.values()
        return sorted(
            values, key=lambda task: -math.inf if math.isnan(values[task]) else values[task], reverse=True
        )

    def as_dict(self) -> dict[str, Any]:
        """Give the study in the JSON shape.

        Returns
        -------
        dict
            The fields, with the candidates in the order of `ranking`; None for what is undefined.
        """
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


def study_relevance(
    matrix: ScoreMatrix,
    target: str,
    *,
    candidates: Sequence[str] | None = None,
    metric: str = "auto",
    normalisation: str = "raw",
    subset: int | None = None,
    top: int | None = None,
    rounds: int = 1000,
    permutations: int = 1999,
    level: float = 0.9,
    seed: int = 0,
    progress: Callable[[str], None] = lambda stage: None,
) -> RelevanceStudy:
    """Study the relevance of every candidate for the target, by every metric, raw and two-way.

    Models without a target score are left out and named. Candidates with fewer than 4 models, or constant on them,
    are left out with the reason.

    Parameters
    ----------
    matrix : ScoreMatrix
        Scores; those of tasks where lower is better are turned first.
    target : str
        The target task.
    candidates : sequence of str, optional
        All other tasks by default.
    metric : {"auto", "pearson", "spearman", "kendall"}, optional
        The correlation that ranks; "auto" lets Algorithm 1 decide.
    normalisation : {"raw", "two_way"}, optional
        Which table ranks the tasks; both are always computed.
    subset : int, optional
        m' of Algorithm 1 (`choose_metric`).
    top : int, optional
        k of Algorithm 1.
    rounds : int, optional
        Rounds of Algorithm 1.
    permutations : int, optional
        Permutations of the target over the models; 0 leaves the p values out.
    level : float, optional
        Confidence level of the intervals, strictly between 0 and 1.
    seed : int, optional
        Seed of the rounds and the permutations.
    progress : callable, optional
        Called with a few words when a stage begins.

    Returns
    -------
    RelevanceStudy
        The candidates with everything that stands beside their relevance.

    Raises
    ------
    ProxyError
        Where fewer than 4 models, or no candidates, remain, and for a constant target.

    References
    ----------
    .. [1] B.-W. Zhang et al., "Predictable Emergent Abilities of LLMs: Proxy Tasks Are All You Need", arXiv
       2412.07111, section 3.1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ability = rng.normal(size=20)
    >>> scores = np.column_stack([ability + 0.3 * rng.normal(size=20), rng.normal(size=20), ability])
    >>> matrix = ScoreMatrix(tuple(f"m{i}" for i in range(20)), ("arc", "dice", "tools"), scores)
    >>> study = study_relevance(matrix, "tools", metric="kendall", permutations=99)
    >>> study.ranking(), study.tables["raw"]["arc"].p_adjusted["kendall"]
    (['arc', 'dice'], 0.01)
    """
    one_of("metric", metric, ("auto", *METRICS))
    one_of("normalisation", normalisation, NORMALISATIONS)
    level, permutations = confidence(level), whole("permutations", permutations, most=MOST_REPETITIONS)
    scores = usable(matrix, target, candidates)
    x, y = scores.x, scores.y
    notes = list(matrix.notes)
    if scores.without_target:
        have = counted(len(scores.without_target), "model has", "models have")
        notes.append(f"{have} no score on {target}: left out")
    views = {"raw": (x, y)}
    normaliser = None
    if len(scores.tasks) >= 2:
        normaliser = fitted_normaliser(scores, notes)
        if normaliser is not None:
            views["two_way"] = (normaliser.transform(x), normaliser.transform_target(x, y))
    else:
        notes.append("two-way normalisation and Algorithm 1 need at least 2 candidates")
    if normalisation not in views:
        raise ProxyError(f"normalisation {normalisation} is not possible here: {notes[-1]}")
    if x.size > LARGE and rounds > FEW_ROUNDS:
        notes.append(f"{x.size:,} scores: {FEW_ROUNDS} rounds of Algorithm 1 instead of {rounds}")
        rounds = FEW_ROUNDS
    consistency = {}
    if len(scores.tasks) >= 2:
        for name, (a, b) in views.items():
            progress(f"Algorithm 1 on {WORDS[name]} scores")
            consistency[name] = choose_metric(a, b, subset=subset, top=top, rounds=rounds, seed=seed)
    chosen_by = "the caller"
    if metric == "auto":
        metric = consistency[normalisation].metric if consistency else "kendall"
        chosen_by = "Algorithm 1" if consistency else "default"
    if (len(y) > MOST_MODELS or x.size > LARGE) and permutations > FEW_PERMUTATIONS:
        many = f"{len(y)} models" if len(y) > MOST_MODELS else f"{x.size:,} scores"
        notes.append(f"{many}: {FEW_PERMUTATIONS} permutations instead of {permutations}")
        permutations = FEW_PERMUTATIONS
    if x.size > LARGE and permutations and len(y) > 2 * PARTNERS:
        notes.append(
            f"{x.size:,} scores: in permutations, Kendall's correlation compares each model with {PARTNERS} others"
        )
    if x.size > LARGE and len(y) > MOST_LEFT_OUT_OF_LARGE:
        notes.append(
            f"{x.size:,} scores of more than {MOST_LEFT_OUT_OF_LARGE} models: no model is left out in turn, so nothing "
            "is said of the influence of single models"
        )
    rng = np.random.default_rng(seed)
    orders = rng.permuted(np.tile(np.arange(len(y)), (permutations, 1)), axis=1)
    tables = {}
    shares = {}
    for name, (a, b) in views.items():
        progress(f"correlations of {WORDS[name]} scores and their permutations")
        two_way = normaliser if name == "two_way" else None
        nulls = y[orders] if two_way is None else two_way_nulls(two_way, x, y, orders)
        tables[name], shares[name] = task_table(
            a, b, tasks=scores.tasks, models=scores.models, nulls=nulls, level=level
        )
    progress("looking for tasks and models that repeat others")
    flags = flag_tasks(matrix)
    return RelevanceStudy(
        target=target,
        metric=metric,
        normalisation=normalisation,
        chosen_by=chosen_by,
        tables=tables,
        consistency=consistency,
        models=scores.models,
        without_target=scores.without_target,
        left_out=scores.left_out,
        flags=flags,
        level=level,
        permutations=permutations,
        factor_share=shares["raw"],
        notes=tuple(notes),
    )
