"""The cells of a table as they are read, and the score matrix that they make, with what they contradict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, NoReturn

import numpy as np

from proxy._arrays import Floats
from proxy._checks import one_of
from proxy._text import counted
from proxy.errors import ProxyError
from proxy.scores._values import Value, value_in
from proxy.scores.matrix import ScoreMatrix

Duplicates = Literal["refuse", "first", "mean"]
Case = Literal["refuse", "first"]
#: So many marked cells are shown in a note.
SHOWN = 5


class Cell(NamedTuple):
    """One score as it was read; line 0: none of its own."""

    score: float
    stderr: float
    n: float
    line: int


@dataclass
class Cells:
    """The cells of one file. duplicates, case: as in `read_scores`."""

    path: str
    duplicates: Duplicates
    case: Case
    models: dict[str, int] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    values: dict[tuple[int, int], list[Cell]] = field(default_factory=dict)
    #: Instead of `values`: score, standard error and n of all cells, (3, models, tasks).
    whole: Floats | None = None
    facts: dict[str, dict[str, float]] = field(
        default_factory=lambda: {"direction": {}, "baseline": {}, "scale": {}}
    )
    notes: list[str] = field(default_factory=list)
    #: Cells with a mark that is not read, for a note; and how many have a standard error behind a ±.
    marks: list[str] = field(default_factory=list)
    errors: int = 0
    #: Task -> the first cell with a percent sign, and the first without one that may be a fraction.
    percents: dict[str, dict[str, tuple[int, str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        one_of("case", self.case, ("refuse", "first"))
        one_of("duplicates", self.duplicates, ("refuse", "first", "mean"))

    def refuse(self, line: int, column: str, problem: str) -> NoReturn:
        """Refuse a cell by its place."""
        raise ProxyError(f"{self.path}, line {line}, column {column}: {problem}")

    def value(self, text: str, line: int, column: str) -> Value:
        """What a cell says; a score of NaN for a gap."""
        value = value_in(text)
        if value is None:
            self.refuse(
                line, column, f"{text.strip()!r:.60} is not a number; leave the cell empty where unscored"
            )
        if math.isinf(value.score):
            self.refuse(
                line, column, f"{text.strip()!r:.60} is infinite; leave the cell empty where unscored"
            )
        return value

    def score(self, text: str, line: int, task: str, column: str) -> Cell:
        """The score in a cell of a task, with what stands beside it."""
        value = self.value(text, line, column)
        if value.mark:
            self.marks.append(f"{text.strip()} (line {line}, column {column})")
        if not math.isnan(value.stderr):
            self.errors += 1
        if value.percent or 0 < value.score <= 1:
            kinds = self.percents.setdefault(task, {})
            kind = "%" if value.percent else "fraction"
            if kind not in kinds:
                kinds[kind] = (line, text.strip())
        return Cell(value.score, value.stderr, value.n, line)

    def model(self, cells: Sequence[str], keys: Sequence[int], line: int) -> int:
        """The row of the model that the key cells of a line name."""
        name = "@".join(cells[key].strip() for key in keys)
        if not name.strip("@ "):
            self.refuse(line, "model", "empty; every line must name its model")
        return self.models.setdefault(name, len(self.models))

    def add(self, model: int, task: str, cell: Cell) -> None:
        """Keep a cell; a gap makes its task known and nothing more."""
        column = self.tasks.setdefault(task, len(self.tasks))
        if not math.isnan(cell.score):
            self.values.setdefault((model, column), []).append(cell)

    def matrix(
        self,
        tasks: Sequence[str] | None,
        direction: Mapping[str, int],
        baseline: Mapping[str, float],
        scale: Mapping[str, float],
    ) -> ScoreMatrix:
        """The matrix of all cells; facts of the file go before those given."""
        missing = [task for task in tasks or () if task not in self.tasks]
        if missing:
            raise ProxyError(
                f"{self.path}: no task {missing[0]!r}; there are {', '.join(list(self.tasks)[:8])}"
            )
        if not self.values and self.whole is None:
            raise ProxyError(f"{self.path}: no scores; expected a header and a line for each model")
        arrays = self.whole
        if arrays is None:
            arrays = np.full((3, len(self.models), len(self.tasks)), np.nan)
        for (row, column), cells in self.values.items():
            arrays[:, row, column] = self._merged(row, column, cells)[:3]
        names = list(self.models)
        rows = self._rows(names)
        self._note_repetitions()
        self._note_decorations()
        signs = {**direction, **{task: int(sign) for task, sign in self.facts["direction"].items()}}
        names, arrays = [names[row] for row in rows], arrays[:, rows]
        return ScoreMatrix(
            tuple(names),
            tuple(self.tasks),
            arrays[0],
            stderr=arrays[1] if np.isfinite(arrays[1]).any() else None,
            n=arrays[2] if np.isfinite(arrays[2]).any() else None,
            direction=signs,
            baseline={**baseline, **self.facts["baseline"]},
            scale={**self._percent_scales(arrays[0], signs), **scale, **self.facts["scale"]},
            notes=tuple(self.notes),
        )

    def _merged(self, row: int, column: int, cells: list[Cell]) -> Cell:
        """The one cell that stands for several of one model and task."""
        scores = {cell.score for cell in cells}
        if len(scores) > 1 and self.duplicates == "refuse":
            other = next(cell for cell in cells if cell.score != cells[0].score)
            raise ProxyError(
                f"{self.path}, line {other.line}: model {list(self.models)[row]!r} has {other.score:g} on "
                f"{list(self.tasks)[column]!r}, but {cells[0].score:g} on line {cells[0].line}; keep one, or give "
                "the models different names"
            )
        if len(scores) > 1 and self.duplicates == "mean":
            return Cell(sum(cell.score for cell in cells) / len(cells), math.nan, math.nan, 0)
        return cells[0]

    def _rows(self, names: Sequence[str]) -> list[int]:
        """The models to keep where their names differ only in case."""
        if self.case != "first":
            return list(range(len(names)))
        first: dict[str, int] = {}
        for row, name in enumerate(names):
            first.setdefault(name.casefold(), row)
        left_out = len(names) - len(first)
        if left_out:
            were = counted(left_out, "model was", "models were")
            self.notes.append(f"{were} left out: the name differs from another's only in case")
        return list(first.values())

    def _note_repetitions(self) -> None:
        """Note how many scores were given more than once."""
        repeated = [{cell.score for cell in cells} for cells in self.values.values() if len(cells) > 1]
        equal = sum(len(scores) == 1 for scores in repeated)
        contradicting = len(repeated) - equal
        if equal:
            were = counted(equal, "score was", "scores were")
            self.notes.append(f"{were} given more than once with the same value; one was kept")
        if contradicting:
            kept = "the first was kept" if self.duplicates == "first" else "the mean was taken"
            were = counted(contradicting, "score was", "scores were")
            self.notes.append(f"{were} given more than once with different values; {kept}")

    def _percent_scales(self, scores: Floats, signs: Mapping[str, int]) -> dict[str, float]:
        """Task -> 100 where its scores have percent signs and it ends there.

        A number up to 1 without a sign among them is refused.
        """
        scales = {}
        for place, task in enumerate(self.tasks):
            kinds = self.percents.get(task, {})
            if "%" in kinds and "fraction" in kinds:
                line, text = kinds["fraction"]
                self.refuse(
                    line,
                    task,
                    f"{text!r} has no %, but {kinds['%'][1]!r} on line {kinds['%'][0]} has; write the sign",
                )
            if "%" in kinds and signs.get(task, 1) == 1 and np.nanmax(scores[:, place]) <= 100:
                scales[task] = 100.0
        return scales

    def _note_decorations(self) -> None:
        """Note what stood beside the numbers."""
        if self.errors:
            self.notes.append(
                f"{counted(self.errors, 'number')} behind a ± became the standard error of its score"
            )
        if self.marks:
            have = counted(len(self.marks), "score has a mark that was", "scores have marks that were")
            more = f" and {len(self.marks) - SHOWN} more" if len(self.marks) > SHOWN else ""
            self.notes.append(f"{have} left out: {', '.join(self.marks[:SHOWN])}{more}")
