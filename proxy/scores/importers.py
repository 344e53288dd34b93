"""Import: result files of other programs, one or many, into one ScoreMatrix, with every choice noted."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from proxy._checks import one_of
from proxy.errors import ProxyError
from proxy.scores.import_formats import Record, read_document
from proxy.scores.matrix import ScoreMatrix
from proxy.scores.tables import read_scores

FORMATS = ("auto", "lm-eval", "opencompass", "lighteval", "inspect", "eee", "csv")

#: Which of several metrics of a task speaks for it, if the caller does not say; then the first in the file.
PREFERRED = (
    "acc_norm", "acc", "accuracy", "exact_match", "em", "pass@1", "f1", "mean", "naive_average", "score",
)  # fmt: skip
SUFFIXES = frozenset({".json", ".eval", ".csv", ".txt", ".gz"})


@dataclass(frozen=True, slots=True)
class Imported:
    """The matrix, the formats found, the files read, and the metric that speaks for each task."""

    matrix: ScoreMatrix
    formats: tuple[str, ...]
    files: tuple[str, ...]
    metrics: dict[str, str]


def import_scores(
    paths: Sequence[str | os.PathLike[str]],
    *,
    form: str = "auto",
    metric: str | None = None,
    every: bool = False,
) -> Imported:
    """Read result files (or folders of them) of lm-eval, OpenCompass, lighteval, Inspect, EEE, or plain CSV.

    form: what they are; "auto" looks into each. metric: the metric that speaks for a task where it has it (its name,
    or its last part: "accuracy" for "match/accuracy"). every: keep all metrics, as tasks "task:metric". By default a
    task speaks by the first of `PREFERRED` that it has, and a note names the metrics that were left out.

    Raises ProxyError for unreadable files, files of no known form, and two different scores of one model on one
    task: a task run with other shots, say, has to be imported into a table of its own.
    """
    one_of("format", form, FORMATS)
    files = _files(paths)
    records: list[Record] = []
    tables: list[ScoreMatrix] = []
    formats: list[str] = []
    notes: list[str] = []
    for file in files:
        if file.suffix == ".gz" or form == "csv":
            found, some = "csv", list[Record]()
        else:
            found, some, extra = read_document(file, form)
            notes += extra
        formats.append(found)
        if found == "csv":
            tables.append(read_scores(file))
        records += some
    if tables and (records or len(tables) > 1):
        raise ProxyError("a plain CSV is imported alone: it is a table already; leave out the other files")
    if tables:
        return Imported(tables[0], tuple(formats), tuple(map(str, files)), {})
    if not records:
        raise ProxyError(f"{files[0]}: holds no scores")
    matrix, metrics = _matrix(records, metric, every, notes)
    return Imported(matrix, tuple(dict.fromkeys(formats)), tuple(map(str, files)), metrics)


def _files(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and p.is_file())
            if not inside:
                raise ProxyError(f"{path}: no result files in this folder ({', '.join(sorted(SUFFIXES))})")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise ProxyError(f"{path}: no such file")
    if not found:
        raise ProxyError("no files were given; name at least one")
    return found


def _matrix(
    records: list[Record], metric: str | None, every: bool, notes: list[str]
) -> tuple[ScoreMatrix, dict[str, str]]:
    metrics: dict[str, dict[str, None]] = defaultdict(dict)
    for record in records:
        metrics[record.task][record.metric] = None
    # min keeps the first of equals, which is the first in the file.
    chosen = {task: min(names, key=lambda name: _rank(name, metric)) for task, names in metrics.items()}
    several = {
        task: sorted(name for name in names if name != chosen[task])
        for task, names in metrics.items()
        if len(names) > 1
    }
    if several and not every:
        kinds: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
        for task, others in several.items():
            kinds[chosen[task], tuple(others)].append(task)
        for (kept, left), those in kinds.items():
            which = those[0] if len(those) == 1 else f"{len(those)} tasks ({those[0]}, ...)"
            notes.append(f"{which}: {kept} was taken, not {', '.join(left)}")
    cells: dict[tuple[str, str], Record] = {}
    direction: dict[str, int] = {}
    repeated = 0
    for record in records:
        if every:
            name = f"{record.task}:{record.metric}" if record.task in several else record.task
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
        if record.lower_is_better:
            direction[name] = -1
    if repeated:
        notes.append(f"{repeated} scores came twice with the same value; one of each was kept")
    models = tuple(dict.fromkeys(model for model, _ in cells))
    tasks = tuple(dict.fromkeys(task for _, task in cells))
    arrays = np.full((3, len(models), len(tasks)), np.nan)
    rows, columns = ({name: i for i, name in enumerate(names)} for names in (models, tasks))
    for (model, task), record in cells.items():
        arrays[:, rows[model], columns[task]] = record.score, record.stderr, record.n
    arrays[2][arrays[2] < 1] = math.nan
    matrix = ScoreMatrix(
        models, tasks, arrays[0],
        stderr=arrays[1] if np.isfinite(arrays[1]).any() else None,
        n=arrays[2] if np.isfinite(arrays[2]).any() else None,
        direction=direction, notes=tuple(notes),
    )  # fmt: skip
    return matrix, ({} if every else chosen)


def _rank(name: str, wanted: str | None) -> tuple[int, bool]:
    last = name.rsplit("/", 1)[-1].lower()
    plain = last.split(",", 1)[0]
    if wanted is not None and wanted.lower() in (name.lower(), last, plain):
        return (-1, False)
    place = PREFERRED.index(plain) if plain in PREFERRED else len(PREFERRED)
    return (place, "," in last)
