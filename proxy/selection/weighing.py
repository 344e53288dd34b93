"""Choosing proxies of a target and weighing them: relevance x phi(robustness), for the tasks that may weigh."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from proxy._checks import one_of, real, whole
from proxy.choices import AGGREGATES, PHI
from proxy.errors import ProxyError
from proxy.relevance.study import study_relevance
from proxy.scores.chance import AboveChance
from proxy.scores.matrix import ScoreMatrix
from proxy.selection._group_chance import above_chance_of
from proxy.selection.proxies import Candidate, Selection, refuse_mixed_scales
from proxy.selection.robustness import phi_of, study_robustness
from proxy.selection.variance_ratios import CAP, VarianceRatio

#: The settings of the paper's recipe: no test asks whether a task may weigh.
PAPER = {"normalisation": "two_way", "phi": "sigmoid", "robustness_threshold": 0.0, "alpha": 1.0}


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
    r"""Choose proxies of a target and weigh them.

    A candidate weighs if its relevance and its variance ratio reach their thresholds and, where the score of guessing
    is known, some small model is above it (`above_chance`, asked of the groups where given, else of the matrix).

    Parameters
    ----------
    matrix : ScoreMatrix
        Models that have the target.
    target : str
        The target task.
    data_group : ScoreMatrix, optional
        Small models trained on different data.
    noise_group : ScoreMatrix, optional
        Small models trained with different seeds. Both groups or neither; without them phi is 1 for every task.
    candidates : sequence of str, optional
        All other tasks by default.
    metric : {"auto", "pearson", "spearman", "kendall"}, optional
        As in `study_relevance`.
    normalisation : {"raw", "two_way"}, optional
        As in `study_relevance`.
    phi : {"ratio", "sigmoid", "none"}, optional
        The factor that robustness weighs with (`phi_of`).
    aggregate : {"raw", "z"}, optional
        Whether the proxy score is a mean of raw scores or of z-scores.
    relevance_threshold : float, optional
        The least relevance, from -1 to 1.
    robustness_threshold : float, optional
        The least variance ratio, at least 0.
    alpha : float, optional
        Level of the tests against guessing, from 0 to 1; 1 for no test.
    most : int, optional
        Keep only so many, the best scored.
    cap : float, optional
        What an infinite variance ratio counts as (`variance_ratio`).
    rounds : int, optional
        Rounds of Algorithm 1.
    permutations : int, optional
        Permutations behind the p values of the relevance.
    seed : int, optional
        Seed of the rounds and the permutations.

    Returns
    -------
    Selection
        The proxies with their weights, and every candidate with the reason.

    Raises
    ------
    ProxyError
        Where nothing is left to weigh, where one group is missing, and where raw scores of several scales would be
        averaged.

    Notes
    -----
    With T_i the relevance and R_i the variance ratio of task i [1]_, the weight is

    .. math:: w_i = T_i \phi(R_i) / \sum_k T_k \phi(R_k), \quad \text{k over the tasks that are kept.}

    The paper's recipe is normalisation="two_way", phi="sigmoid", aggregate="raw", robustness_threshold=0, alpha=1.

    References
    ----------
    .. [1] B.-W. Zhang et al., "Predictable Emergent Abilities of LLMs: Proxy Tasks Are All You Need", arXiv
       2412.07111, sections 3.2 and 3.3.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ability = rng.normal(size=20)
    >>> scores = np.column_stack([ability + 0.3 * rng.normal(size=20), rng.normal(size=20), ability])
    >>> matrix = ScoreMatrix(tuple(f"m{i}" for i in range(20)), ("arc", "dice", "tools"), scores)
    >>> selection = select_proxies(matrix, "tools", aggregate="z", permutations=0)
    >>> selection.weights, selection.tasks[1].why
    ({'arc': 1.0}, 'has relevance 0.098, below 0.3')
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
    tasks = list(values)
    ratios: dict[str, VarianceRatio] | None = None
    if data_group is not None and noise_group is not None:
        ratios = study_robustness(data_group, noise_group, tasks=tasks, cap=cap)
    chances = above_chance_of(matrix, data_group, noise_group, tasks, alpha)
    thresholds = {"relevance": relevance_threshold, "robustness": robustness_threshold, "alpha": alpha}
    judged = [
        _judged(task, values[task], ratios, chances.get(task), thresholds=thresholds, phi=phi)
        for task in study.ranking()
    ]
    weights = _weights(judged, target, most)
    names = list(weights)
    if aggregate == "raw":
        refuse_mixed_scales(matrix, names)
    used = matrix.select(tasks=names, models=study.models)
    signed = used.scores * used.signs()
    return Selection(
        target=target,
        metric=study.metric,
        normalisation=normalisation,
        phi=phi if ratios is not None else "none",
        aggregate=aggregate,
        weights=weights,
        tasks=tuple(_weighed(one, weights, most) for one in judged),
        thresholds=thresholds,
        relevance=study,
        mean=dict(zip(names, map(float, np.nanmean(signed, axis=0)), strict=True)),
        scale=dict(zip(names, map(float, np.nanstd(signed, axis=0)), strict=True)),
        notes=(
            *study.notes,
            *([] if ratios is not None else ["no groups were given, so robustness was not asked"]),
        ),
    )


def _judged(
    task: str,
    relevance: float,
    ratios: Mapping[str, VarianceRatio] | None,
    chance: AboveChance | None,
    *,
    thresholds: Mapping[str, float],
    phi: str,
) -> Candidate:
    """A candidate with what speaks against its weighing, if anything does."""
    ratio = None if ratios is None else ratios.get(task)
    if ratios is None:
        factor = 1.0
    else:
        factor = math.nan if ratio is None else phi_of(phi, ratio.capped)
    objection = _objection(relevance, ratio, chance, groups=ratios is not None, thresholds=thresholds)
    return Candidate(
        task=task,
        relevance=relevance,
        robustness=ratio,
        chance=chance,
        phi=factor,
        kept=not objection,
        why=objection,
        weight=0.0,
    )


def _objection(
    relevance: float,
    ratio: VarianceRatio | None,
    chance: AboveChance | None,
    *,
    groups: bool,
    thresholds: Mapping[str, float],
) -> str:
    """Why a task may not weigh; empty if it may."""
    least, robust = thresholds["relevance"], thresholds["robustness"]
    if math.isnan(relevance):
        return "has no defined relevance"
    if relevance < least or relevance <= 0:
        return f"has relevance {relevance:.3f}, below {max(least, 0.0):g}"
    if groups and ratio is None:
        return "is not in both groups, so its robustness is unknown"
    if ratio is not None:
        if math.isnan(ratio.ratio):
            return "has the same score everywhere in both groups, so its robustness is undefined"
        if ratio.capped < robust:
            return f"has a variance ratio of {ratio.ratio:.3g}, below {robust:g}"
    if chance is not None and not chance.above:
        test = f"{chance.test} test, p {chance.p_adjusted:.2g}"
        return f"is not above guessing (mean {chance.mean:.4g}, guessing {chance.baseline:g}; {test})"
    return ""


def _weights(judged: Sequence[Candidate], target: str, most: int | None) -> dict[str, float]:
    """Task -> weight of the candidates that may weigh, the best scored first."""
    kept = sorted((one for one in judged if one.kept), key=lambda one: one.relevance * one.phi, reverse=True)
    if most is not None:
        kept = kept[:most]
    total = sum(one.relevance * one.phi for one in kept)
    if not kept or total <= 0:
        best = judged[0]
        raise ProxyError(
            f"no candidate may weigh for {target}: the most relevant, {best.task}, {best.why or 'has no weight'}; "
            "add tasks or models, or lower the thresholds"
        )
    return {one.task: one.relevance * one.phi / total for one in kept}


def _weighed(one: Candidate, weights: Mapping[str, float], most: int | None) -> Candidate:
    """A judged candidate with its weight and the final reason."""
    if one.task not in weights:
        return replace(one, kept=False, why=one.why or f"is not among the best {most}")
    note = one.robustness.note() if one.robustness else ""
    return replace(
        one, why="; ".join(["passed every test", *([note] if note else [])]), weight=weights[one.task]
    )
