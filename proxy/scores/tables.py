"""SCORES.csv in both forms: read with checks that name the line, and written as the long form."""

from __future__ import annotations

import csv
import gzip
import io
import math
import os
from collections.abc import Mapping, Sequence
from typing import Literal, NoReturn

import numpy as np

from proxy._checks import one_of
from proxy.errors import ProxyError
from proxy.scores.matrix import ScoreMatrix
from proxy.scores.scales import known_scales

Duplicates = Literal["refuse", "first", "mean"]
LONG = ("model", "task", "score", "stderr", "n", "metric", "direction", "baseline", "scale")
GAPS = frozenset({"", "-", "na", "n/a", "nan", "none", "null"})


def read_scores(
    path: str | os.PathLike[str],
    *,
    tasks: Sequence[str] | None = None,
    model_columns: Sequence[str] = ("model",),
    duplicates: Duplicates = "refuse",
    case: Literal["refuse", "first"] = "refuse",
    direction: Mapping[str, int] | None = None,
    baseline: Mapping[str, float] | None = None,
    scale: Mapping[str, float] | None = None,
) -> ScoreMatrix:
    """The score matrix of a CSV file (UTF-8, a header line; .gz is unpacked).

    Wide: a model column and one column a task; columns without any number are left out, and a note says so.
    Long: ``model,task,score`` and, where known, ``stderr,n,metric,direction,baseline,scale``; a metric becomes
    part of the task's name (``task:metric``). An empty cell (or -, NA, nan) is a gap.

    tasks: read only these. model_columns: the columns that make up a model's name, joined by "@". duplicates:
    what to do with a model that has two scores on a task: equal ones are merged and noted; of contradicting ones
    "refuse" complains, "first" keeps the first, "mean" averages (both noted). case: of models whose names differ
    only in case, "refuse" complains and "first" leaves the later ones out (noted). direction, baseline, scale: as
    in `ScoreMatrix`, for tasks of which the file says nothing.

    Raises ProxyError, naming file, line and column.
    """
    name = os.fspath(path)
    rows = _lines(name)
    if not rows:
        raise ProxyError(f"{name}: empty; expected a header and a line for each model")
    header = [cell.strip() for cell in rows[0][1]]
    lower = [cell.casefold() for cell in header]
    for cell in header:
        if cell and header.count(cell) > 1:
            raise ProxyError(f"{name}, line {rows[0][0]}: column {cell!r} stands there twice; keep one")
    keys = []
    for wanted in model_columns:
        if wanted.casefold() not in lower:
            raise ProxyError(
                f"{name}, line {rows[0][0]}: no column {wanted!r}; there are {', '.join(header[:8])}"
            )
        keys.append(lower.index(wanted.casefold()))
    for line, cells in rows[1:]:
        if len(cells) != len(header):
            raise ProxyError(f"{name}, line {line}: {len(cells)} cells under {len(header)} columns")
    table = _Cells(name, duplicates, case)
    if {"task", "score"} <= set(lower):
        _read_long(table, rows, lower, keys, tasks)
    else:
        _read_wide(table, rows, header, keys, tasks)
    return table.matrix(tasks, direction or {}, baseline or {}, scale or {})


def write_scores(path: str | os.PathLike[str], matrix: ScoreMatrix) -> int:
    """Write the long form, which `read_scores` reads back equal; an existing file is replaced. Returns the rows.

    Columns that nothing is known about are left out; gaps have no row.
    """
    try:
        found = known_scales(matrix.models, matrix.tasks, matrix.scores, {})
    except ProxyError:  # only what was declared keeps these scores from looking mixed
        found = {}
    declared = {task: top for task, top in matrix.scale.items() if found.get(task) != top}
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


class _Cells:
    """Cells as they are read, and what they contradict."""

    def __init__(self, path: str, duplicates: Duplicates, case: str) -> None:
        one_of("case", case, ("refuse", "first"))
        one_of("duplicates", duplicates, ("refuse", "first", "mean"))
        self.path, self.duplicates, self.case = path, duplicates, case
        self.models: dict[str, int] = {}
        self.tasks: dict[str, int] = {}
        self.values: dict[tuple[int, int], list[tuple[float, float, float, int]]] = {}
        self.facts: dict[str, dict[str, float]] = {"direction": {}, "baseline": {}, "scale": {}}
        self.notes: list[str] = []

    def refuse(self, line: int, column: str, problem: str) -> NoReturn:
        raise ProxyError(f"{self.path}, line {line}, column {column}: {problem}")

    def number(self, text: str, line: int, column: str) -> float:
        text = text.strip()
        if text.casefold() in GAPS:
            return math.nan
        try:
            value = float(text)
        except ValueError:
            self.refuse(line, column, f"{text!r:.60} is not a number; leave the cell empty where unscored")
        if math.isinf(value):
            self.refuse(line, column, f"{text!r:.60} is infinite; leave the cell empty where unscored")
        return value

    def model(self, cells: Sequence[str], keys: Sequence[int], line: int) -> int:
        name = "@".join(cells[key].strip() for key in keys)
        if not name.strip("@ "):
            self.refuse(line, "model", "empty; every line names its model")
        return self.models.setdefault(name, len(self.models))

    def add(
        self, model: int, task: str, score: float, line: int, stderr: float = math.nan, n: float = math.nan
    ) -> None:
        column = self.tasks.setdefault(task, len(self.tasks))
        if not math.isnan(score):
            self.values.setdefault((model, column), []).append((score, stderr, n, line))

    def matrix(
        self,
        tasks: Sequence[str] | None,
        direction: Mapping[str, int],
        baseline: Mapping[str, float],
        scale: Mapping[str, float],
    ) -> ScoreMatrix:
        missing = [task for task in tasks or () if task not in self.tasks]
        if missing:
            raise ProxyError(
                f"{self.path}: no task {missing[0]!r}; there are {', '.join(list(self.tasks)[:8])}"
            )
        if not self.values:
            raise ProxyError(f"{self.path}: no scores; expected a header and a line for each model")
        arrays = np.full((3, len(self.models), len(self.tasks)), np.nan)
        equal = contradicting = 0
        for (row, column), found in self.values.items():
            if len(found) > 1:
                if len({score for score, *_ in found}) == 1:
                    equal += 1
                elif self.duplicates == "refuse":
                    self._contradiction(row, column, found)
                else:
                    contradicting += 1
                    if self.duplicates == "mean":
                        mean = sum(score for score, *_ in found) / len(found)
                        found = [(mean, math.nan, math.nan, 0)]
            arrays[:, row, column] = found[0][:3]
        names = list(self.models)
        if self.case == "first":
            first: dict[str, int] = {}
            for row, name in enumerate(names):
                first.setdefault(name.casefold(), row)
            rows = list(first.values())
            if len(rows) < len(names):
                self.notes.append(
                    f"{len(names) - len(rows)} models whose names differ from another's only in case were left out"
                )
            names, arrays = [names[row] for row in rows], arrays[:, rows]
        if equal:
            self.notes.append(f"{equal} scores stood there twice with the same value; one of each was kept")
        if contradicting:
            kept = "the first was kept" if self.duplicates == "first" else "their mean was taken"
            self.notes.append(f"{contradicting} scores stood there twice with other values; {kept}")
        return ScoreMatrix(
            tuple(names),
            tuple(self.tasks),
            arrays[0],
            stderr=arrays[1] if np.isfinite(arrays[1]).any() else None,
            n=arrays[2] if np.isfinite(arrays[2]).any() else None,
            direction={**direction, **{t: int(v) for t, v in self.facts["direction"].items()}},
            baseline={**baseline, **self.facts["baseline"]},
            scale={**scale, **self.facts["scale"]},
            notes=tuple(self.notes),
        )

    def _contradiction(self, row: int, column: int, found: list[tuple[float, float, float, int]]) -> NoReturn:
        (first, *_, one), (second, *_, other) = found[0], next(f for f in found if f[0] != found[0][0])
        raise ProxyError(
            f"{self.path}, line {other}: model {list(self.models)[row]!r} has {second:g} on "
            f"{list(self.tasks)[column]!r}, but {first:g} on line {one}; keep one, or name the models apart"
        )


def _read_long(
    table: _Cells,
    rows: Sequence[tuple[int, list[str]]],
    lower: Sequence[str],
    keys: Sequence[int],
    tasks: Sequence[str] | None,
) -> None:
    at = {name: lower.index(name) for name in LONG if name in lower}
    for line, cells in rows[1:]:
        model = table.model(cells, keys, line)
        task = cells[at["task"]].strip()
        if "metric" in at and cells[at["metric"]].strip():
            task = f"{task}:{cells[at['metric']].strip()}"
        if not task:
            table.refuse(line, "task", "empty; every line names its task")
        if tasks is not None and task not in tasks:
            continue
        read = {
            name: table.number(cells[at[name]], line, name) if name in at else math.nan
            for name in ("score", "stderr", "n", "direction", "baseline", "scale")
        }
        table.add(model, task, read["score"], line, read["stderr"], read["n"])
        for fact, known in table.facts.items():
            if not math.isnan(read[fact]) and known.setdefault(task, read[fact]) != read[fact]:
                table.refuse(line, fact, f"{read[fact]:g} for {task!r}, {known[task]:g} before; keep one")


def _read_wide(
    table: _Cells,
    rows: Sequence[tuple[int, list[str]]],
    header: Sequence[str],
    keys: Sequence[int],
    tasks: Sequence[str] | None,
) -> None:
    models = [table.model(cells, keys, line) for line, cells in rows[1:]]
    textual = []
    for place, task in enumerate(header):
        if place in keys or (tasks is not None and task not in tasks):
            continue
        if not task or not any(_is_number(cells[place]) for _, cells in rows[1:]):
            textual.append(task or f"number {place + 1}")
            continue
        for model, (line, cells) in zip(models, rows[1:], strict=True):
            table.add(model, task, table.number(cells[place], line, task), line)
    if textual:
        table.notes.append(f"columns without a name or numbers were left out: {', '.join(textual)}")


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def _lines(name: str) -> list[tuple[int, list[str]]]:
    try:
        with open(name, "rb") as file:
            raw = file.read()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ProxyError(f"{name}: not UTF-8 text; save it as UTF-8 CSV") from None
    except (OSError, EOFError) as error:
        raise ProxyError(f"{name}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    try:
        return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise ProxyError(f"{name}, line {reader.line_num}: not a CSV line ({error})") from None


def _text(value: float) -> str:
    if math.isnan(value):
        return ""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
