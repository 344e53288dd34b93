"""Results of olmo-eval: metrics.json, and predictions/MODEL/TASK_HASH_predictions.jsonl.

The shape is that of version 1 (`MetricsOutput.to_dict` and `build_predictions`): metrics are {metric: {scorer: score}}
or {metric: score}, and the primary one is named "metric:scorer".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from proxy.scores.formats.document import Document, Format, Reading, open_document
from proxy.scores.formats.record import Record, mapping_in, number_in
from proxy.scores.formats.sample import Sample, mean_records


def _recognises(document: Document) -> bool:
    content = document.content
    if "model_output" in content and "instance_metrics" in content:
        return True
    tasks = content.get("tasks")
    return isinstance(tasks, list) and bool(tasks) and {"task", "metrics"} <= set(mapping_in(tasks[0]))


def _read(document: Document) -> Reading:
    if "tasks" not in document.content:
        reading = _samples(document)
        return Reading(mean_records(reading.samples), reading.notes)
    content = document.content
    failed = [str(mapping_in(one).get("task")) for one in content.get("errors") or []]
    records = [
        Record(
            model=_model(content),
            task=str(task["task"]),
            metric=metric,
            score=score,
            n=number_in(task.get("num_instances")),
            is_primary=is_primary,
            source=str(document.path),
        )
        for task in map(mapping_in, content["tasks"])
        for metric, score, is_primary in _metrics(task.get("metrics"), task.get("primary_metric"))
    ]
    notes = [f"{document.path.name}: failed there: {', '.join(failed)}"] if failed else []
    known = {record.task for record in records}
    suites = [name for name in mapping_in(content.get("summary")) if name not in known]
    if suites:
        notes.append(f"{document.path.name}: means over tasks were left out: {', '.join(suites)}")
    return Reading(records, notes)


def _metrics(metrics: Any, primary: Any = None) -> Iterator[tuple[str, float, bool]]:
    """Metric, score and whether it is the primary one; a metric of one scorer goes by its own name."""
    for metric, value in mapping_in(metrics).items():
        scorers = value if isinstance(value, Mapping) else {metric: value}
        for scorer, score in scorers.items():
            number = float(score) if isinstance(score, bool) else number_in(score)
            name = metric if len(scorers) == 1 else f"{metric},{scorer}"
            if number == number:
                yield name, number, primary in (f"{metric}:{scorer}", metric)


def _model(content: Mapping[str, Any]) -> str:
    """The name recorded, else that of the provider's config, which older runs hold flat."""
    config = mapping_in(content.get("config"))
    provider = mapping_in(config.get("provider")) or config
    return str(content.get("model_name") or provider.get("model") or "")


def _samples(document: Document) -> Reading:
    if "instance_metrics" not in document.content:
        return Reading([])
    model, task = _of_predictions(document.path)
    samples = []
    for row in document.rows():
        singles = [mapping_in(one).get("sample_metrics") for one in row.get("model_output") or []]
        # Several answers each have their scores; what the instance has is made of them all.
        of_answers = singles if len(singles) > 1 and all(singles) else [row.get("instance_metrics")]
        samples += [
            Sample(
                model=model,
                task=task,
                instance=str(row.get("native_id", row.get("doc_id"))),
                metric=metric,
                score=score,
                source=str(document.path),
            )
            for metrics in of_answers
            for metric, score, _ in _metrics(metrics)
        ]
    return Reading([], [], samples)


def _of_predictions(path: Path) -> tuple[str, str]:
    """The model and the task of a file of predictions: of the metrics.json of the run, else of its names."""
    stem = re.sub(r"_predictions\.jsonl(\.gz)?$", "", path.name)
    folder = path.absolute().parent
    metrics = folder.parent.parent / "metrics.json"
    if folder.parent.name == "predictions" and metrics.is_file():
        content = open_document(metrics).content
        for task in map(mapping_in, content.get("tasks") or []):
            name, digest = str(task.get("task")), str(task.get("task_hash") or "")
            if re.sub(r"[^\w.-]", "_", name) + (f"_{digest[-6:]}" if digest else "") == stem:
                return _model(content), name
        return _model(content), re.sub(r"_[0-9a-f]{6}$", "", stem)
    return "", re.sub(r"_[0-9a-f]{6}$", "", stem)


def _repeats(files: Sequence[Path]) -> set[Path]:
    """The predictions and requests of a run beside its metrics.json."""
    runs = {path.parent for path in files if path.name == "metrics.json"}
    return {
        path
        for path in files
        for one in path.parents
        if one.name in ("predictions", "requests") and one.parent in runs
    }


OLMO_EVAL = Format(
    "olmo-eval", "olmo-eval", _recognises, _read, frozenset({"json", "lines"}), _samples, _repeats
)
