"""TALLIES.csv without a fault, read by columns: a million rows in seconds.

What a table repeats is read and checked once: a model with its size, a set of counts, the name of an instance. All
of it goes through the row-wise reader (`_reading.row_of`); where that refuses anything, or rows contradict each
other, there is no answer here, and the caller reads row by row, which names the fault.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NoReturn

from passuntil.counts._reading import COUNTS, KNOWN, TASK, header_problem, row_of
from passuntil.counts.tally_row import TallyRow

#: Rows that are turned into columns at a time.
CHUNK = 20_000
#: A row that nothing is wrong with, whose cells stand in for those that are not looked at.
SOUND = {"model": "m", "n_params": "1", "instance": "i", "draws": "1", "passes": "0"}
OF_A_MODEL = ("model", "n_params", "tokens")


class _Fault(Exception):
    """Something that the row-wise reader will name."""


def faultless_rows(text: str) -> list[TallyRow] | None:
    """The rows of a table's text, or None where anything is wrong with it."""
    try:
        return list(_rows(csv.reader(io.StringIO(text, newline=""), strict=True)))
    except (_Fault, csv.Error):
        return None


def _rows(reader: Iterator[list[str]]) -> Iterator[TallyRow]:
    header = [cell.strip() for cell in next(filter(None, reader), [])]
    if header_problem(header):
        raise _Fault
    models = _Memo(lambda cells: row_of(SOUND | dict(zip(OF_A_MODEL, cells, strict=True)), _refuse))
    tallies = _Memo(lambda cells: row_of(SOUND | dict(zip(COUNTS, cells, strict=True)), _refuse).tally)
    instances = _Memo(lambda cell: row_of(SOUND | {"instance": cell}, _refuse).instance)
    tasks = _Memo(lambda cell: row_of(SOUND | {TASK: cell}, _refuse).task)
    losses = _Memo(lambda cell: row_of(SOUND | {"nll": cell}, _refuse).nll)
    measured: dict[tuple[str, str], set[str]] = {}  # instances by task and model
    here: set[str] = set()
    of_model, of_task, count = None, "", 0
    while chunk := list(islice(reader, CHUNK)):
        cells = [row for row in chunk if row]
        if any(len(row) != len(header) for row in cells):
            raise _Fault
        by_name = {
            name: column
            for name, column in zip(header, zip(*cells, strict=True), strict=False)
            if name in KNOWN
        }
        empty = ("",) * len(cells)

        def of(names: Sequence[str], by_name: Any = by_name, empty: Any = empty) -> Iterator[tuple[str, ...]]:
            return zip(*(by_name.get(name, empty) for name in names), strict=True)

        losses.clear()  # each is its own, so that none is worth keeping
        own = [map(models.__getitem__, of(OF_A_MODEL)), map(tallies.__getitem__, of(COUNTS))]
        others = [
            map(memo.__getitem__, by_name.get(name, empty))
            for name, memo in (("instance", instances), (TASK, tasks), ("nll", losses))
        ]
        for model, tally, instance, task, nll in zip(*own, *others, strict=True):
            if model is not of_model or task != of_task:
                of_model, of_task = model, task
                here = measured.setdefault((task, model.model), set())
            here.add(instance)
            yield _checked_row(model, instance, tally, nll, task)
        count += len(cells)
    sizes = {(model.model, model.n_params, model.tokens) for model in models.values()}
    if (
        not count
        or sum(map(len, measured.values())) < count
        or len(sizes) > len({name for name, *_ in sizes})
    ):
        raise _Fault


class _Memo(dict[Any, Any]):
    """What a text, or some texts together, were read as; read at the first use."""

    def __init__(self, read: Callable[[Any], Any]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, cells: Any) -> Any:
        texts = tuple(cell.strip() for cell in cells) if isinstance(cells, tuple) else cells.strip()
        value = self[cells] = self._read(texts)
        return value


def _refuse(column: str, problem: object) -> NoReturn:
    raise _Fault


def _checked_row(model: TallyRow, instance: str, tally: Any, nll: float | None, task: str) -> TallyRow:
    """A row of parts that are checked already; checking them again would take most of the time."""
    row: TallyRow = object.__new__(TallyRow)
    put = object.__setattr__
    put(row, "model", model.model)
    put(row, "n_params", model.n_params)
    put(row, "instance", instance)
    put(row, "tally", tally)
    put(row, "tokens", model.tokens)
    put(row, "nll", nll)
    put(row, "task", task)
    return row
