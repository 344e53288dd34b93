"""Summary tables of OpenCompass: comma-separated (.csv), aligned (.txt) or in Markdown (.md).

The shape is that of versions 0.1 to 0.5 (`DefaultSummarizer`): the columns dataset, version, metric and mode, then a
column for each model. A group's mean stands beside its parts, which are named by it ("mmlu" and "mmlu-stem").
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from proxy._files import shown_path
from proxy._text import counted
from proxy.scores._values import value_in
from proxy.scores.formats.document import Document, Format, Reading
from proxy.scores.formats.record import Record

COLUMNS = ["dataset", "version", "metric", "mode"]
SUMMARY = re.compile(r"summary_.*\.(?:csv|txt|md)")
#: What is no name: a data set without one, a row of a title.
NOTHING = frozenset({"", "-", "..."})


def _recognises(document: Document) -> bool:
    return next(_rows(document.text), None) is not None


def _read(document: Document) -> Reading:
    header, *body = _rows(document.text)
    models = [cell.strip() for cell in header[4:]]
    records: list[Record] = []
    unread: list[str] = []
    for cells in body:
        dataset, version, metric, mode = (cell.strip() for cell in cells[:4])
        # Rows of titles within a table: "---------- Exam ----------".
        if dataset in NOTHING or set(dataset[:2]) == {"-"}:
            continue
        parts = {"mode": mode, "version": version}
        for model, cell in zip(models, cells[4:], strict=False):
            value = value_in(cell)
            if model in NOTHING:
                continue
            if value is None:
                unread.append(f"{cell.strip()!r:.40} of {model} on {dataset}")
            elif value.score == value.score:
                records.append(
                    Record(
                        model=model,
                        task=dataset,
                        task_parts={name: part for name, part in parts.items() if part not in NOTHING},
                        metric=metric,
                        score=value.score,
                        stderr=value.stderr,
                        n=value.n,
                        mark=value.mark,
                        source=str(document.path),
                    )
                )
    notes = []
    if unread:
        notes.append(
            f"{shown_path(document.path)}: {counted(len(unread), 'cell is', 'cells are')} no number: {unread[0]}"
        )
    return Reading(_with_members(records), notes)


def _with_members(records: list[Record]) -> list[Record]:
    """The same records, groups with the tasks of the file that are named by them."""
    tasks = dict.fromkeys(record.task for record in records)
    # A data set has the version of its prompt; a group has none.
    groups = {record.task for record in records if "version" not in record.task_parts}
    members = {
        group: tuple(task for task in tasks if re.match(re.escape(group) + r"[-_]", task)) for group in groups
    }
    return [replace(record, members=members.get(record.task, ())) for record in records]


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
                    if not re.fullmatch(r":?-{2,}:?", cells[1]):  # the line below the header
                        yield cells
                return


def _bars(line: str) -> list[str]:
    text = line.strip()
    inner = text.removeprefix("|").removesuffix("|")
    return [cell.strip() for cell in inner.split("|")] if text.startswith("|") else []


def _commas(line: str) -> list[str]:
    return next(csv.reader(io.StringIO(line)), []) if "," in line else []


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
