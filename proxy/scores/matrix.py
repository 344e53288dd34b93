"""ScoreMatrix: what is known of the scores of some models on some tasks, checked once."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from proxy._arrays import Floats
from proxy.errors import ProxyError
from proxy.scores.scales import known_scales

if TYPE_CHECKING:
    import pandas as pd

LONGEST_NAME = 500


@dataclass(frozen=True, slots=True, eq=False)
class ScoreMatrix:
    """Scores of models (rows) on tasks (columns), with gaps.

    models, tasks: names, no two the same, and no two models that differ only in case. scores: models x tasks,
    NaN where unscored. stderr: standard errors in the scores' units (>= 0, NaN unknown). n: how many items a score
    is the mean of (>= 1, NaN unknown). direction: task -> 1 (higher is better, the default) or -1. baseline:
    task -> the score of guessing, in the score's units, where known. scale: task -> the score of a perfect model
    (1 for fractions, 100 for percent); found from the scores where not given, absent where it has no top.
    notes: what was done to the scores on the way here, for people.

    Raises ProxyError for anything that contradicts this, and for a task of which some scores are percent and
    others fractions.

    >>> matrix = ScoreMatrix(("a", "b"), ("mmlu", "loss"), [[0.4, 2.1], [0.6, 1.9]],
    ...                      direction={"loss": -1}, baseline={"mmlu": 0.25})
    >>> matrix.oriented().round(2).tolist()
    [[0.15, -2.1], [0.35, -1.9]]
    """

    models: tuple[str, ...]
    tasks: tuple[str, ...]
    scores: Floats
    stderr: Floats | None = None
    n: Floats | None = None
    direction: Mapping[str, int] = field(default_factory=dict)
    baseline: Mapping[str, float] = field(default_factory=dict)
    scale: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        put("models", _names("model", self.models))
        put("tasks", _names("task", self.tasks))
        put("notes", tuple(self.notes))
        put("scores", self._array("scores", self.scores))
        if np.isinf(self.scores).any():
            row, column = np.argwhere(np.isinf(self.scores))[0]
            raise ProxyError(f"{self.models[row]} on {self.tasks[column]} is infinite: leave the cell empty")
        for name, least in (("stderr", 0.0), ("n", 1.0)):
            value = getattr(self, name)
            if value is not None:
                array = self._array(name, value)
                wrong = (array < least) | np.isinf(array)
                if wrong.any():
                    row, column = np.argwhere(wrong)[0]
                    raise ProxyError(
                        f"{name} of {self.models[row]} on {self.tasks[column]} is {array[row, column]:g}, "
                        f"not at least {least:g}; leave it empty where unknown"
                    )
                put(name, array)
        for name in ("direction", "baseline", "scale"):
            value = dict(getattr(self, name))
            unknown = sorted(set(value) - set(self.tasks))
            if unknown:
                raise ProxyError(f"{name} names the task {unknown[0]!r}, which has no scores")
            put(name, value)
        for task, sign in self.direction.items():
            if sign not in (1, -1):
                raise ProxyError(f"direction of {task} is {sign!r}: 1 (higher is better) or -1 (lower)")
        for task, chance in self.baseline.items():
            if not math.isfinite(chance):
                raise ProxyError(f"baseline of {task} is {chance!r}: give the score of guessing")
        # A loss has no top to look for.
        topless = {task: math.nan for task, sign in self.direction.items() if sign == -1}
        put("scale", known_scales(self.models, self.tasks, self.scores, {**topless, **self.scale}))

    @property
    def shape(self) -> tuple[int, int]:
        """How many models and tasks."""
        return len(self.models), len(self.tasks)

    def column(self, task: str) -> Floats:
        """The scores of one task (models)."""
        return np.asarray(self.scores[:, self._places("task", [task])[0]])

    def signs(self) -> Floats:
        """1 or -1 for each task, in their order."""
        return np.array([float(self.direction.get(task, 1)) for task in self.tasks])

    def baselines(self) -> Floats:
        """The score of guessing for each task, in their order; NaN where unknown."""
        return np.array([float(self.baseline.get(task, math.nan)) for task in self.tasks])

    def oriented(self) -> Floats:
        """The scores turned so that higher is better, less the score of guessing where that is known."""
        return np.asarray((self.scores - np.nan_to_num(self.baselines())) * self.signs())

    def select(
        self, *, tasks: Sequence[str] | None = None, models: Sequence[str] | None = None
    ) -> ScoreMatrix:
        """The matrix of these tasks and models only, in this order. Raises ProxyError for an unknown name."""
        rows = self._places("model", models) if models is not None else list(range(len(self.models)))
        columns = self._places("task", tasks) if tasks is not None else list(range(len(self.tasks)))
        kept = [self.tasks[column] for column in columns]

        def of(array: Floats | None) -> Floats | None:
            return None if array is None else np.asarray(array[np.ix_(rows, columns)])

        scores = of(self.scores)
        assert scores is not None
        return ScoreMatrix(
            models=tuple(self.models[row] for row in rows),
            tasks=tuple(kept),
            scores=scores,
            stderr=of(self.stderr),
            n=of(self.n),
            direction={task: sign for task, sign in self.direction.items() if task in kept},
            baseline={task: chance for task, chance in self.baseline.items() if task in kept},
            scale={task: self.scale.get(task, math.nan) for task in kept},
            notes=self.notes,
        )

    def with_facts(
        self,
        *,
        direction: Mapping[str, int] | None = None,
        baseline: Mapping[str, float] | None = None,
        notes: Sequence[str] = (),
    ) -> ScoreMatrix:
        """The same scores, with more known about the tasks."""
        return ScoreMatrix(
            self.models,
            self.tasks,
            self.scores,
            self.stderr,
            self.n,
            {**self.direction, **(direction or {})},
            {**self.baseline, **(baseline or {})},
            {task: self.scale.get(task, math.nan) for task in self.tasks},
            (*self.notes, *notes),
        )

    def to_frame(self) -> pd.DataFrame:
        """The scores as a pandas DataFrame (index: models, columns: tasks)."""
        import pandas as pd

        return pd.DataFrame(self.scores, index=list(self.models), columns=list(self.tasks))

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, **facts: Any) -> ScoreMatrix:
        """A matrix from a DataFrame of numbers (index: models, columns: tasks); facts as in the class."""
        return cls(
            tuple(map(str, frame.index)), tuple(map(str, frame.columns)), frame.to_numpy(float), **facts
        )

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str], **options: Any) -> ScoreMatrix:
        """A matrix from SCORES.csv, wide or long: see `read_scores`."""
        from proxy.scores.tables import read_scores

        return read_scores(path, **options)

    def _places(self, kind: str, names: Sequence[str]) -> list[int]:
        own = {name: place for place, name in enumerate(self.models if kind == "model" else self.tasks)}
        missing = [name for name in names if name not in own]
        if missing:
            from difflib import get_close_matches

            plain = {name.casefold(): name for name in own}
            near = get_close_matches(str(missing[0]).casefold(), list(plain), n=1)
            hint = f"; is {plain[near[0]]!r} meant?" if near else f"; there are {', '.join(list(own)[:8])}"
            raise ProxyError(f"no {kind} {missing[0]!r}{hint}")
        return [own[name] for name in names]

    def _array(self, name: str, values: ArrayLike) -> Floats:
        try:
            array = np.array(values, dtype=np.float64)
        except (TypeError, ValueError):
            raise ProxyError(f"{name} must be numbers, one for each model and task") from None
        if array.shape != self.shape:
            raise ProxyError(
                f"{name} of shape {array.shape} for {self.shape[0]} models x {self.shape[1]} tasks: "
                "give a row for each model and a column for each task"
            )
        array.setflags(write=False)
        return array


def _names(kind: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names, stripped. Two that are the same, or the same but for case, are refused."""
    clean: list[str] = []
    seen: dict[str, str] = {}
    for name in names:
        if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME:
            raise ProxyError(f"a {kind} must have a name of 1 to {LONGEST_NAME} characters, not {name!r:.60}")
        name = name.strip()
        other = seen.get(name.casefold())
        if other == name:
            raise ProxyError(f"{kind} {name!r} stands there twice; keep one, or name them apart")
        if other is not None:
            raise ProxyError(f"{kind}s {other!r} and {name!r} differ only in case; name them alike or apart")
        seen[name.casefold()] = name
        clean.append(name)
    if not clean:
        raise ProxyError(f"no {kind}s were given; a score matrix has at least one")
    return tuple(clean)
