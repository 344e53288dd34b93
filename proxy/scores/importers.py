"""Import: result files of other programs, one or many, into one ScoreMatrix, with every choice noted."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from proxy._checks import one_of
from proxy._files import is_standard_input
from proxy._text import counted
from proxy.errors import ProxyError
from proxy.scores.formats import FORMATS, Reading, Record, read_document
from proxy.scores.formats.folders import result_files
from proxy.scores.formats.record import lower_is_better
from proxy.scores.matrix import ScoreMatrix
from proxy.scores.tables import read_scores

FORMAT_NAMES = ("auto", *(one.name for one in FORMATS), "csv")

#: Which of several metrics of a task speaks for it, if the caller does not say; then the first in the file.
PREFERRED = (
    "acc_norm", "acc", "accuracy", "exact_match", "em", "pass@1", "f1", "mean", "naive_average", "score",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import read.

    Parameters
    ----------
    matrix : ScoreMatrix
        The scores, with a note on every choice.
    formats : tuple of str
        The formats of the files, each once.
    files : tuple of str
        The files.
    metrics : dict of str to str
        Task -> the metric that speaks for it; empty where all metrics were kept, and for a plain CSV.
    """

    matrix: ScoreMatrix
    formats: tuple[str, ...]
    files: tuple[str, ...]
    metrics: dict[str, str]


def import_scores(
    paths: Sequence[str | os.PathLike[str]],
    *,
    form: str = "auto",
    metric: str | None = None,
    all_metrics: bool = False,
    model: str | None = None,
    table: Mapping[str, Any] | None = None,
    progress: Callable[[Sequence[Path]], Iterable[Path]] = iter,
) -> Imported:
    """Read result files (or folders of them) of other programs, or one plain CSV.

    Parameters
    ----------
    paths : sequence of path-like
        The files and folders.
    form : str, optional
        The format of all of them, one of `FORMAT_NAMES`; "auto" looks into each.
    metric : str, optional
        The metric that speaks for a task where the task has it: its name, or the last part of its name ("accuracy"
        for "match/accuracy"). By default the first of `PREFERRED` that the task has; a note names the metrics that
        were left out.
    all_metrics : bool, optional
        Keep all metrics, as tasks "task:metric".
    model : str, optional
        The model's name, for files that do not say it.
    table : mapping of str to object, optional
        How `read_scores` is to read a plain CSV: its keyword arguments.
    progress : callable, optional
        Files -> the same files, one by one, for a progress bar.

    Returns
    -------
    Imported
        The matrix, and what was read.

    Raises
    ------
    ProxyError
        For unreadable files, files of no known form, and two different scores of one model on one task: a task that
        was run with another number of examples, say, has to be imported into a table of its own.
    """
    one_of("format", form, FORMAT_NAMES)
    files, notes = _files(paths)
    records: list[Record] = []
    tables: list[ScoreMatrix] = []
    formats: list[str] = []
    for file in progress(files):
        name, reading = ("csv", Reading([])) if form == "csv" else read_document(file, form, model=model)
        formats.append(name)
        if name == "csv":
            tables.append(read_scores(file, **(table or {})))
        records += reading.records
        notes += reading.notes
    if tables and (records or len(tables) > 1):
        raise ProxyError("a plain CSV is a table already and is imported alone; leave out the other files")
    names = tuple(map(str, files))
    if tables:
        return Imported(tables[0], tuple(formats), names, {})
    if not records:
        raise ProxyError(f"{files[0]}: holds no scores; give a file of results")
    chosen, others = _speaking(records, metric)
    if not all_metrics:
        notes += _notes_on_metrics(chosen, others)
    matrix = _matrix(records, None if all_metrics else chosen, others, notes)
    return Imported(matrix, tuple(dict.fromkeys(formats)), names, {} if all_metrics else chosen)


def _files(paths: Sequence[str | os.PathLike[str]]) -> tuple[list[Path], list[str]]:
    """The files, and the result files inside the folders, with notes on what was left out there."""
    files: list[Path] = []
    notes: list[str] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside, left_out = result_files(path)
            files += inside
            notes += left_out
        elif path.exists() or is_standard_input(path):
            files.append(path)
        else:
            raise ProxyError(f"{path}: no such file")
    if not files:
        raise ProxyError("no files were given; name at least one")
    return files, notes


def _speaking(
    records: Sequence[Record], metric: str | None
) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Task -> the metric that speaks for it, and task -> its other metrics, where it has any."""
    metrics: dict[str, dict[str, None]] = defaultdict(dict)
    for record in records:
        metrics[record.task][record.metric] = None
    # min keeps the first of equals, which is the first in the file.
    chosen = {task: min(names, key=lambda name: _rank(name, metric)) for task, names in metrics.items()}
    others = {
        task: tuple(sorted(name for name in names if name != chosen[task]))
        for task, names in metrics.items()
        if len(names) > 1
    }
    return chosen, others


def _rank(name: str, wanted: str | None) -> tuple[int, bool]:
    """A metric's place: the wanted one first, then the preferred ones, each without a filter first."""
    last = name.rsplit("/", 1)[-1].lower()
    plain = last.split(",", 1)[0]
    if wanted is not None and wanted.lower() in (name.lower(), last, plain):
        return (-1, False)
    place = PREFERRED.index(plain) if plain in PREFERRED else len(PREFERRED)
    return (place, "," in last)


def _notes_on_metrics(chosen: Mapping[str, str], others: Mapping[str, tuple[str, ...]]) -> list[str]:
    """One note for all tasks that have the same metrics."""
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for task, left_out in others.items():
        alike[chosen[task], left_out].append(task)
    return [
        f"{tasks[0] if len(tasks) == 1 else f'{len(tasks)} tasks ({tasks[0]}, ...)'}: {kept} was taken, "
        f"not {', '.join(left_out)}"
        for (kept, left_out), tasks in alike.items()
    ]


def _matrix(
    records: Sequence[Record],
    chosen: Mapping[str, str] | None,
    others: Mapping[str, tuple[str, ...]],
    notes: list[str],
) -> ScoreMatrix:
    """The matrix of the chosen metrics, or of all where none are chosen."""
    cells: dict[tuple[str, str], Record] = {}
    direction: dict[str, int] = {}
    repeated = 0
    for record in records:
        if chosen is None:
            name = f"{record.task}:{record.metric}" if record.task in others else record.task
        elif record.metric == chosen[record.task]:
            name = record.task
        else:
            continue
        other = cells.setdefault((record.model, name), record)
        if other is not record:
            if other.score != record.score:
                raise ProxyError(
                    f"{record.source}: {record.model} has {record.score:g} on {name}, but {other.score:g} in "
                    f"{other.source}; import one of them"
                )
            repeated += 1
        if lower_is_better(record.metric) if record.lower_is_better is None else record.lower_is_better:
            direction[name] = -1
    if repeated:
        notes.append(f"{counted(repeated, 'score')} came twice with the same value; one was kept")
    models = tuple(dict.fromkeys(model for model, _ in cells))
    tasks = tuple(dict.fromkeys(task for _, task in cells))
    arrays = np.full((3, len(models), len(tasks)), np.nan)
    rows, columns = ({name: i for i, name in enumerate(names)} for names in (models, tasks))
    for (model, task), record in cells.items():
        arrays[:, rows[model], columns[task]] = record.score, record.stderr, record.n
    arrays[2][arrays[2] < 1] = math.nan
    return ScoreMatrix(
        models, tasks, arrays[0],
        stderr=arrays[1] if np.isfinite(arrays[1]).any() else None,
        n=arrays[2] if np.isfinite(arrays[2]).any() else None,
        direction=direction, notes=tuple(notes),
    )  # fmt: skip
