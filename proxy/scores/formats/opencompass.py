"""Summary tables of OpenCompass: comma-separated (.csv), aligned (.txt) or in Markdown (.md).

The shape is that of versions 0.1 to 0.5 (`DefaultSummarizer`): the columns dataset, version, metric and mode, then a
column for each model.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from proxy.scores.formats.document import Document, Format, Reading
from proxy.scores.formats.record import Record, lower_is_better, number_in

COLUMNS = ["dataset", "version", "metric", "mode"]
SUMMARY = re.compile(r"summary_.*\.(?:csv|txt|md)")
#: What stands below a header.
RULE = re.compile(r":?-+:?")


def _recognises(document: Document) -> bool:
    return next(_rows(document.text), None) is not None


def _read(document: Document) -> Reading:
    header, *body = _rows(document.text)
    records = []
    for cells in body:
        dataset, _, metric = (cell.strip() for cell in cells[:3])
        for model, cell in zip(header[4:], cells[4:], strict=False):
            score = number_in(cell.strip())
            if model.strip() == "..." or math.isnan(score):
                continue
            records.append(
                Record(
                    model=model.strip(),
                    task=dataset,
                    metric=metric,
                    score=score,
                    lower_is_better=lower_is_better(metric),
                    source=str(document.path),
                )
            )
    return Reading(records)


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
