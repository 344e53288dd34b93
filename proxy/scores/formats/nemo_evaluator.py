"""Results of NeMo Evaluator: results.yml (or its JSON), processed_results.json, and samples of its own harness.

The shapes are those of versions 25.08 to 26.03 (`EvaluationResult`): metrics are {metric: {"scores": {score: {"value",
"stats"}}}} for tasks and for groups of them. The samples are the list that a benchmark of one's own (BYOB) writes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from proxy._files import shown_path
from proxy.errors import ProxyError
from proxy.scores.formats.document import Document, Format, Reading
from proxy.scores.formats.record import Record, mapping_in, number_in
from proxy.scores.formats.sample import Sample, mean_records

#: The results of a run, and what tells that a folder holds its artifacts.
RESULTS, BESIDE = ("results.yml", "results.yaml"), ("run_config.yml", "eval_factory_metrics.json")
#: The keys at the left margin of a results.yml.
YAML = re.compile(r"^results:\s*$.*^\s+(?:tasks|groups):\s*$", re.MULTILINE | re.DOTALL)


def _recognises(document: Document) -> bool:
    if document.kind == "text":
        return bool(YAML.search(document.text))
    if document.kind == "list":
        return "reward" in document.content and "model_response" in document.content
    return _is_export(document.content) or bool(_sections(document.content))


def _is_export(content: Mapping[str, Any]) -> bool:
    return "export_timestamp" in content and isinstance(content.get("benchmarks"), Mapping)


def _sections(content: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Tasks and groups, where these are results of NeMo Evaluator."""
    results = mapping_in(content.get("results")) or content
    found = {name: mapping_in(results.get(name)) for name in ("tasks", "groups")}
    return {
        name: section
        for name, section in found.items()
        if section and all(isinstance(mapping_in(one).get("metrics"), Mapping) for one in section.values())
    }


def _read(document: Document) -> Reading:
    if document.kind == "list":
        return Reading(mean_records(_samples(document).samples))
    content = _yaml(document) if document.kind == "text" else document.content
    records = list(_exported(document, content) if _is_export(content) else _results(document, content))
    return Reading(records)


def _results(document: Document, content: Mapping[str, Any]) -> Iterator[Record]:
    """The scores of tasks, and of the groups that are no task."""
    endpoint = mapping_in(mapping_in(content.get("target")).get("api_endpoint"))
    model = str(endpoint.get("model_id") or "")
    sections = _sections(content)
    for section, tasks in sections.items():
        for task, one in tasks.items():
            if section == "groups" and task in sections.get("tasks", {}):
                continue
            for metric, results in mapping_in(one.get("metrics")).items():
                scores = mapping_in(mapping_in(results).get("scores"))
                for name, score in scores.items():
                    value, stats = number_in(mapping_in(score).get("value")), mapping_in(score.get("stats"))
                    if value == value:
                        yield Record(
                            model=model,
                            task=str(task),
                            metric=metric if name in ("micro", metric) else f"{metric}/{name}",
                            score=value,
                            stderr=number_in(stats.get("stderr")),
                            n=_items(value, stats),
                            source=str(document.path),
                        )


def _items(score: float, stats: Mapping[str, Any]) -> float:
    """How many values a score is the mean of: said, or told by the spread and error of zeros and ones.

    Their spread is stddev = sqrt(p (1 - p)), and stderr = stddev / sqrt(n - 1).
    """
    count, spread, error = (number_in(stats.get(key)) for key in ("count", "stddev", "stderr"))
    if count == count or not error > 0 or not 0 < score < 1:
        return count
    if not math.isclose(spread, math.sqrt(score * (1 - score)), rel_tol=1e-9):
        return math.nan
    n = (spread / error) ** 2 + 1
    return float(round(n)) if abs(n - round(n)) < 1e-6 * n else math.nan


def _exported(document: Document, content: Mapping[str, Any]) -> Iterator[Record]:
    """The scores of an export, whose names are TASK_METRIC or TASK_METRIC_SCORE."""
    for benchmark, about in content["benchmarks"].items():
        for model, runs in mapping_in(mapping_in(about).get("models")).items():
            for run in map(mapping_in, runs if isinstance(runs, list) else []):
                for name, value in mapping_in(run.get("scores")).items():
                    score = number_in(value)
                    if score == score:
                        metric = name.removeprefix(f"{benchmark}_").removesuffix("_micro")
                        yield Record(
                            model=str(model),
                            task=str(benchmark),
                            metric=metric,
                            score=score,
                            source=str(document.path),
                        )


def _samples(document: Document) -> Reading:
    if document.kind != "list":
        return Reading([])
    samples = []
    for place, row in enumerate(map(mapping_in, document.items)):
        about = mapping_in(row.get("metadata"))
        score = number_in(row.get("reward"))
        if score == score:
            samples.append(
                Sample(
                    model=str(row.get("model") or about.get("model") or ""),
                    task=str(about.get("benchmark") or document.path.stem),
                    instance=str(row.get("idx", place)),
                    metric="reward",
                    score=score,
                    source=str(document.path),
                )
            )
    return Reading([], [], samples)


def _yaml(document: Document) -> Mapping[str, Any]:
    name = shown_path(document.path)
    try:
        import yaml
    except ModuleNotFoundError:
        raise ProxyError(f"{name}: YAML, which needs PyYAML; pip install 'firstlight[yaml]'") from None
    try:
        return mapping_in(yaml.safe_load(document.text))
    except yaml.YAMLError as error:
        raise ProxyError(f"{name}: not YAML ({' '.join(str(error).split())})") from None


def _repeats(files: Sequence[Path]) -> set[Path]:
    """Everything among the artifacts of a run but its results."""
    present = set(files)
    folders = {
        path.parent
        for path in files
        if path.name in RESULTS and any(path.with_name(name) in present for name in BESIDE)
    }
    return {
        path
        for path in files
        for one in path.parents
        if one in folders and not (path.parent == one and path.name in RESULTS)
    }


NEMO_EVALUATOR = Format(
    "nemo-evaluator",
    "NeMo Evaluator",
    _recognises,
    _read,
    frozenset({"json", "list", "text"}),
    _samples,
    _repeats,
)
