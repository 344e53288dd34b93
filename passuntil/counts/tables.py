"""TALLIES.csv: counts of many models and instances, read with checks and written back unchanged."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn, TextIO

from passuntil._checks import positive, real
from passuntil._files import read_text, shown_path
from passuntil._text import counted
from passuntil.counts.tally import Tally
from passuntil.errors import PassUntilError

COUNTS = ("draws", "passes", "stopped_at", "r", "floor", "cap")
REQUIRED = ("model", "n_params", "instance", "draws", "passes")
COLUMNS = ("model", "n_params", "tokens", "instance", *COUNTS, "nll")
#: Read where it is there; written only where some row names its task.
TASK = "task"
KNOWN = (*COLUMNS, TASK)

#: No model of more parameters or tokens, and no answer of a larger loss, is believed.
LARGEST_SIZE, LARGEST_NLL, LONGEST_NAME = 1e18, 1e9, 500

#: Raises with file, line, the column of the first argument and the problem of the second.
Refuse = Callable[[str, object], NoReturn]


@dataclass(frozen=True, slots=True)
class TallyRow:
    """Counts of one instance of one model.

    Parameters
    ----------
    model : str
        Its name, of 1 to 500 characters.
    n_params : float
        Its non-embedding parameters, above 0.
    instance : str
        Name of the instance, of 1 to 500 characters.
    tally : Tally
        The counts.
    tokens : float, optional
        Training tokens of the model, above 0, if known.
    nll : float, optional
        Summed negative log-likelihood of the reference answer in nats, at least 0, if known.
    task : str, optional
        Its name, where rows of several tasks stand together.

    Raises
    ------
    PassUntilError
        For anything else.
    """

    model: str
    n_params: float
    instance: str
    tally: Tally
    tokens: float | None = None
    nll: float | None = None
    task: str = ""

    def __post_init__(self) -> None:
        for field in ("model", "instance"):
            value = getattr(self, field)
            if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_NAME:
                raise PassUntilError(
                    f"{field} must be a name of 1 to {LONGEST_NAME} characters, not {value!r:.60}"
                )
            object.__setattr__(self, field, value.strip())
        object.__setattr__(self, "n_params", positive("n_params", self.n_params, most=LARGEST_SIZE))
        if not isinstance(self.tally, Tally):
            raise PassUntilError(f"tally must be a Tally, not {self.tally!r:.60}")
        if self.tokens is not None:
            object.__setattr__(self, "tokens", positive("tokens", self.tokens, most=LARGEST_SIZE))
        if self.nll is not None:
            nll = real("nll", self.nll)
            if not 0.0 <= nll <= LARGEST_NLL:
                raise PassUntilError(f"nll must lie between 0 and {LARGEST_NLL:g} nats, not {nll:g}")
            object.__setattr__(self, "nll", nll)
        if not isinstance(self.task, str) or len(self.task) > LONGEST_NAME:
            raise PassUntilError(f"task must be a name of at most {LONGEST_NAME} characters")
        object.__setattr__(self, "task", self.task.strip())


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
    name, text = shown_path(path), read_text(path)
    return list(_rows(name, csv.reader(io.StringIO(text, newline=""), strict=True)))


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
        table.append([_cell(value) for value in ([*cells, row.task] if named else cells)])
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
        problem = _repeats(row, seen, sizes)
        if problem:
            raise PassUntilError(problem[1])


def _rows(path: str, reader: Iterator[list[str]]) -> Iterator[TallyRow]:
    seen: set[tuple[str, str, str]] = set()
    sizes: dict[str, tuple[float, float | None]] = {}
    header: list[str] | None = None
    line = 0

    def refuse(column: str, problem: object) -> NoReturn:
        where = f", column {column}" if column else ""
        raise PassUntilError(f"{path}, line {line}{where}: {problem}")

    while True:
        line = reader.line_num + 1  # type: ignore[attr-defined]
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
            problem = _header_problem(header)
            if problem:
                refuse("", problem)
            continue
        if len(cells) != len(header):
            refuse("", f"{counted(len(cells), 'cell')} under {counted(len(header), 'column')}")
        values = {name: cell.strip() for name, cell in zip(header, cells, strict=True) if name in KNOWN}
        row = _row(values, refuse)
        repeated = _repeats(row, seen, sizes)
        if repeated:
            refuse(*repeated)
        yield row
    if not seen:
        refuse("", "no rows; expected a header and one line for each model and instance")


def _header_problem(header: list[str]) -> str | None:
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


def _row(values: dict[str, str], refuse: Refuse) -> TallyRow:
    """One row from its cells; `refuse` raises with file, line and column."""
    numbers: dict[str, float | None] = {}
    for name in ("n_params", "tokens", "nll"):
        numbers[name] = _float(values.get(name, ""), name, refuse)
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


def _repeats(
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
            f"model {row.model!r} has two token counts, {_cell(tokens) or 'none'} and "
            f"{_cell(row.tokens) or 'none'}; use two names",
        )
    return None


def _cell(value: str | float | None) -> str:
    """Text of one cell: whole numbers without a point, other floats so that they read back equal."""
    if value is None:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)
