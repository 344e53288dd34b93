"""ScoreMatrix: what is known of the scores of some models on some tasks, checked once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from proxy._arrays import Floats
from proxy._text import counted
from proxy.errors import ProxyError
from proxy.scores._names import checked_names, places_of
from proxy.scores._scales import known_scales

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, eq=False)
class ScoreMatrix:
    """Scores of models (rows) on tasks (columns), with gaps.

    Parameters
    ----------
    models : tuple of str, length m
        Names of the models: no two the same, and no two that differ only in case.
    tasks : tuple of str, length t
        Names of the tasks, likewise.
    scores : array_like of float, shape (m, t)
        NaN where a model is unscored, which is not zero.
    stderr : array_like of float, shape (m, t), optional
        Standard errors in the scores' units, at least 0; NaN where unknown.
    n : array_like of float, shape (m, t), optional
        How many items a score is the mean of, at least 1; NaN where unknown.
    direction : mapping of str to int, optional
        Task -> 1 (higher is better, the default) or -1 (lower is better).
    baseline : mapping of str to float, optional
        Task -> the score of guessing, in the scores' units, where known.
    scale : mapping of str to float, optional
        Task -> the score of a perfect model: 1 for fractions, 100 for percent, NaN for none. Found from the scores
        where not given, and absent where the task has no top.
    notes : tuple of str, optional
        What was done to the scores on the way here, for people.

    Raises
    ------
    ProxyError
        For names, shapes or numbers that contradict this, and for a task of which some scores are percent and others
        fractions.

    Examples
    --------
    >>> matrix = ScoreMatrix(("a", "b"), ("mmlu", "loss"), [[0.4, 2.1], [0.6, 1.9]],
    ...                      direction={"loss": -1}, baseline={"mmlu": 0.25})
    >>> matrix.oriented().round(2).tolist()
    [[0.15, -2.1], [0.35, -1.9]]
    """

    models: tuple[str, ...]
    tasks: tuple[str, ...]
    scores: Floats
    _: KW_ONLY
    stderr: Floats | None = None
    n: Floats | None = None
    direction: Mapping[str, int] = field(default_factory=dict)
    baseline: Mapping[str, float] = field(default_factory=dict)
    scale: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        put("models", checked_names("model", self.models))
        put("tasks", checked_names("task", self.tasks))
        put("notes", tuple(self.notes))
        put("scores", self._array("scores", self.scores))
        if np.isinf(self.scores).any():
            row, column = np.argwhere(np.isinf(self.scores))[0]
            raise ProxyError(
                f"the score of {self.models[row]} on {self.tasks[column]} is infinite; leave the cell empty"
            )
        for name, least in (("stderr", 0.0), ("n", 1.0)):
            value = getattr(self, name)
            if value is not None:
                array = self._array(name, value)
                wrong = (array < least) | np.isinf(array)
                if wrong.any():
                    row, column = np.argwhere(wrong)[0]
                    raise ProxyError(
                        f"{name} of {self.models[row]} on {self.tasks[column]} is {array[row, column]:g}, but must be "
                        f"at least {least:g}; leave it empty where it is not known"
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
                raise ProxyError(
                    f"direction of {task} is {sign!r}; give 1 (higher is better) or -1 (lower is better)"
                )
        for task, chance in self.baseline.items():
            if not math.isfinite(chance):
                raise ProxyError(f"baseline of {task} is {chance!r}; give the score of guessing, a number")
        # A loss has no top to look for.
        topless = {task: math.nan for task, sign in self.direction.items() if sign == -1}
        put("scale", known_scales(self.models, self.tasks, self.scores, {**topless, **self.scale}))

    @property
    def shape(self) -> tuple[int, int]:
        """How many models and tasks there are."""
        return len(self.models), len(self.tasks)

    def column(self, task: str) -> Floats:
        """Scores of all models on one task.

        Parameters
        ----------
        task : str
            Its name.

        Returns
        -------
        ndarray of float, shape (m,)
            NaN where a model is unscored.

        Raises
        ------
        ProxyError
            For an unknown name.
        """
        return np.asarray(self.scores[:, places_of("task", [task], self.tasks)[0]])

    def signs(self) -> Floats:
        """Directions of the tasks as numbers to multiply scores by.

        Returns
        -------
        ndarray of float, shape (t,)
            1 where higher is better, -1 where lower is.
        """
        return np.array([float(self.direction.get(task, 1)) for task in self.tasks])

    def baselines(self) -> Floats:
        """Scores of guessing on the tasks.

        Returns
        -------
        ndarray of float, shape (t,)
            NaN where unknown.
        """
        return np.array([float(self.baseline.get(task, math.nan)) for task in self.tasks])

    def oriented(self) -> Floats:
        """Scores turned so that higher is better, less the score of guessing where that is known.

        Returns
        -------
        ndarray of float, shape (m, t)
            (score - baseline) x direction; NaN where a model is unscored.
        """
        return np.asarray((self.scores - np.nan_to_num(self.baselines())) * self.signs())

    def select(
        self, *, tasks: Sequence[str] | None = None, models: Sequence[str] | None = None
    ) -> ScoreMatrix:
        """Take some tasks and models only, in the order asked for.

        Parameters
        ----------
        tasks : sequence of str, optional
            All of them by default.
        models : sequence of str, optional
            All of them by default.

        Returns
        -------
        ScoreMatrix
            With everything that is known of them, and the same notes.

        Raises
        ------
        ProxyError
            For an unknown name; it says which known one is near.
        """
        rows = places_of("model", self.models if models is None else models, self.models)
        columns = places_of("task", self.tasks if tasks is None else tasks, self.tasks)
        kept = [self.tasks[column] for column in columns]
        block = np.ix_(rows, columns)
        return ScoreMatrix(
            tuple(self.models[row] for row in rows),
            tuple(kept),
            self.scores[block],
            stderr=None if self.stderr is None else self.stderr[block],
            n=None if self.n is None else self.n[block],
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
        """Add to what is known of the tasks; the scores stay.

        Parameters
        ----------
        direction : mapping of str to int, optional
            Task -> 1 or -1; goes before what was known.
        baseline : mapping of str to float, optional
            Task -> the score of guessing; goes before what was known.
        notes : sequence of str, optional
            Further notes.

        Returns
        -------
        ScoreMatrix
            A new one.
        """
        return replace(
            self,
            direction={**self.direction, **(direction or {})},
            baseline={**self.baseline, **(baseline or {})},
            scale={task: self.scale.get(task, math.nan) for task in self.tasks},
            notes=(*self.notes, *notes),
        )

    def to_frame(self) -> pd.DataFrame:
        """Give the scores as a pandas DataFrame.

        Returns
        -------
        pandas.DataFrame
            Index: models, columns: tasks.
        """
        import pandas as pd  # slow to import, and needed here only

        return pd.DataFrame(self.scores, index=list(self.models), columns=list(self.tasks))

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, **facts: Any) -> ScoreMatrix:
        """Make a matrix of a pandas DataFrame.

        Parameters
        ----------
        frame : pandas.DataFrame
            Numbers; index: models, columns: tasks.
        **facts
            `stderr`, `n`, `direction`, `baseline`, `scale` and `notes`, as in the class.

        Returns
        -------
        ScoreMatrix
            With the names as text.
        """
        models, tasks = (tuple(map(str, names)) for names in (frame.index, frame.columns))
        return cls(models, tasks, frame.to_numpy(float), **facts)

    def _array(self, name: str, values: ArrayLike) -> Floats:
        """The values as read-only numbers in the matrix's shape."""
        try:
            array = np.array(values, dtype=np.float64)
        except (TypeError, ValueError):
            raise ProxyError(f"{name} must be numbers, one for each model and task") from None
        if array.shape != self.shape:
            raise ProxyError(
                f"{name} of shape {array.shape} for {counted(self.shape[0], 'model')} and "
                f"{counted(self.shape[1], 'task')}; give a row for each model and a column for each task"
            )
        array.setflags(write=False)
        return array
