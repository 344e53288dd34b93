"""A score as a result file has it, and what several formats share in reading one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.scores._values import Value, value_in

#: Metrics of which lower is better, by parts of their names.
LOWER = re.compile(
    r"(^|_|\b)(ppl|perplexity|bits_per_byte|bpb|loss|nll|brier|ece|wer|ter)($|_|\b)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One score as a file has it.

    A name has what always makes a model or a task another one. Its parts have what makes it another one only where
    two differ: they are put behind the name there, and nowhere else, so that names stay short. A part of which the
    file says nothing is left out, and agrees with any other.

    Parameters
    ----------
    model : str
        The model's name with everything that always makes it another model (`model_name`).
    task : str
        The task's name.
    metric : str
        The metric's name, with its filter, or its reduction over epochs where that is not the mean, after a comma:
        "exact_match,strict-match", "match/accuracy,pass_at_5".
    score : float
        The score.
    model_parts : mapping of str to str, optional
        What else makes it another model, the most telling first, as it should stand in a name:
        {"dtype": "bfloat16"}.
    task_parts : mapping of str to str, optional
        What else makes it another task, the most telling first, as it should stand in a name:
        {"dataset": "cais/mmlu", "shots": "5-shot", "mode": "ppl", "version": "v2"}.
    stderr : float, optional
        Its standard error, in the score's units; NaN where unknown.
    n : float, optional
        How many items it is the mean of, epochs not counted; NaN where unknown.
    lower_is_better : bool, optional
        Whether a lower score is better, where the file says so; else the metric's name decides.
    scale : float, optional
        The score of a perfect model, where the file says so: 1 for fractions, 100 for percent; NaN where unknown.
    is_primary : bool, optional
        Whether the file says that this metric speaks for the task.
    members : tuple of str, optional
        For a group: the tasks (by `Record.task`) of which this score is the mean; those that are not in the file may be
        among them.
    mark : str, optional
        What stood beside the number and was not understood, such as "*"; a note repeats it.
    source : str
        The file.
    """

    model: str
    task: str
    metric: str
    score: float
    model_parts: Mapping[str, str] = field(default_factory=dict)
    task_parts: Mapping[str, str] = field(default_factory=dict)
    stderr: float = math.nan
    n: float = math.nan
    lower_is_better: bool | None = None
    scale: float = math.nan
    is_primary: bool = False
    members: tuple[str, ...] = ()
    mark: str = ""
    source: str


def model_name(
    name: str,
    *,
    revision: object = None,
    subfolder: object = None,
    file: object = None,
    adapter: object = None,
    quantisation: object = None,
) -> str:
    """Name a model by everything that always makes it another one.

    Parameters
    ----------
    name : str
        The name that the program calls it by.
    revision : object, optional
        The branch, tag or commit; nothing where that is main.
    subfolder : object, optional
        The folder of the weights in the repository.
    file : object, optional
        The one file of several that was loaded, say of GGUF.
    adapter : object, optional
        What was put on top of it: a LoRA or delta weights.
    quantisation : object, optional
        How its weights were shortened, where the name of the file does not say so.

    Returns
    -------
    str
        The name, with what was given and is not empty.

    Examples
    --------
    >>> model_name("lab/base", revision="step1000", adapter="/ckpt/lora-a")
    'lab/base@step1000+/ckpt/lora-a'
    >>> model_name("lab/base", revision="main", subfolder="step2000", file="q4.gguf", quantisation="4bit")
    'lab/base:step2000/q4.gguf@4bit'
    """
    place = "/".join(str(part) for part in (subfolder, file) if part)
    parts = (
        ("@", None if revision == "main" else revision),
        (":", place),
        ("@", quantisation),
        ("+", adapter),
    )
    return name + "".join(f"{sign}{part}" for sign, part in parts if part)


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
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def value_of(value: Any) -> Value:
    """Read what a document has in the place of a score, with what stands beside it in a text.

    Parameters
    ----------
    value : object
        A number, text of one such as "45.1%" or "0.5 ± 0.01", or anything else.

    Returns
    -------
    Value
        Its `score` is NaN for everything that is no finite number; `stderr`, `n`, `percent` and `mark` are what the
        text says besides.

    Examples
    --------
    >>> value_of("45.1%")[0], value_of("45.1%").percent, value_of(None)[0]
    (45.1, True, nan)
    """
    found = value_in(value) if isinstance(value, str) else Value(number_in(value))
    return found if found is not None and math.isfinite(found.score) else Value(math.nan)


def mapping_in(value: Any) -> Mapping[str, Any]:
    """Read what a document has in the place of an object.

    Parameters
    ----------
    value : object
        An object, or anything else.

    Returns
    -------
    mapping
        Empty for everything that is no object.

    Examples
    --------
    >>> mapping_in({"a": 1}), mapping_in("a"), mapping_in(None)
    ({'a': 1}, {}, {})
    """
    return value if isinstance(value, Mapping) else {}
