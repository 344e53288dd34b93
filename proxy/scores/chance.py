"""Is anything above guessing on a task? Asked before the task may weigh."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom, norm
from scipy.stats import t as student

from proxy._arrays import Floats
from proxy._checks import real
from proxy._holm import holm
from proxy.scores.matrix import ScoreMatrix


@dataclass(frozen=True, slots=True, kw_only=True)
class AboveChance:
    """A task's scores against guessing.

    Parameters
    ----------
    task : str
        Its name.
    baseline : float
        Score of guessing.
    mean : float
        Mean score of the models.
    test : {"binomial", "z", "t"}
        Which test was made: numbers of items known, standard errors known, or neither.
    p_value : float
        One-sided, of no model above guessing, from 0 to 1.
    p_adjusted : float
        After Holm's correction over the tasks tested together.
    above : bool
        Whether `p_adjusted` is at most alpha.
    """

    task: str
    baseline: float
    mean: float
    test: str
    p_value: float
    p_adjusted: float
    above: bool


def above_chance(
    matrix: ScoreMatrix, *, tasks: Sequence[str] | None = None, alpha: float = 0.05
) -> dict[str, AboveChance]:
    r"""Test for each task whether any model is above guessing.

    Tasks whose baseline is unknown, or where lower is better, are absent from the answer.

    Parameters
    ----------
    matrix : ScoreMatrix
        Scores of m models, with the `baseline` of the tasks to test.
    tasks : sequence of str, optional
        Test only these.
    alpha : float, optional
        Chance of calling any task above guessing that is not, from 0 to 1.

    Returns
    -------
    dict of str to AboveChance
        Task -> its test.

    Raises
    ------
    ProxyError
        For an alpha outside 0 to 1.

    Notes
    -----
    Where the number of items n is known, the p value is that of the best model with a factor of m (Bonferroni: models
    share items and bad habits, so they are not independent):

    .. math:: p = \min(1, m \min_j P(B(n_j, g) \ge s_j n_j)),

    with g the share that guessing gets right and s_j the share that model j gets right. Where only standard errors
    are known, likewise with a normal law. Otherwise a one-sided t test over the models, which asks whether they are
    above guessing on average. Over the tasks p values are adjusted by Holm's method [1]_.

    References
    ----------
    .. [1] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6,
       65-70, 1979.

    Examples
    --------
    >>> matrix = ScoreMatrix(("a", "b", "c"), ("q", "r"), [[0.26, 0.4], [0.25, 0.5], [0.24, 0.45]],
    ...                      n=[[100, 100]] * 3, baseline={"q": 0.25, "r": 0.25})
    >>> {task: test.above for task, test in above_chance(matrix).items()}
    {'q': False, 'r': True}
    """
    alpha = real("alpha", alpha, least=0.0, most=1.0)
    means: dict[str, float] = {}
    tests: dict[str, tuple[str, float]] = {}
    for task in tasks if tasks is not None else matrix.tasks:
        if task not in matrix.baseline or matrix.direction.get(task, 1) == -1:
            continue
        place = matrix.tasks.index(task)
        scores = matrix.scores[:, place]
        known = np.isfinite(scores)
        if not known.any():
            continue
        means[task] = float(scores[known].mean())
        tests[task] = _p_value(
            scores[known],
            matrix.baseline[task],
            n=None if matrix.n is None else matrix.n[known, place],
            stderr=None if matrix.stderr is None else matrix.stderr[known, place],
            scale=matrix.scale.get(task, math.nan),
        )
    adjusted = holm([p for _, p in tests.values()]) if tests else ()
    return {
        task: AboveChance(
            task=task,
            baseline=matrix.baseline[task],
            mean=means[task],
            test=test,
            p_value=p,
            p_adjusted=float(p_adjusted),
            above=bool(p_adjusted <= alpha),
        )
        for (task, (test, p)), p_adjusted in zip(tests.items(), adjusted, strict=True)
    }


def _p_value(
    scores: Floats, baseline: float, *, n: Floats | None, stderr: Floats | None, scale: float
) -> tuple[str, float]:
    """Which test, and its p value."""
    if n is not None and math.isfinite(scale) and 0 < baseline < scale and np.isfinite(n).any():
        known = np.isfinite(n)
        items = np.round(n[known])
        right = np.round(scores[known] / scale * items)
        each = np.asarray(binom.sf(right - 1, items, baseline / scale))
        return "binomial", min(1.0, float(each.min()) * known.sum())
    if stderr is not None and (stderr > 0).any():
        known = stderr > 0
        best = float(np.max((scores[known] - baseline) / stderr[known]))
        return "z", min(1.0, float(norm.sf(best)) * float(known.sum()))
    if len(scores) < 2:
        return "t", 1.0
    spread = float(scores.std(ddof=1))
    above = float(scores.mean()) - baseline
    if spread == 0:
        return "t", 0.0 if above > 0 else 1.0
    return "t", float(student.sf(above / (spread / math.sqrt(len(scores))), len(scores) - 1))
