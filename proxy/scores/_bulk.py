"""Tables of plain numbers, read by columns: a million scores in seconds.

A table that says more (percent signs, standard errors behind a ±, facts of tasks, a score twice) is left to the
reader that goes cell by cell, and so is one with a fault, which that reader names by its place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from proxy._arrays import Floats
from proxy.scores._cells import Cells
from proxy.scores._values import value_in

Rows = Sequence[tuple[int, list[str]]]


def read_plain_wide(
    table: Cells, rows: Rows, header: Sequence[str], keys: Sequence[int], tasks: Sequence[str] | None
) -> bool:
    """Give a wide table its scores all at once; False, and nothing done, where it is none of plain numbers."""
    if len(table.models) < len(rows) - 1:
        return False
    columns = list(zip(*(cells for _, cells in rows[1:]), strict=True))
    numbers: dict[str, Floats] = {}
    textual = []
    for place, task in enumerate(header):
        if place in keys or (tasks is not None and task not in tasks):
            continue
        column = _plain(columns[place]) if task and columns else None
        if column is None and task and any(map(is_number, columns[place] if columns else ())):
            return False
        if column is None or np.isnan(column).all():
            textual.append(task or f"number {place + 1}")
        else:
            numbers[task] = column
    if not numbers:
        return False
    table.tasks.update((task, place) for place, task in enumerate(numbers))
    table.whole = np.full((3, len(table.models), len(numbers)), np.nan)
    table.whole[0] = np.column_stack(list(numbers.values()))
    if textual:
        table.notes.append(f"columns without a name or numbers were left out: {', '.join(textual)}")
    return True


def read_plain_long(table: Cells, rows: Rows, at: dict[str, int], keys: Sequence[int]) -> bool:
    """As `read_plain_wide`, of a table with a line a score; at: the places of its columns by name."""
    if not set(at) <= {"model", "task", "score", "stderr", "n"} or len(rows) < 2:
        return False
    columns = list(zip(*(cells for _, cells in rows[1:]), strict=True))
    read = {name: _plain(columns[at[name]]) for name in ("score", "stderr", "n") if name in at}
    numbers = {name: column for name, column in read.items() if column is not None}
    places: dict[str, int] = {}
    stripped = {task: task.strip() for task in dict.fromkeys(columns[at["task"]])}
    for task in stripped.values():
        places.setdefault(task, len(places))
    if len(numbers) < len(read) or "" in places:
        return False
    models = np.array([table.model(cells, keys, line) for line, cells in rows[1:]])
    of_task = {task: places[name] for task, name in stripped.items()}
    which = np.array([of_task[task] for task in columns[at["task"]]])
    if np.unique(models * len(places) + which).size < models.size:
        return False
    table.tasks.update(places)
    table.whole = np.full((3, len(table.models), len(places)), np.nan)
    scored = np.isfinite(numbers["score"])
    for layer, name in enumerate(("score", "stderr", "n")):
        if name in numbers:
            table.whole[layer, models[scored], which[scored]] = numbers[name][scored]
    return bool(scored.any())


def is_number(text: str) -> bool:
    """Whether a cell holds a number, not a gap."""
    value = value_in(text)
    return value is not None and not math.isnan(value.score)


def _plain(column: Sequence[str]) -> Floats | None:
    """The numbers of a column, NaN for a gap; None where a cell is no number, is infinite or says more."""
    try:
        numbers = np.array(list(map(float, column)))
    except ValueError:
        meaning = {}
        for text in set(column):
            value = value_in(text)
            if value is None or value.percent or value.mark or not math.isnan(value.stderr + value.n):
                return None
            meaning[text] = value.score
        numbers = np.array([meaning[text] for text in column])
    return None if np.isinf(numbers).any() else numbers
