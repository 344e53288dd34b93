"""SCORES.csv in both forms: read with checks that name the line, and written as the long form."""

from __future__ import annotations

import csv
import io
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence

from proxy._files import read_text, shown_path
from proxy._text import counted
from proxy.errors import ProxyError
from proxy.scores._bulk import is_number, read_plain_long, read_plain_wide
from proxy.scores._cells import Case, Cells, Duplicates
from proxy.scores._scales import known_scales
from proxy.scores.matrix import ScoreMatrix

#: Columns of the long form.
LONG = ("model", "task", "score", "stderr", "n", "metric", "direction", "baseline", "scale")


def read_scores(
    path: str | os.PathLike[str],
    *,
    tasks: Sequence[str] | None = None,
    model_columns: Sequence[str] = ("model",),
    duplicates: Duplicates = "refuse",
    case: Case = "refuse",
    direction: Mapping[str, int] | None = None,
    baseline: Mapping[str, float] | None = None,
    scale: Mapping[str, float] | None = None,
    text: str | None = None,
) -> ScoreMatrix:
    """Read the score matrix of a CSV file (UTF-8, a header line; packed by gzip or not).

    Wide: a model column and one column a task; columns without any number are left out, and a note says so.
    Long: ``model,task,score`` and, where known, ``stderr,n,metric,direction,baseline,scale``; a metric becomes
    part of the task's name (``task:metric``). An empty cell (or -, NA, nan) is a gap. A score may be written as
    ``45.1%``, ``1,037``, ``0.5 ± 0.01`` (its standard error) or ``87.5 (7/8)`` (its items); a note repeats other marks.

    Parameters
    ----------
    path : path-like
        The file; "-" is standard input.
    tasks : sequence of str, optional
        Read only these.
    model_columns : sequence of str, optional
        The columns that make up a model's name, joined by "@".
    duplicates : {"refuse", "first", "mean"}, optional
        What to do with a model that has several scores on a task. Equal ones are merged and noted; of different ones
        "refuse" complains, "first" keeps the first, "mean" takes the mean (both noted).
    case : {"refuse", "first"}, optional
        Of models whose names differ only in case, "refuse" complains and "first" leaves the later ones out (noted).
    direction : mapping of str to int, optional
        As in `ScoreMatrix`, for tasks of which the file says nothing.
    baseline : mapping of str to float, optional
        Likewise.
    scale : mapping of str to float, optional
        Likewise.
    text : str, optional
        What the file holds, where it was read already; the path then only names it.

    Returns
    -------
    ScoreMatrix
        Models and tasks in the order of the file.

    Raises
    ------
    ProxyError
        For a file that cannot be read, and for cells that are no scores or contradict each other; it names the file,
        the line and the column.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "scores.csv")
    ...     _ = path.write_text("model,arc,mmlu\\na,0.3,0.26\\nb,0.4,\\n")
    ...     matrix = read_scores(path, baseline={"mmlu": 0.25})
    >>> matrix.models, matrix.scores.tolist()
    (('a', 'b'), [[0.3, 0.26], [0.4, nan]])
    """
    name = shown_path(path)
    rows = _lines(name, read_text(path) if text is None else text)
    if not rows:
        raise ProxyError(f"{name}: empty; expected a header and a line for each model")
    header = [cell.strip() for cell in rows[0][1]]
    lower = [cell.casefold() for cell in header]
    twice = next((cell for cell, times in Counter(header).items() if cell and times > 1), None)
    if twice:
        raise ProxyError(f"{name}, line {rows[0][0]}: column {twice!r} is there twice; keep one")
    keys = []
    for wanted in model_columns:
        if wanted.casefold() not in lower:
            raise ProxyError(
                f"{name}, line {rows[0][0]}: no column {wanted!r}; there are {', '.join(header[:8])}"
            )
        keys.append(lower.index(wanted.casefold()))
    for line, cells in rows[1:]:
        if len(cells) != len(header):
            raise ProxyError(
                f"{name}, line {line}: {counted(len(cells), 'cell')} under {counted(len(header), 'column')}"
            )
    table = Cells(name, duplicates, case)
    if {"task", "score"} <= set(lower):
        _read_long(table, rows, lower, keys, tasks)
    else:
        _read_wide(table, rows, header, keys, tasks)
    return table.matrix(tasks, direction or {}, baseline or {}, scale or {})


def write_scores(path: str | os.PathLike[str], matrix: ScoreMatrix) -> int:
    """Write the long form, which `read_scores` reads back equal; an existing file is replaced.

    Columns that nothing is known about are left out; gaps have no row.

    Parameters
    ----------
    path : path-like
        The file.
    matrix : ScoreMatrix
        The scores.

    Returns
    -------
    int
        How many scores were written.
    """
    try:
        evident = known_scales(matrix.models, matrix.tasks, matrix.scores, {})
    except ProxyError:  # only what was declared keeps these scores from looking mixed
        evident = {}
    declared = {task: top for task, top in matrix.scale.items() if evident.get(task) != top}
    known = {
        "stderr": matrix.stderr is not None,
        "n": matrix.n is not None,
        "direction": any(sign == -1 for sign in matrix.direction.values()),
        "baseline": bool(matrix.baseline),
        # Written only where a reader would not find it from the scores.
        "scale": bool(declared),
    }
    lines = [["model", "task", "score", *(column for column, is_known in known.items() if is_known)]]
    for i, model in enumerate(matrix.models):
        for j, task in enumerate(matrix.tasks):
            if math.isnan(matrix.scores[i, j]):
                continue
            values = {
                "stderr": matrix.stderr[i, j] if matrix.stderr is not None else math.nan,
                "n": matrix.n[i, j] if matrix.n is not None else math.nan,
                "direction": matrix.direction.get(task, 1),
                "baseline": matrix.baseline.get(task, math.nan),
                "scale": declared.get(task, math.nan),
            }
            extra = [_text(values[column]) for column, is_known in known.items() if is_known]
            lines.append([model, task, _text(matrix.scores[i, j]), *extra])
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
    return len(lines) - 1


def _read_long(
    table: Cells,
    rows: Sequence[tuple[int, list[str]]],
    lower: Sequence[str],
    keys: Sequence[int],
    tasks: Sequence[str] | None,
) -> None:
    """Add every line of a long table."""
    at = {name: lower.index(name) for name in LONG if name in lower}
    if tasks is None and read_plain_long(table, rows, at, keys):
        return
    for line, cells in rows[1:]:
        model = table.model(cells, keys, line)
        task = cells[at["task"]].strip()
        if "metric" in at and cells[at["metric"]].strip():
            task = f"{task}:{cells[at['metric']].strip()}"
        if not task:
            table.refuse(line, "task", "empty; every line must name its task")
        if tasks is not None and task not in tasks:
            continue
        score = table.score(cells[at["score"]], line, task, "score")
        read = {
            name: table.value(cells[at[name]], line, name).score if name in at else math.nan
            for name in ("stderr", "n", "direction", "baseline", "scale")
        }
        stderr, n = (
            given if math.isnan(read[name]) else read[name]
            for name, given in (("stderr", score.stderr), ("n", score.n))
        )
        table.add(model, task, score._replace(stderr=stderr, n=n))
        for fact, known in table.facts.items():
            if not math.isnan(read[fact]) and known.setdefault(task, read[fact]) != read[fact]:
                table.refuse(line, fact, f"{read[fact]:g} for {task!r}, {known[task]:g} before; keep one")


def _read_wide(
    table: Cells,
    rows: Sequence[tuple[int, list[str]]],
    header: Sequence[str],
    keys: Sequence[int],
    tasks: Sequence[str] | None,
) -> None:
    """Add every column of a wide table that has numbers."""
    models = [table.model(cells, keys, line) for line, cells in rows[1:]]
    _refuse_other_long(table, rows, header, keys, models)
    if read_plain_wide(table, rows, header, keys, tasks):
        return
    textual = []
    for place, task in enumerate(header):
        if place in keys or (tasks is not None and task not in tasks):
            continue
        if not task or not any(is_number(cells[place]) for _, cells in rows[1:]):
            textual.append(task or f"number {place + 1}")
            continue
        for model, (line, cells) in zip(models, rows[1:], strict=True):
            table.add(model, task, table.score(cells[place], line, task, task))
    if textual:
        table.notes.append(f"columns without a name or numbers were left out: {', '.join(textual)}")


def _refuse_other_long(
    table: Cells,
    rows: Sequence[tuple[int, list[str]]],
    header: Sequence[str],
    keys: Sequence[int],
    models: Sequence[int],
) -> None:
    """Refuse a long table with other names: a model contradicts itself, but a column of text tells its lines apart."""
    if table.duplicates != "refuse" or len(set(models)) == len(models):
        return
    columns = {
        place: [cells[place].strip() for _, cells in rows[1:]]
        for place in range(len(header))
        if place not in keys
    }
    numbers = [place for place, cells in columns.items() if any(map(is_number, cells))]
    if not any(len(set(zip(models, columns[place], strict=True))) > len(set(models)) for place in numbers):
        return
    for place, cells in columns.items():
        if place not in numbers and len(set(zip(models, cells, strict=True))) == len(models):
            renamed = [] if header[place].casefold() == "task" else [f"{header[place]!r} to task"]
            renamed += [
                f"{header[numbers[0]]!r} to score" if len(numbers) == 1 else "the column of scores to score"
            ]
            raise ProxyError(
                f"{table.path}, line {rows[0][0]}: a long table has the columns model, task and score; rename "
                f"{' and '.join(renamed)}; where {header[place]!r} makes another model, name both by --model-column"
            )


def _lines(name: str, text: str) -> list[tuple[int, list[str]]]:
    """The lines of a CSV file that hold anything, with their numbers."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    try:
        return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise ProxyError(f"{name}, line {reader.line_num}: not a CSV line ({error})") from None


def _text(value: float) -> str:
    """A number as a cell: short, and read back equal."""
    if math.isnan(value):
        return ""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
