"""Result files of lm-evaluation-harness, before and since version 0.4."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from proxy.errors import ProxyError
from proxy.scores.formats.arguments import named_model
from proxy.scores.formats.document import Document, Format, Reading, is_nested
from proxy.scores.formats.record import Record, mapping_in, number_in, value_of

#: What stands among the metrics of a task and is none.
_NO_METRICS = ("alias", "name", "sample_len", "sample_count", "samples")


def metric_records(
    document: Document,
    model: str,
    task: str,
    metrics: Mapping[str, Any],
    *,
    n: float = math.nan,
    model_parts: Mapping[str, str] | None = None,
    task_parts: Mapping[str, str] | None = None,
    members: tuple[str, ...] = (),
    higher_is_better: Mapping[str, Any] | None = None,
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
    model_parts : mapping of str to str, optional
        As in `Record`.
    task_parts : mapping of str to str, optional
        As in `Record`.
    members : tuple of str, optional
        As in `Record`.
    higher_is_better : mapping, optional
        Metric, without its filter -> whether higher is better, where the file says so.

    Returns
    -------
    list of Record
        One for each metric that has a score.
    """
    records = []
    for key, value in metrics.items():
        name, _, filtered = key.partition(",")
        read = value_of(value)
        if name.endswith("_stderr") or name in _NO_METRICS or math.isnan(read.score):
            continue
        score = read.score
        stderr = number_in(metrics.get(f"{name}_stderr" + (f",{filtered}" if filtered else "")))
        higher = (higher_is_better or {}).get(name)
        guessed = math.nan if members else items_behind(name, score, stderr)
        records.append(
            Record(
                model=model,
                task=task,
                metric=name if filtered in ("", "none") else f"{name},{filtered}",
                score=score,
                model_parts=model_parts or {},
                task_parts=task_parts or {},
                stderr=read.stderr if math.isnan(stderr) else stderr,
                n=next((known for known in (n, read.n, guessed) if not math.isnan(known)), math.nan),
                lower_is_better=not higher if isinstance(higher, bool) else None,
                scale=100.0 if read.percent else math.nan,
                members=members,
                mark=read.mark,
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


def version_part(version: Any) -> dict[str, str]:
    """Read a task's version as a part of its name.

    Parameters
    ----------
    version : object
        A number, or text of one; anything else says nothing.

    Returns
    -------
    dict of str to str
        Empty where nothing is said.

    Examples
    --------
    >>> version_part(2.0), version_part("Yaml")
    ({'version': 'v2'}, {})
    """
    number = number_in(version)
    return {} if math.isnan(number) else {"version": f"v{number:g}"}


def shots_part(shots: Any) -> dict[str, str]:
    """Read how many examples stood before a question as a part of a task's name.

    Parameters
    ----------
    shots : object
        A number, or text of one; anything else says nothing.

    Returns
    -------
    dict of str to str
        Empty where nothing is said.

    Examples
    --------
    >>> shots_part("5"), shots_part(None)
    ({'shots': '5-shot'}, {})
    """
    number = number_in(shots)
    return {} if math.isnan(number) else {"shots": f"{number:g}-shot"}


def _recognises(document: Document) -> bool:
    content = document.content
    return is_nested(content.get("results")) and any(
        key in content for key in ("config", "configs", "versions")
    )


def _read(document: Document) -> Reading:
    content = document.content
    model, model_parts = _model(document)
    members = _members(content)
    counts, versions, directions = (
        mapping_in(content.get(key)) for key in ("n-samples", "versions", "higher_is_better")
    )
    records = []
    for task, metrics in content["results"].items():
        items = mapping_in(counts.get(task))
        n = number_in(items.get("effective", items.get("original", metrics.get("sample_len"))))
        records += metric_records(
            document,
            model,
            task,
            metrics,
            n=n,
            model_parts=model_parts,
            task_parts={**_shots(content, members, task), **version_part(versions.get(task))},
            members=members.get(task, ()),
            higher_is_better=mapping_in(directions.get(task)),
        )
    return Reading(records)


def _members(content: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Group -> the tasks and groups in it; tasks, which the file lists with nothing in them, are left out."""
    listed = mapping_in(content.get("group_subtasks"))
    members = {
        group: tuple(map(str, tasks)) for group, tasks in listed.items() if isinstance(tasks, list) and tasks
    }
    for group in mapping_in(content.get("groups")):
        inside = tuple(task for task in content["results"] if task.startswith(f"{group}_"))
        if group not in members and inside:
            members[group] = inside
    return members


def _shots(content: Mapping[str, Any], members: Mapping[str, tuple[str, ...]], task: str) -> dict[str, str]:
    """The shots of a task; those of a group are its tasks', where they agree."""
    settled, open_tasks = [], [task]
    seen = {task}
    while open_tasks:
        one = open_tasks.pop()
        config = mapping_in(mapping_in(content.get("configs")).get(one))
        asked = mapping_in(content.get("config")).get("num_fewshot")
        part = next(
            (
                part
                for shots in (mapping_in(content.get("n-shot")).get(one), asked, config.get("num_fewshot"))
                if (part := shots_part(shots))
            ),
            {},
        )
        inside = [member for member in members.get(one, ()) if member not in seen]
        if part or not inside:
            settled.append(part)
        else:
            seen.update(inside)
            open_tasks += inside
    return settled[0] if all(part == settled[0] for part in settled) else {}


def _model(document: Document) -> tuple[str, dict[str, str]]:
    """The model's name, and its parts."""
    config = mapping_in(document.content.get("config"))
    arguments = config.get("model_args") or {}
    if isinstance(arguments, str) and arguments.lstrip().startswith("{"):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            raise ProxyError(
                f"{document.path}: config.model_args is broken JSON; it names the model"
            ) from None
    if isinstance(arguments, str):
        arguments = dict(part.strip().split("=", 1) for part in arguments.split(",") if "=" in part)
    if not isinstance(arguments, Mapping):
        raise ProxyError(
            f"{document.path}: config.model_args is neither text nor an object; it names the model"
        )
    name = (
        arguments.get("pretrained")
        or arguments.get("model")
        or document.content.get("model_name")
        or config.get("model")
    )
    if not name:
        raise ProxyError(f"{document.path}: says no model name (config.model_args has no pretrained=)")
    return named_model(str(name), arguments, complete=True)


LM_EVAL = Format("lm-eval", "lm-evaluation-harness", _recognises, _read)
