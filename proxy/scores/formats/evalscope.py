"""Reports and reviews of evalscope: reports/MODEL/DATASET.json and reviews/MODEL/DATASET_SUBSET.jsonl.

Reports of version 1.0 and later (`evalscope.report.Report`) and of 0.10 to 0.17, whose metrics, categories and subsets
are the same; reviews of version 1.0 ("sample_score") and of 0.5 to 0.17 ("choices" with a "review" each).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from proxy._text import counted
from proxy.scores.formats.document import Document, Format, Reading
from proxy.scores.formats.record import Record, mapping_in, number_in
from proxy.scores.formats.sample import Sample, mean_records

#: Subsets that are the whole data set.
WHOLE = frozenset({"", "main", "default", "default_subset", "test", "all"})


def _recognises(document: Document) -> bool:
    content = document.content
    if "dataset_name" in content and "model_name" in content and isinstance(content.get("metrics"), list):
        return True
    return "sample_score" in content or _is_old_review(content)


def _is_old_review(row: Mapping[str, Any]) -> bool:
    choices = row.get("choices")
    return isinstance(choices, list) and bool(choices) and "review" in mapping_in(choices[0])


def _is_report(document: Document) -> bool:
    return document.kind == "json" and "dataset_name" in document.content


def _read(document: Document) -> Reading:
    if _is_report(document):
        return _report(document)
    reading = _samples(document)
    return Reading(mean_records(reading.samples), reading.notes)


def _report(document: Document) -> Reading:
    """The score of a data set for each metric, and of its subsets where it has several."""
    content = document.content
    model, dataset = str(content["model_name"]), str(content["dataset_name"])
    metrics = [mapping_in(metric) for metric in content["metrics"]]
    subsets = [_subsets(dataset, metric) for metric in metrics]
    members = tuple(dict.fromkeys(name for one in subsets for name in one))
    records = []
    for place, (metric, parts) in enumerate(zip(metrics, subsets, strict=True)):
        for task, one in {dataset: metric, **parts}.items():
            score = number_in(one.get("score"))
            if score == score:
                records.append(
                    Record(
                        model=model,
                        task=task,
                        metric=str(metric.get("name") or "score"),
                        score=score,
                        n=number_in(one.get("num")),
                        # The score of the report is that of its first metric.
                        is_primary=place == 0,
                        members=members if task == dataset else (),
                        source=str(document.path),
                    )
                )
    return Reading(records)


def _subsets(dataset: str, metric: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Task -> what a metric says of each subset; nothing where the one subset is the whole data set."""
    subsets = {
        f"{dataset}/{subset.get('name')}": subset
        for category in map(mapping_in, _listed(metric.get("categories")))
        for subset in map(mapping_in, _listed(category.get("subsets")))
        if not subset.get("is_aggregate")
    }
    return subsets if len(subsets) > 1 else {}


def _samples(document: Document) -> Reading:
    if _is_report(document):
        return Reading([])
    samples = []
    unscored = 0
    for row in document.rows():
        scores = list(_scores(row))
        unscored += not scores
        sample = mapping_in(row.get("sample_score"))
        for metric, score in scores:
            samples.append(
                Sample(
                    model=_model(row, document.path),
                    task=_task(document.path),
                    # Repeats of one instance are a group.
                    instance=str(sample.get("group_id", row.get("index"))),
                    metric=metric,
                    score=score,
                    source=str(document.path),
                )
            )
    notes = (
        [f"{document.path.name}: {counted(unscored, 'line has', 'lines have')} no score"] if unscored else []
    )
    return Reading([], notes, samples)


def _scores(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Metric and score of each score of a line."""
    if "sample_score" in row:
        values = mapping_in(mapping_in(mapping_in(row["sample_score"]).get("score")).get("value"))
        pairs = list(values.items())
    else:
        reviews = [mapping_in(mapping_in(choice).get("review")) for choice in _listed(row.get("choices"))]
        pairs = [("result", review.get("result")) for review in reviews]
    for metric, value in pairs:
        if isinstance(value, Mapping):
            yield from ((str(name), number_in(one)) for name, one in value.items() if _is_number(one))
        elif _is_number(value):
            yield str(metric), float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, bool) or number_in(value) == number_in(value)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _model(row: Mapping[str, Any], path: Path) -> str:
    """The model that answered; else the folder of the reviews."""
    messages = [mapping_in(message) for message in _listed(row.get("messages"))]
    named = next((str(one["model"]) for one in reversed(messages) if one.get("model")), "") or row.get(
        "model"
    )
    if named:
        return str(named)
    folders = path.absolute().parent.parts
    return folders[-1] if len(folders) > 1 and folders[-2] == "reviews" else ""


def _task(path: Path) -> str:
    """The data set and its subset, of the name of the file: gsm8k_main.jsonl is gsm8k."""
    stem = re.sub(r"^reviews?_|\.jsonl(\.gz)?$", "", path.name)
    dataset, _, subset = stem.rpartition("_")
    return dataset if dataset and subset in WHOLE else stem


def _repeats(files: Sequence[Path]) -> set[Path]:
    """Everything beside the folder of reports: reviews have the same scores, answer by answer."""
    outputs = {
        path.parents[i + 1]
        for path in files
        for i in range(len(path.parents) - 1)
        if path.parents[i].name == "reports"
    }
    return {
        path
        for path in files
        for one in path.parents
        if one.name in ("reviews", "predictions", "configs", "logs") and one.parent in outputs
    }


EVALSCOPE = Format(
    "evalscope", "evalscope", _recognises, _read, frozenset({"json", "lines"}), _samples, _repeats
)
