"""Results of OLMES (oe-eval): metrics-all.jsonl, metrics.json, and the metrics and predictions of each task.

The shapes are those of the public OLMES repository: a line of metrics-all.jsonl is the object of a task's metrics file
(``task-001-gsm8k-metrics.json``); metrics.json lists the same tasks with their aliases under "tasks", in older versions
with flat metrics under "metrics".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from proxy._files import is_standard_input
from proxy.scores.formats.document import Document, Format, Reading, open_document
from proxy.scores.formats.lm_eval import shots_part
from proxy.scores.formats.record import Record, mapping_in, model_name, number_in
from proxy.scores.formats.sample import Sample, mean_records

PRIMARY = "primary_score"
#: What is counted beside the scores.
COUNTS = re.compile(r"num_.*|predicted_index_.*|correct_choice|max_tokens.*|logits_.*|sum_logits.*|no_answer")
PREDICTIONS = re.compile(r"(?P<stem>.*)-predictions\.jsonl(?:\.gz)?")
#: Files of a whole run, the fullest first, and those of one task.
WHOLE, OF_TASK = ("metrics-all.jsonl", "metrics.json"), re.compile(r"task-\d+-.*\.jsonl?")
#: Keys of an older metrics.json that are no metrics.
OLD_OTHERS = frozenset({"task", "num_instances", "task_config", "extra_metrics"})


def _recognises(document: Document) -> bool:
    content = document.content
    if "all_primary_scores" in content or "task_config" in content:
        return True
    return "doc_id" in content and "model_output" in content and "metrics" in content


def _read(document: Document) -> Reading:
    if "model_output" in document.content:
        reading = _samples(document)
        return Reading(mean_records(reading.samples), reading.notes)
    tasks = [(task, row) for row in document.rows() for task in _tasks(row)]
    names = [_name(task) for task, _ in tasks]
    return Reading([record for task, row in tasks for record in _records(document, task, row, names)])


def _tasks(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What the file says of each task, in one shape."""
    if "all_primary_scores" not in row:
        yield row
    elif isinstance(row.get("tasks"), list):
        yield from map(mapping_in, row["tasks"])
    else:
        for flat in map(mapping_in, row.get("metrics") or []):
            metrics = {key: value for key, value in flat.items() if key not in OLD_OTHERS}
            yield {**flat, "task_name": flat.get("task"), "metrics": metrics}


def _records(
    document: Document, task: Mapping[str, Any], row: Mapping[str, Any], names: Sequence[str]
) -> Iterator[Record]:
    """The primary score of a task under its metric's name, and its other metrics. names: of all tasks of the file."""
    config, metrics = mapping_in(task.get("task_config")), mapping_in(task.get("metrics"))
    primary = str(config.get("primary_metric") or PRIMARY)
    # The mean over the tasks of a suite: "macro", or weighted by their instances, "micro".
    is_mean = primary in ("macro", "micro")
    members = _members(_name(task), names)
    for metric, value in metrics.items():
        score = number_in(value)
        if score != score or COUNTS.fullmatch(metric) or (metric == primary and PRIMARY in metrics):
            continue
        yield Record(
            model=_model(task, row),
            task=_name(task),
            task_parts={} if is_mean else _parts(config),
            metric=primary if metric == PRIMARY else metric,
            is_primary=metric in (PRIMARY, primary),
            members=members if is_mean else (),
            score=score,
            n=number_in(task.get("num_instances")),
            source=str(document.path),
        )


def _members(suite: str, names: Sequence[str]) -> tuple[str, ...]:
    """The tasks that have the name of a suite: mmlu_anatomy:mc::olmes of mmlu:mc::olmes."""
    core, colon, variant = suite.partition(":")
    return tuple(name for name in names if name.startswith(f"{core}_") and name.endswith(colon + variant))


def _name(task: Mapping[str, Any]) -> str:
    """The alias says everything about a task ("arc_easy:mc::olmes"); its name does where there is none."""
    config = mapping_in(task.get("task_config"))
    alias = task.get("alias") or mapping_in(config.get("metadata")).get("alias")
    return str(alias or task.get("task_name") or config.get("task_name"))


def _parts(config: Mapping[str, Any]) -> dict[str, str]:
    """The number of examples and the split."""
    split = config.get("split")
    return {**shots_part(config.get("num_shots")), **({"split": str(split)} if split else {})}


def _model(task: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """The model's name with its revision; empty where the file does not say."""
    config = mapping_in(task.get("model_config") or row.get("model_config"))
    name = config.get("model") or config.get("model_path") or config.get("pretrained")
    return model_name(str(name), revision=config.get("revision")) if name else ""


def _samples(document: Document) -> Reading:
    if "model_output" not in document.content:
        return Reading([])
    model, task = _of_predictions(document.path)
    samples = [
        Sample(
            model=model,
            task=task,
            instance=str(row.get("native_id", row.get("doc_id"))),
            metric=metric,
            score=float(value) if isinstance(value, bool) else number_in(value),
            source=str(document.path),
        )
        for row in document.rows()
        for metric, value in mapping_in(row.get("metrics")).items()
        if not COUNTS.fullmatch(metric) and (isinstance(value, bool) or number_in(value) == number_in(value))
    ]
    return Reading([], [], samples)


def _of_predictions(path: Path) -> tuple[str, str]:
    """The model and the task of a file of predictions: of the metrics beside it, else of its name."""
    named = PREDICTIONS.fullmatch(path.name)
    stem = named["stem"] if named else path.name
    beside = path.with_name(f"{stem}-metrics.json")
    if not is_standard_input(path) and beside.is_file():
        content = open_document(beside).content
        if "task_config" in content:
            return _model(content, content), _name(content)
    return "", re.sub(r"^task-\d+-", "", stem)


def _repeats(files: Sequence[Path]) -> set[Path]:
    """Everything of a run beside its metrics-all.jsonl, or beside its metrics.json where that is all."""
    left: set[Path] = set()
    for folder in {path.parent for path in files if path.name in WHOLE}:
        names = {path.name: path for path in files if path.parent == folder}
        whole = next(name for name in WHOLE if name in names)
        left |= {
            path for name, path in names.items() if name != whole and (name in WHOLE or OF_TASK.match(name))
        }
    return left


OLMES = Format("olmes", "OLMES", _recognises, _read, frozenset({"json", "lines"}), _samples, _repeats)
