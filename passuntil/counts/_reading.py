"""TALLIES.csv read row by row: what is wrong is named by line and column."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import NoReturn

from passuntil._text import counted
from passuntil.counts.tally import Tally
from passuntil.counts.tally_row import TallyRow
from passuntil.errors import PassUntilError
from passuntil.sizes import read_size

COUNTS = ("draws", "passes", "stopped_at", "r", "floor", "cap")
REQUIRED = ("model", "n_params", "instance", "draws", "passes")
COLUMNS = ("model", "n_params", "tokens", "instance", *COUNTS, "nll")
#: Read where it is there; written only where some row names its task.
TASK = "task"
KNOWN = (*COLUMNS, TASK)

#: Raises with file, line, the column of the first argument and the problem of the second.
Refuse = Callable[[str, object], NoReturn]


def rows_of(path: str, text: str) -> Iterator[TallyRow]:
    """The rows of a table's text; the first fault is refused by its place."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    seen: set[tuple[str, str, str]] = set()
    sizes: dict[str, tuple[float, float | None]] = {}
    header: list[str] | None = None
    line = 0

    def refuse(column: str, problem: object) -> NoReturn:
        where = f", column {column}" if column else ""
        raise PassUntilError(f"{path}, line {line}{where}: {problem}")

    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            refuse("", f"not a CSV line ({error})")
        if not cells:
            continue
        if header is None:
            header = [cell.strip() for cell in cells]
            problem = header_problem(header)
            if problem:
                refuse("", problem)
            continue
        if len(cells) != len(header):
            refuse("", f"{counted(len(cells), 'cell')} under {counted(len(header), 'column')}")
        values = {name: cell.strip() for name, cell in zip(header, cells, strict=True) if name in KNOWN}
        row = row_of(values, refuse)
        repeated = repetition(row, seen, sizes)
        if repeated:
            refuse(*repeated)
        yield row
    if not seen:
        refuse("", "no rows; expected a header and one line for each model and instance")


def header_problem(header: list[str]) -> str | None:
    """What is wrong with the names of the columns, or None."""
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        return f"no column {', '.join(missing)}; the header needs {','.join(REQUIRED)}"
    twice = [name for name in KNOWN if header.count(name) > 1]
    if twice:
        return f"column {twice[0]} appears twice; keep one"
    for name in set(header) - set(KNOWN):
        near = get_close_matches(name, COLUMNS, n=1, cutoff=0.8)
        if near:
            return f"unknown column {name!r}; did you mean {near[0]!r}?"
    return None


def row_of(values: dict[str, str], refuse: Refuse) -> TallyRow:
    """One row from its cells; `refuse` raises with file, line and column."""
    numbers: dict[str, float | None] = {}
    for name in ("n_params", "tokens"):
        numbers[name] = _size(values.get(name, ""), name, refuse)
    numbers["nll"] = _float(values.get("nll", ""), "nll", refuse)
    counts = {name: _int(values.get(name, ""), name, refuse) for name in COUNTS}
    for name in REQUIRED:
        if not values[name]:
            refuse(name, "empty; this column is required")
    if counts["draws"] == 0:
        refuse("draws", "no draws; leave the row out until something was drawn")
    if counts["r"] is not None and counts["stopped_at"] is None and counts["cap"] is None:
        counts["cap"] = counts["draws"]
    try:
        return TallyRow(
            model=values["model"],
            n_params=numbers["n_params"] or 0.0,
            instance=values["instance"],
            tally=Tally(**counts),  # type: ignore[arg-type]
            tokens=numbers["tokens"],
            nll=numbers["nll"],
            task=values.get(TASK, ""),
        )
    except PassUntilError as error:
        # Every message of the classes starts with the field that it is about.
        first = str(error).split(" ", 1)[0]
        refuse(first if first in KNOWN else "", error)


def _size(text: str, column: str, refuse: Refuse) -> float | None:
    if not text:
        return None
    try:
        return read_size(text, column)
    except PassUntilError as error:
        refuse(column, error)


def _float(text: str, column: str, refuse: Refuse) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        refuse(column, f"{text!r:.60} is not a number")


def _int(text: str, column: str, refuse: Refuse) -> int | None:
    if not text:
        return None
    # isascii: int() also reads other scripts' digits and underscores, which are slips here.
    if not (text.isascii() and text.lstrip("-").isdigit() and len(text) < 20):
        refuse(column, f"{text!r:.60} is not a whole number")
    return int(text)


def repetition(
    row: TallyRow, seen: set[tuple[str, str, str]], sizes: dict[str, tuple[float, float | None]]
) -> tuple[str, str] | None:
    """(column, problem) if `row` repeats or contradicts an earlier one; remembers it otherwise."""
    if (row.task, row.model, row.instance) in seen:
        return "instance", f"instance {row.instance!r} of model {row.model!r} appears twice; keep one"
    seen.add((row.task, row.model, row.instance))
    size, tokens = sizes.setdefault(row.model, (row.n_params, row.tokens))
    if size != row.n_params:
        return (
            "n_params",
            f"model {row.model!r} has two sizes, {size:g} and {row.n_params:g}; use two names",
        )
    if tokens != row.tokens:
        return (
            "tokens",
            f"model {row.model!r} has two token counts, {cell(tokens) or 'none'} and "
            f"{cell(row.tokens) or 'none'}; use two names",
        )
    return None


def cell(value: str | float | None) -> str:
    """Text of one cell: whole numbers without a point, other floats so that they read back equal."""
    if value is None:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)
