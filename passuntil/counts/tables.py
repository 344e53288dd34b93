"""TALLIES.csv: counts of many models and instances, read with checks and written back unchanged."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from typing import TextIO

from passuntil._files import read_text, shown_path
from passuntil.counts._bulk import faultless_rows
from passuntil.counts._reading import COLUMNS, COUNTS, KNOWN, cell, repetition, rows_of
from passuntil.counts.tally_row import TallyRow
from passuntil.errors import PassUntilError


def read_tallies(path: str | os.PathLike[str]) -> list[TallyRow]:
    """Read the rows of a TALLIES.csv (UTF-8, comma-separated, a header line; packed by gzip or not).

    Columns: ``model,n_params,instance,draws,passes`` and, where known,
    ``tokens,stopped_at,r,floor,cap,nll,task``; an empty cell is unknown. Other columns are ignored, unless
    the name looks like a slip for one of these. A row with r and neither stopped_at nor cap met a cap at its
    last draw: that is what an empty stopped_at means.

    Parameters
    ----------
    path : str or path-like
        The file; "-" is standard input.

    Returns
    -------
    list of TallyRow
        In the order of the file.

    Raises
    ------
    PassUntilError
        Naming file, line and column: unreadable file, missing column, a value that is no number or out of
        range, counts that contradict each other, no draws, the same instance of a task twice for a model,
        or one model with two sizes or token counts.
    """
    text = read_text(path)
    rows = faultless_rows(text)
    return list(rows_of(shown_path(path), text)) if rows is None else rows


def write_tallies(target: str | os.PathLike[str] | TextIO, rows: Iterable[TallyRow]) -> None:
    """Write rows as a TALLIES.csv that `read_tallies` reads back equal.

    Parameters
    ----------
    target : str, path-like or text file
        A path, where an existing file is replaced, or a text file that is open for writing.
    rows : iterable of TallyRow
        A line each, in this order.
    """
    rows = list(rows)
    named = any(row.task for row in rows)
    table = [list(KNOWN if named else COLUMNS)]
    for row in rows:  # all of them before a file is replaced
        counts = [getattr(row.tally, name) for name in COUNTS]
        cells = [row.model, row.n_params, row.tokens, row.instance, *counts, row.nll]
        table.append([cell(value) for value in ([*cells, row.task] if named else cells)])
    if isinstance(target, str | os.PathLike):
        with open(target, "w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(table)
    else:
        csv.writer(target, lineterminator="\n").writerows(table)


def check_series(rows: Iterable[TallyRow]) -> None:
    """Refuse rows that contradict each other.

    Parameters
    ----------
    rows : iterable of TallyRow
        Of one series.

    Raises
    ------
    PassUntilError
        For the same task, model and instance twice, and a model with two sizes or two token counts.
    """
    seen: set[tuple[str, str, str]] = set()
    sizes: dict[str, tuple[float, float | None]] = {}
    for row in rows:
        problem = repetition(row, seen, sizes)
        if problem:
            raise PassUntilError(problem[1])
