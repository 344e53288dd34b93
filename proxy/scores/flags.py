"""Flags: what a person should know about the tasks of a matrix before trusting them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from proxy._text import counted
from proxy.scores.chance import above_chance
from proxy.scores.matrix import ScoreMatrix

#: Above so many models, pairs of models are not compared.
MOST_COMPARED = 3000


@dataclass(frozen=True, slots=True)
class Flag:
    """One thing to know of a task or a model.

    Parameters
    ----------
    kind : {"zero_variance", "duplicate_task", "duplicate_model", "near_chance", "gaps"}
        What it is, for programs.
    name : str
        The task or the model.
    detail : str
        What it is, for people.
    """

    kind: str
    name: str
    detail: str

    def as_dict(self) -> dict[str, str]:
        """Give the flag in the JSON shape.

        Returns
        -------
        dict
            With the keys `kind`, `name` and `detail`.
        """
        return {"kind": self.kind, "name": self.name, "detail": self.detail}


def flag_tasks(matrix: ScoreMatrix) -> tuple[Flag, ...]:
    """Flag constant tasks, tasks and models that repeat another, tasks at the level of guessing, and gaps.

    Two models repeat each other if they share 3 or more scores and differ in at most one task (often the target, of
    two models tuned from one base): they are not two pieces of evidence.

    Parameters
    ----------
    matrix : ScoreMatrix
        Scores, with what is known of the tasks.

    Returns
    -------
    tuple of Flag
        Those of single tasks first, then of models, then of tasks at the level of guessing.

    Examples
    --------
    >>> matrix = ScoreMatrix(("a", "b"), ("x", "y"), [[0.5, 0.1], [0.5, 0.2]])
    >>> [flag.kind for flag in flag_tasks(matrix)]
    ['zero_variance']
    """
    flags: list[Flag] = []
    seen: dict[bytes, str] = {}
    for task, column in zip(matrix.tasks, matrix.scores.T, strict=True):
        known = np.isfinite(column)
        gaps = int((~known).sum())
        if gaps:
            have = "has" if gaps == 1 else "have"
            flags.append(
                Flag("gaps", task, f"{gaps} of {counted(len(column), 'model')} {have} no score on this task")
            )
        values = column[known]
        if values.size > 1 and np.ptp(values) <= 1e-12 * np.abs(values).max(initial=1e-300):
            flags.append(Flag("zero_variance", task, f"every model has {values[0]:g} on this task"))
            continue
        other = seen.setdefault(np.where(known, column, np.inf).tobytes(), task)
        # Two tasks have one score of a single model in common by chance.
        if other != task and values.size > 1:
            detail = f"this task has the same scores as {other}: the two weigh double"
            flags.append(Flag("duplicate_task", task, detail))
    flags += _repeated_models(matrix)
    for task, test in above_chance(matrix).items():
        if not test.above:
            detail = (
                f"the models are not above guessing (mean {test.mean:.4g}, guessing {test.baseline:g}; "
                f"{test.test} test, p {test.p_adjusted:.2g})"
            )
            flags.append(Flag("near_chance", task, detail))
    return tuple(flags)


def _repeated_models(matrix: ScoreMatrix) -> list[Flag]:
    """Flags of the models that repeat an earlier one."""
    flags: list[Flag] = []
    if len(matrix.models) > MOST_COMPARED or len(matrix.tasks) < 4:
        return flags
    for row in range(1, len(matrix.models)):
        same = matrix.scores[:row] == matrix.scores[row]
        both = np.isfinite(matrix.scores[:row]) & np.isfinite(matrix.scores[row])
        alike = np.flatnonzero(same.sum(axis=1) >= np.maximum(both.sum(axis=1) - 1, 3))
        if alike.size:
            other = matrix.models[alike[0]]
            detail = (
                f"this model has the same scores as {other}, but for one task at most: the two count double"
            )
            flags.append(Flag("duplicate_model", matrix.models[row], detail))
    return flags
