"""Summary tables of OpenCompass, comma-separated (.csv) or aligned (.txt)."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator

from proxy.scores.formats.document import Document, Format, Reading
from proxy.scores.formats.record import Record, lower_is_better, number_in

COLUMNS = ["dataset", "version", "metric", "mode"]


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
        for split in (_commas, _columns):
            header = split(line)
            if [cell.lower() for cell in header[:4]] == COLUMNS:
                yield header
                for later in lines[start + 1 :]:
                    cells = split(later)
                    if len(cells) < 4 or later.startswith("$"):
                        return
                    if set(cells[0]) != {"-"}:
                        yield cells
                return


def _commas(line: str) -> list[str]:
    return next(csv.reader(io.StringIO(line)), []) if "," in line else []


def _columns(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


OPENCOMPASS = Format("opencompass", "OpenCompass", _recognises, _read)
