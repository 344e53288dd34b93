"""Flags: what a person should know about the tasks of a matrix before trusting them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from proxy.scores.chance import above_chance
from proxy.scores.matrix import ScoreMatrix

#: Above so many models, pairs of models are not compared.
MOST_COMPARED = 3000


@dataclass(frozen=True, slots=True)
class Flag:
    """kind: zero_variance, duplicate_task, duplicate_model, near_chance or gaps. name: of what. detail: a sentence."""

    kind: str
    name: str
    detail: str

    def as_dict(self) -> dict[str, str]:
        """The flag in the JSON shape."""
        return {"kind": self.kind, "name": self.name, "detail": self.detail}


def flag_tasks(matrix: ScoreMatrix) -> tuple[Flag, ...]:
    """Constant tasks, tasks and models that repeat another, tasks at the level of guessing, and tasks with gaps.

    Two models repeat each other if they share 3 or more scores and differ in at most one task (often the target, of
    two models tuned from one base): they are not two pieces of evidence.

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
            flags.append(Flag("gaps", task, f"{gaps} of {len(column)} models are unscored"))
        values = column[known]
        if values.size > 1 and np.ptp(values) <= 1e-12 * np.abs(values).max(initial=1e-300):
            flags.append(Flag("zero_variance", task, f"every model has {values[0]:g}"))
            continue
        other = seen.setdefault(np.where(known, column, np.inf).tobytes(), task)
        if other != task and values.size:
            flags.append(Flag("duplicate_task", task, f"the same scores as {other}: the two weigh double"))
    flags += _repeated_models(matrix)
    for task, one in above_chance(matrix).items():
        if not one.above:
            flags.append(
                Flag(
                    "near_chance",
                    task,
                    f"mean {one.mean:g}, guessing {one.baseline:g}, p {one.p_adjusted:.2g}",
                )
            )
    return tuple(flags)


def _repeated_models(matrix: ScoreMatrix) -> list[Flag]:
    flags: list[Flag] = []
    if len(matrix.models) > MOST_COMPARED or len(matrix.tasks) < 4:
        return flags
    for row in range(1, len(matrix.models)):
        same = matrix.scores[:row] == matrix.scores[row]
        both = np.isfinite(matrix.scores[:row]) & np.isfinite(matrix.scores[row])
        alike = np.flatnonzero(same.sum(axis=1) >= np.maximum(both.sum(axis=1) - 1, 3))
        if alike.size:
            flags.append(
                Flag("duplicate_model", matrix.models[row], f"the same scores as {matrix.models[alike[0]]}")
            )
    return flags
