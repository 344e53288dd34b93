"""A score as a result file has it, and what several formats share in reading one."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

#: Metrics of which lower is better, by parts of their names.
LOWER = re.compile(
    r"(^|_|\b)(ppl|perplexity|bits_per_byte|bpb|loss|nll|brier|ece|wer|ter)($|_|\b)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One score as a file has it.

    Parameters
    ----------
    model : str
        The model's name.
    task : str
        The task's name.
    metric : str
        The metric's name.
    score : float
        The score.
    stderr : float, optional
        Its standard error; NaN where unknown.
    n : float, optional
        How many items it is the mean of; NaN where unknown.
    lower_is_better : bool, optional
        Whether a lower score is better.
    source : str
        The file.
    """

    model: str
    task: str
    metric: str
    score: float
    stderr: float = math.nan
    n: float = math.nan
    lower_is_better: bool = False
    source: str


def lower_is_better(metric: str) -> bool:
    """Guess from a metric's name whether lower is better.

    Parameters
    ----------
    metric : str
        Its name.

    Returns
    -------
    bool
        True for losses, perplexities, error rates and their like.

    Examples
    --------
    >>> lower_is_better("word_perplexity"), lower_is_better("acc_norm")
    (True, False)
    """
    return bool(LOWER.search(metric))


def number_in(value: Any) -> float:
    """Read what a document has in the place of a number.

    Parameters
    ----------
    value : object
        A number, text of one, or anything else.

    Returns
    -------
    float
        NaN for everything that is no finite number, booleans included.

    Examples
    --------
    >>> number_in("0.5"), number_in(True), number_in("N/A")
    (0.5, nan, nan)
    """
    try:
        number = math.nan if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan
