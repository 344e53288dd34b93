"""Fractions or percent: which scale the scores of a task are on, and where the two were mixed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from proxy._arrays import Floats
from proxy.errors import ProxyError

FRACTION, PERCENT = 1.0, 100.0

#: Scores that may be fractions among scores that may be percent are believed to be slips from this gap on ...
GAP = 10.0
#: ... where the others are in the middle of a percent scale.
PERCENT_MEDIAN = 10.0


def known_scales(
    models: Sequence[str], tasks: Sequence[str], scores: Floats, given: Mapping[str, float]
) -> dict[str, float]:
    """Task -> score of a perfect model: as given, else 1 or 100 where all scores fit; absent where unknown.

    A given NaN says that the task has no top (or that nothing is known) and is not asked about again.

    Raises ProxyError where a task mixes percent with fractions: a score in (0, 1] among others in the middle of
    0 to 100, ten times away from the next, of a model that is in (0, 1] wherever others are above, or that is not
    among the worst quarter elsewhere. Low percents of weak models stay.
    """
    scales: dict[str, float] = {}
    for place, task in enumerate(tasks):
        column = scores[:, place]
        values = column[np.isfinite(column)]
        if task in given:
            top = float(given[task])
            if math.isnan(top):
                continue
            if not top > 0:
                raise ProxyError(f"scale of {task} is {top:g}; give the score of a perfect model, 1 or 100")
            if values.size and (values.max() > top * (1 + 1e-9)):
                row = int(np.nanargmax(column))
                raise ProxyError(
                    f"{models[row]} has {values.max():g} on {task}, whose scale ends at {top:g}; "
                    "bring all its scores to one scale"
                )
            scales[task] = top
        elif values.size and values.min() >= 0:
            if values.max() <= FRACTION:
                scales[task] = FRACTION
            elif values.max() <= PERCENT:
                scales[task] = PERCENT
    _refuse_mixtures(models, tasks, scores, [task in given for task in tasks])
    return scales


def _refuse_mixtures(
    models: Sequence[str], tasks: Sequence[str], scores: Floats, declared: Sequence[bool]
) -> None:
    """Refuse a task of which some scores look like percent and others like fractions, unless its scale is declared."""
    with np.errstate(invalid="ignore"):
        small = (scores > 0) & (scores <= FRACTION)
        large = (scores > FRACTION) & (scores <= PERCENT)
        outside = (scores < 0) | (scores > PERCENT)
    for place, task in enumerate(tasks):
        if (
            declared[place]
            or outside[:, place].any()
            or not (small[:, place].any() and large[:, place].any())
        ):
            continue
        percents = scores[large[:, place], place]
        fractions = scores[small[:, place], place]
        if np.median(percents) < PERCENT_MEDIAN or percents.min() < GAP * fractions.max():
            continue
        for row in map(int, np.flatnonzero(small[:, place])):
            others = np.delete(np.arange(len(tasks)), place)
            contested = others[large[:, others].any(axis=0) & np.isfinite(scores[row, others])]
            elsewhere = _standing(scores, row, contested)
            all_small = bool((scores[row, contested] <= FRACTION).all())
            if contested.size == 0 or all_small or elsewhere >= 0.25:
                raise ProxyError(
                    f"{models[row]} has {scores[row, place]:g} on {task}, where others have up to "
                    f"{percents.max():g}: percent mixed with fractions; bring them to one scale, "
                    f"or say that the scale of {task} is 100"
                )


def _standing(scores: Floats, row: int, columns: NDArray[np.intp]) -> float:
    """Mean share of the other models that are below this one, over the columns; 0 where there are none."""
    if not columns.size:
        return 0.0
    with np.errstate(invalid="ignore"):
        below = (scores[:, columns] < scores[row, columns]).sum(axis=0)
    known = np.isfinite(scores[:, columns]).sum(axis=0) - 1
    return float(np.mean(below / np.maximum(known, 1)))
