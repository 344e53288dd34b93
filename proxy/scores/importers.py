"""Import: result files of other programs, one or many, into one ScoreMatrix, with every choice noted."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxy._checks import one_of
from proxy._files import is_standard_input
from proxy._text import counted
from proxy.errors import ProxyError
from proxy.scores._metrics import notes_on_metrics, speaking
from proxy.scores._scored import Groups, score_matrix, without_groups
from proxy.scores.formats import FORMATS, Reading, Record, read_document
from proxy.scores.formats.folders import result_files
from proxy.scores.identities import Names, named_records
from proxy.scores.matrix import ScoreMatrix
from proxy.scores.tables import read_scores

FORMAT_NAMES = ("auto", *(one.name for one in FORMATS), "csv")

#: So many files of a folder that are no result files are named in the notes.
NAMED = 5


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
        The files that were read.
    metrics : dict of str to str
        Task -> the metric that speaks for it; empty where all metrics were kept, and for a plain CSV.
    names : Names, optional
        What the files tell apart, and the names that it has in the matrix, besides the names that were given.
    skipped : tuple of str, optional
        Files of folders that could not be read, each with the reason.
    """

    matrix: ScoreMatrix
    formats: tuple[str, ...]
    files: tuple[str, ...]
    metrics: dict[str, str]
    names: Names = field(default_factory=Names)
    skipped: tuple[str, ...] = ()


def import_scores(
    paths: Sequence[str | os.PathLike[str]],
    *,
    form: str = "auto",
    metric: str | None = None,
    all_metrics: bool = False,
    groups: Groups = "keep",
    names: Names | None = None,
    model: str | None = None,
    table: Mapping[str, Any] | None = None,
    progress: Callable[[Collection[Path]], Iterable[Path]] = iter,
) -> Imported:
    """Read result files (or folders of them) of other programs, or one plain CSV.

    A model's and a task's name is short where nothing else has it; where files tell two of one name apart (by the
    number of examples, the version, the dtype, ...), each has what tells it apart behind its name.

    Parameters
    ----------
    paths : sequence of path-like
        The files and folders. A file of a folder that cannot be read is left out, and a note names it.
    form : str, optional
        The format of all of them, one of `FORMAT_NAMES`; "auto" looks into each.
    metric : str, optional
        The metric that speaks for a task where the task has it: its name, or the last part of its name ("accuracy"
        for "match/accuracy"). By default the first of a list of usual ones that the task has; a note names the metrics
        that were left out, and the models that have no other.
    all_metrics : bool, optional
        Keep all metrics, as tasks "task:metric".
    groups : {"keep", "drop"}, optional
        Keep groups of tasks whose parts are there too (a note names them), or leave them out.
    names : Names, optional
        Names of an earlier import, as they were or edited; they are kept.
    model : str, optional
        The model's name, for files that do not say it.
    table : mapping of str to object, optional
        How `read_scores` reads a plain CSV: its keyword arguments.
    progress : callable, optional
        Files -> the same files one by one, for a progress bar.

    Returns
    -------
    Imported
        The matrix, and what was read.

    Raises
    ------
    ProxyError
        For unreadable files, files of no known form, and two different scores of one model on one task.
    """
    one_of("format", form, FORMAT_NAMES)
    one_of("groups", groups, ("keep", "drop"))
    records: list[Record] = []
    tables: dict[Path, ScoreMatrix] = {}
    formats: dict[Path, str] = {}
    skipped: list[str] = []
    files, notes = _files(paths)
    for file in progress(files):
        try:
            name, reading, scores = _read(file, form, model, table or {})
        except ProxyError as error:
            if files[file]:
                raise
            skipped.append(str(error))
            continue
        formats[file] = name
        if scores is not None:
            tables[file] = scores
        records += reading.records
        notes += reading.notes
    if records:
        for file in [file for file in tables if not files[file]]:
            skipped.append(f"{file}: a plain CSV is a table already and is imported alone")
            del tables[file], formats[file]
    if tables and (records or len(tables) > 1):
        raise ProxyError("a plain CSV is a table already and is imported alone; leave out the other files")
    notes += _notes_on_skipped(skipped)
    read = (tuple(dict.fromkeys(formats.values())), tuple(map(str, formats)))
    for scores in tables.values():
        return Imported(scores.with_facts(notes=notes), *read, {}, names or Names(), tuple(skipped))
    if not records:
        raise ProxyError(
            skipped[0] if skipped else f"{next(iter(files))}: holds no scores; give a file of results"
        )
    records, notes_on_groups = without_groups(records, groups)
    records, identities, notes_on_names = named_records(records, names or Names())
    chosen, others = speaking(records, metric)
    notes += [*notes_on_groups, *notes_on_names]
    if not all_metrics:
        notes += notes_on_metrics(records, chosen, others)
    matrix = score_matrix(records, None if all_metrics else chosen, others, notes)
    return Imported(matrix, *read, {} if all_metrics else chosen, identities, tuple(skipped))


def _read(
    file: Path, form: str, model: str | None, table: Mapping[str, Any]
) -> tuple[str, Reading, ScoreMatrix | None]:
    """A file's format, its records, and its table where it is a plain CSV."""
    name, reading = ("csv", Reading([])) if form == "csv" else read_document(file, form, model=model)
    return name, reading, read_scores(file, text=reading.text, **table) if name == "csv" else None


def _files(paths: Sequence[str | os.PathLike[str]]) -> tuple[dict[Path, bool], list[str]]:
    """The files and the result files inside the folders -> whether they were named themselves; and notes."""
    files: dict[Path, bool] = {}
    notes: list[str] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside, left_out = result_files(path)
            files |= {file: files.get(file, False) for file in inside}
            notes += left_out
        elif path.exists() or is_standard_input(path):
            files[path] = True
        else:
            raise ProxyError(f"{path}: no such file")
    if not files:
        raise ProxyError("no files were given; name at least one")
    return files, notes


def _notes_on_skipped(skipped: Sequence[str]) -> list[str]:
    """A note on each of the first files that were left out, and how many more there are."""
    notes = [f"left out: {reason}" for reason in skipped[:NAMED]]
    if len(skipped) > NAMED:
        notes.append(f"{counted(len(skipped) - NAMED, 'more file was', 'more files were')} left out")
    return notes
