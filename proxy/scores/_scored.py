"""Records as a score matrix: groups beside their parts, units brought together, directions, contradictions."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from proxy._text import counted
from proxy.errors import ProxyError
from proxy.scores.formats.record import Record, lower_is_better
from proxy.scores.matrix import ScoreMatrix

Groups = Literal["keep", "drop"]
#: So many cells are shown in a note.
SHOWN = 5


def without_groups(records: Sequence[Record], groups: Groups) -> tuple[list[Record], list[str]]:
    """Leave out the groups of which a model has parts too, or keep them; a note says which."""
    there = {(record.model, record.task) for record in records}
    beside: dict[str, str] = {}
    kept = []
    for record in records:
        part = next((one for one in record.members if (record.model, one) in there), None)
        if part is not None:
            beside.setdefault(record.task, part)
        if part is None or groups == "keep":
            kept.append(record)
    if not beside:
        return kept, []
    first, part = next(iter(beside.items()))
    names = ", ".join(list(beside)[:SHOWN]) + (", ..." if len(beside) > SHOWN else "")
    why = f"of tasks that are here too ({part} is in {first})"
    if groups == "drop":
        return kept, [
            f"left out: {names}, a mean {why}; --groups keep keeps it"
            if len(beside) == 1
            else f"left out: {names}, means {why}; --groups keep keeps them"
        ]
    return kept, [
        f"{names}: a mean {why} and no evidence of its own; --groups drop leaves it out"
        if len(beside) == 1
        else f"{names}: means {why} and no evidence of their own; --groups drop leaves them out"
    ]


def score_matrix(
    records: Sequence[Record],
    chosen: Mapping[str, str] | None,
    others: Mapping[str, tuple[str, ...]],
    notes: Sequence[str],
) -> ScoreMatrix:
    """The matrix of the chosen metrics, or of all where none are chosen."""
    columns: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if chosen is None:
            name = f"{record.task}:{record.metric}" if record.task in others else record.task
        elif record.metric == chosen[record.task]:
            name = record.task
        else:
            continue
        columns[name].append(record)
    notes = list(notes)
    lower = {task: _is_lower(task, column) for task, column in columns.items()}
    columns = {task: _one_unit(task, column, notes) for task, column in columns.items()}
    cells, repeated = _cells(columns)
    if repeated:
        notes.append(f"{counted(repeated, 'score')} came twice with the same value; one was kept")
    notes += _marks(cells)
    scored = {model for model, _ in cells}
    models = tuple(dict.fromkeys(record.model for record in records if record.model in scored))
    arrays = np.full((3, len(models), len(columns)), np.nan)
    rows, places = ({name: i for i, name in enumerate(names)} for names in (models, columns))
    for (model, task), record in cells.items():
        arrays[:, rows[model], places[task]] = record.score, record.stderr, record.n
    arrays[2][arrays[2] < 1] = math.nan
    arrays[1][arrays[1] < 0] = math.nan
    return ScoreMatrix(
        models, tuple(columns), arrays[0],
        stderr=arrays[1] if np.isfinite(arrays[1]).any() else None,
        n=arrays[2] if np.isfinite(arrays[2]).any() else None,
        direction={task: -1 for task in columns if lower[task]},
        scale=_scales(columns, lower, notes), notes=tuple(notes),
    )  # fmt: skip


def _cells(columns: Mapping[str, Sequence[Record]]) -> tuple[dict[tuple[str, str], Record], int]:
    """Model and task -> the one score, and how many came twice; two different ones are refused."""
    cells: dict[tuple[str, str], Record] = {}
    repeated = 0
    for task, column in columns.items():
        for record in column:
            other = cells.setdefault((record.model, task), record)
            if other is record:
                continue
            repeated += 1
            if other.score == record.score:
                continue
            if other.source == record.source:
                raise ProxyError(
                    f"{record.source}: {record.model} has {other.score:g} and {record.score:g} on {task}, and nothing "
                    "there tells them apart; keep one"
                )
            raise ProxyError(
                f"{record.source}: {record.model} has {record.score:g} on {task}, but {other.score:g} in "
                f"{other.source}; import one of them"
            )
    return cells, repeated


def _is_lower(task: str, column: Sequence[Record]) -> bool:
    """Whether lower is better: as the files say, else as the metric's name says."""
    said = {record.lower_is_better: record.source for record in column if record.lower_is_better is not None}
    if len(said) > 1:
        raise ProxyError(
            f"{task}: lower is better in {said[True]}, but higher in {said[False]}; import one of them"
        )
    return next(iter(said)) if said else lower_is_better(column[0].metric)


def _one_unit(task: str, column: list[Record], notes: list[str]) -> list[Record]:
    """Scores of which the files say that some are percent and others fractions, on the scale of the first."""
    said = dict.fromkeys(record.scale for record in column if not math.isnan(record.scale))
    if len(said) < 2:
        return column
    first = next(iter(said))
    moved = [record for record in column if record.scale != first and not math.isnan(record.scale)]
    unit = {1.0: "fractions", 100.0: "percent"}.get(first, f"a scale up to {first:g}")
    notes.append(
        f"{task}: {counted(len(moved), 'score was', 'scores were')} brought to {unit}, as the others are"
    )
    return [
        record
        if math.isnan(record.scale) or record.scale == first
        else replace(
            record,
            score=record.score * first / record.scale,
            stderr=record.stderr * first / record.scale,
            scale=first,
        )
        for record in column
    ]


def _scales(
    columns: Mapping[str, Sequence[Record]], lower: Mapping[str, bool], notes: list[str]
) -> dict[str, float]:
    """Task -> the score of a perfect model, where files say so, scores agree and higher is better."""
    scales = {}
    for task, column in columns.items():
        top = next((record.scale for record in column if not math.isnan(record.scale)), math.nan)
        if math.isnan(top) or lower[task]:
            continue
        over = next((record for record in column if record.score > top * (1 + 1e-9)), None)
        if over is None:
            scales[task] = top
        else:
            notes.append(
                f"{task}: a file says that scores end at {top:g}, but {over.model} has {over.score:g}"
            )
    return scales


def _marks(cells: Mapping[tuple[str, str], Record]) -> list[str]:
    """A note on what stood beside scores."""
    marked = [
        f"{record.score:g}{record.mark} ({model} on {task})"
        for (model, task), record in cells.items()
        if record.mark
    ]
    if not marked:
        return []
    have = counted(len(marked), "score has a mark that was", "scores have marks that were")
    more = f" and {len(marked) - SHOWN} more" if len(marked) > SHOWN else ""
    return [f"{have} left out: {', '.join(marked[:SHOWN])}{more}"]
