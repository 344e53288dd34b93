"""Summary tables of OpenCompass: comma-separated (.csv), aligned (.txt) or in Markdown (.md).

The shape is that of versions 0.1 to 0.5 (`DefaultSummarizer`): the columns dataset, version, metric and mode, then a
column for each model.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from proxy._text import counted
from proxy.scores._values import value_in
from proxy.scores.formats.document import Document, Format, Reading
from proxy.scores.formats.record import Record

COLUMNS = ["dataset", "version", "metric", "mode"]
SUMMARY = re.compile(r"summary_.*\.(?:csv|txt|md)")
#: What stands below a header.
RULE = re.compile(r":?-+:?")
#: What OpenCompass calls the score of a group of datasets.
AVERAGES = ("naive_average", "weighted_average", "harmonic_mean", "sum", "standard_deviation")
_UNKNOWN = ("", "-", "unknown")


def _recognises(document: Document) -> bool:
    return next(_rows(document.text), None) is not None


def _read(document: Document) -> Reading:
    header, *body = _rows(document.text)
    return read_table(document, header, body)


def read_table(document: Document, header: Sequence[str], body: Sequence[Sequence[str]]) -> Reading:
    """Read the cells of a summary.

    Parameters
    ----------
    document : Document
        The file that has it.
    header : sequence of str
        dataset, version, metric, mode, and the models.
    body : sequence of sequence of str
        A row for each dataset and metric.

    Returns
    -------
    Reading
        A record for each cell with a score, and a note on the cells that hold something else.
    """
    metrics = {cells[0].strip(): cells[2].strip().casefold() for cells in body}
    records, unread = [], []
    for cells in body:
        dataset, version, metric, mode = (cell.strip() for cell in cells[:4])
        parts = {"mode": mode, "version": version}
        members = _members(dataset, metrics) if metric.casefold() in AVERAGES else ()
        for model, cell in zip(header[4:], cells[4:], strict=False):
            value = value_in(cell)
            if model.strip() == "...":
                continue
            if value is None or math.isinf(value.score):
                unread.append(f"{cell.strip()!r:.40} of {model.strip()} on {dataset}")
            elif not math.isnan(value.score):
                records.append(
                    Record(
                        model=model.strip(),
                        task=dataset,
                        metric=metric,
                        score=value.score,
                        task_parts={key: part for key, part in parts.items() if part not in _UNKNOWN},
                        stderr=value.stderr,
                        n=value.n,
                        scale=100.0 if value.percent else math.nan,
                        members=members,
                        mark=value.mark,
                        source=str(document.path),
                    )
                )
    notes = []
    if unread:
        were = counted(len(unread), "cell holds no number and was", "cells hold no number and were")
        notes.append(f"{document.path.name}: {were} left empty ({', '.join(unread[:3])})")
    return Reading(records, notes)


def _members(group: str, metrics: Mapping[str, str]) -> tuple[str, ...]:
    """The datasets in a group: they have its name in theirs, as cmmlu-anatomy has cmmlu.

    The table does not say which are in cmmlu-stem: they are among those of cmmlu that are no averages themselves.
    """
    inside = _named(group, metrics)
    while not inside and "-" in group:
        group = group.rsplit("-", 1)[0]
        inside = tuple(name for name in _named(group, metrics) if metrics[name] not in AVERAGES)
    return inside


def _named(group: str, datasets: Iterable[str]) -> tuple[str, ...]:
    """The datasets that have the group's name in theirs."""
    inside = re.compile(rf"(^|[-_]){re.escape(group)}[-_]")
    return tuple(name for name in datasets if name != group and inside.search(name))


def _rows(text: str) -> Iterator[list[str]]:
    """Rows of the first table with OpenCompass' columns, the header first; nothing if there is none."""
    lines = text.splitlines()
    for start, line in enumerate(lines):
        for split in (_bars, _commas, _columns):
            header = split(line)
            if [cell.lower() for cell in header[:4]] == COLUMNS:
                yield header
                for later in lines[start + 1 :]:
                    cells = split(later)
                    if len(cells) < 4 or later.startswith("$"):
                        return
                    if not RULE.fullmatch(cells[0]):
                        yield cells
                return


def _bars(line: str) -> list[str]:
    text = line.strip()
    inner = text.removeprefix("|").removesuffix("|")
    return [cell.strip() for cell in inner.split("|")] if text.startswith("|") else []


def _commas(line: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(line)), []) if "," in line else []
    except csv.Error:  # a cell longer than any of a table
        return []


def _columns(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def _repeats(files: Sequence[Path]) -> set[Path]:
    """Everything in the work folder of a run but its newest summary, as one file of the three that repeat it."""
    left: set[Path] = set()
    for folder in {path.parent for path in files if path.parent.name == "summary"}:
        summaries = [path for path in files if path.parent == folder and SUMMARY.fullmatch(path.name)]
        if summaries:
            newest = max(
                summaries, key=lambda path: (path.stem, path.suffix == ".csv", path.suffix == ".txt")
            )
            left |= {path for path in files if folder.parent in path.parents and path != newest}
    return left


OPENCOMPASS = Format("opencompass", "OpenCompass", _recognises, _read, repeats=_repeats)
