"""Result files of lm-evaluation-harness, before and since version 0.4."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from proxy.errors import ProxyError
from proxy.scores.formats.document import Document, Format, Reading, is_nested
from proxy.scores.formats.record import Record, lower_is_better, number_in


def metric_records(
    document: Document, model: str, task: str, metrics: Mapping[str, Any], *, n: float = math.nan
) -> list[Record]:
    """Read a mapping of `metric` and `metric_stderr`, or of `metric,filter` and `metric_stderr,filter`.

    Parameters
    ----------
    document : Document
        The file that has them.
    model : str
        The model's name.
    task : str
        The task's name.
    metrics : mapping
        Metric -> score, among other things.
    n : float, optional
        How many items the task has; where it is NaN, as many as the standard error tells (`items_behind`).

    Returns
    -------
    list of Record
        One for each metric that has a score.
    """
    records = []
    for key, value in metrics.items():
        name, _, filtered = key.partition(",")
        if (
            name.endswith("_stderr")
            or name in ("alias", "name", "sample_len")
            or isinstance(value, str | bool)
        ):
            continue
        score = number_in(value)
        if math.isnan(score):
            continue
        stderr = number_in(metrics.get(f"{name}_stderr" + (f",{filtered}" if filtered else "")))
        records.append(
            Record(
                model=model,
                task=task,
                metric=name if filtered in ("", "none") else f"{name},{filtered}",
                score=score,
                stderr=stderr,
                n=items_behind(name, score, stderr) if math.isnan(n) else n,
                lower_is_better=lower_is_better(name),
                source=str(document.path),
            )
        )
    return records


def items_behind(metric: str, score: float, stderr: float) -> float:
    """How many items an accuracy is the mean of, from its standard error.

    Parameters
    ----------
    metric : str
        The metric's name; only accuracies and exact matches are means of zeros and ones.
    score : float
        The accuracy p, from 0 to 1.
    stderr : float
        Its standard error.

    Returns
    -------
    float
        The number n; NaN where none fits.

    Notes
    -----
    The harness prints sqrt(p (1 - p) / (n - 1)).

    Examples
    --------
    >>> items_behind("acc", 0.2621359223300971, 0.043546310772605956)
    103.0
    """
    if not metric.startswith(("acc", "exact_match", "em")) or not 0 < score < 1 or not stderr > 0:
        return math.nan
    n = score * (1 - score) / stderr**2 + 1
    right = score * round(n)
    whole = abs(n - round(n)) < 1e-3 * max(1.0, n / 1000) and abs(right - round(right)) < 1e-3
    return float(round(n)) if whole else math.nan


def _recognises(document: Document) -> bool:
    content = document.content
    return is_nested(content.get("results")) and any(
        key in content for key in ("config", "configs", "versions")
    )


def _read(document: Document) -> Reading:
    model = _model(document)
    counts = document.content.get("n-samples") or {}
    records = []
    for task, metrics in document.content["results"].items():
        items = counts.get(task) or {}
        n = (
            number_in(items.get("effective", items.get("original")))
            if isinstance(items, Mapping)
            else math.nan
        )
        records += metric_records(document, model, task, metrics, n=n)
    return Reading(records)


def _model(document: Document) -> str:
    """The model's name, with its revision where that is not main."""
    config = document.content.get("config") or {}
    arguments = config.get("model_args") or {}
    if isinstance(arguments, str):
        arguments = dict(part.split("=", 1) for part in arguments.split(",") if "=" in part)
    name = (
        arguments.get("pretrained")
        or arguments.get("model")
        or document.content.get("model_name")
        or config.get("model")
    )
    if not name:
        raise ProxyError(f"{document.path}: says no model name (config.model_args has no pretrained=)")
    revision = arguments.get("revision")
    return f"{name}@{revision}" if revision and revision != "main" else str(name)


LM_EVAL = Format("lm-eval", "lm-evaluation-harness", _recognises, _read)
