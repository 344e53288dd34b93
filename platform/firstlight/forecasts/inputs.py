"""What a forecast is computed from: the rows of its task's runs and of their neighbours, gathered and frozen."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from typing import Any

from firstlight.evaluations.figures import counting
from firstlight.evaluations.models import Run
from firstlight.evaluations.tallies import tally_rows
from firstlight.registry.models import Checkpoint, Task
from passuntil import PassUntilError, TallyRow, forecast_tallies
from passuntil.laws.base import LEAST_SIZES

#: What two dozen tasks say of the deviations of models, more would not say better.
MOST_NEIGHBOURS = 24


@dataclass(frozen=True)
class ForecastInputs:
    """Everything that the library is given. What is added here enters the forecast and its digest alike.

    task: the one among the tasks of `rows` that is forecast. target: its size, on `scale`. version: of the
    distribution whose methods answer.
    """

    rows: tuple[TallyRow, ...]
    task: str
    target: float
    level: float
    scale: str = "n_params"
    seed: int = 0
    version: str = metadata.version("firstlight")

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` over the canonical JSON of every field, whatever the order of the rows."""
        fields = asdict(self)
        fields["rows"] = sorted(_canonical(row) for row in fields["rows"])
        return "sha256:" + hashlib.sha256(_canonical(fields).encode()).hexdigest()

    def answer(self) -> dict[str, Any] | str:
        """The library's answer, or why there is none. Reads and writes nothing; takes seconds."""
        task = self.task if self.rows else None
        try:
            return forecast_tallies(
                self.rows, [self.target], level=self.level, scale=self.scale, task=task, seed=self.seed
            ).as_dict()
        except PassUntilError as error:
            return str(error)[:500]


def gather(task: Task, target: Checkpoint, level: float) -> tuple[list[Run], ForecastInputs]:
    """The runs that feed a forecast of `task` at `target`, and all that goes into it."""
    runs = latest_runs(task, target)
    rows = tuple(row for run in [*runs, *neighbours(task, runs)] for row in _rows(run))
    return runs, ForecastInputs(rows, str(task), float(target.n_params), level)


def latest_runs(task: Task, target: Checkpoint) -> list[Run]:
    """The newest complete run of every smaller checkpoint of the series, the smallest first."""
    newest: dict[int, Run] = {}
    complete = counting(
        Run.objects.filter(
            task=task,
            checkpoint__series=target.series,
            checkpoint__n_params__lt=target.n_params,
            state=Run.State.COMPLETE,
        )
    ).select_related("checkpoint", "task")
    for run in complete.order_by("id"):
        newest[run.checkpoint_id] = run
    return sorted(newest.values(), key=lambda run: run.checkpoint.n_params)


def neighbours(task: Task, runs: list[Run]) -> list[Run]:
    """The newest complete runs of other tasks on the same checkpoints: they tell how these models deviate.

    Other versions of the task itself stay out: their deviations are its own, seen twice. Of another task the
    newest version counts, and the most widely measured tasks, at most `MOST_NEIGHBOURS`.
    """
    complete = (
        counting(
            Run.objects.filter(checkpoint__in=[run.checkpoint_id for run in runs], state=Run.State.COMPLETE)
        )
        .exclude(task__name=task.name)
        .select_related("checkpoint", "task")
        .order_by("task__version", "id")
    )
    newest: dict[str, dict[int, Run]] = {}
    for run in complete:
        by_checkpoint = newest.setdefault(run.task.name, {})
        if any(other.task_id != run.task_id for other in by_checkpoint.values()):
            by_checkpoint.clear()
        by_checkpoint[run.checkpoint_id] = run
    widest = sorted(newest.items(), key=lambda item: (-len(item[1]), item[0]))
    enough = [measured for _, measured in widest if len(measured) >= LEAST_SIZES][:MOST_NEIGHBOURS]
    return [run for measured in enough for run in measured.values()]


def _rows(run: Run) -> list[TallyRow]:
    return [replace(row, task=str(run.task)) for row in tally_rows(run)]


def _canonical(fields: dict[str, Any]) -> str:
    """One text for equal values: names in order, floats as they read back equal, no blanks."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)
