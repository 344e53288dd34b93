"""Run folders of HELM: run_spec.json says what ran, stats.json how it scored, per_instance_stats.json each instance.

The shape is that of versions 0.2 to 0.5 (`helm.benchmark.metrics.statistic.Stat`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from proxy._files import is_standard_input, shown_path
from proxy.errors import ProxyError
from proxy.scores.formats.document import Document, Format, Reading, open_document
from proxy.scores.formats.record import Record, mapping_in, number_in
from proxy.scores.formats.sample import Sample

#: What HELM counts beside the scores: lengths, times, and how the prompts were made.
BOOKKEEPING = re.compile(
    r"num_.*|finish_reason_.*|training_.*|inference_.*|batch_size|prompt_truncated|max_prob|logprob|.*_runtime"
)
ITEMS = "num_instances"
#: Parts of a run's name that name the model.
MODEL = ("model=", "model_deployment=")


def _recognises(document: Document) -> bool:
    if document.kind == "json":
        return "adapter_spec" in document.content  # run_spec.json, or scenario_state.json
    first = document.content
    return "name" in mapping_in(first.get("name")) or ("stats" in first and "instance_id" in first)


def _read(document: Document) -> Reading:
    if document.kind == "json" or "stats" in document.content:
        beside = _beside(document.path, "stats")
        if beside.kind != "list":
            raise ProxyError(
                f"{shown_path(document.path)}: of a HELM run, without its scores; give the folder, or its stats.json"
            )
        document = beside
    model, task = _names(document)
    items = {
        _place(stat): number_in(stat.get("mean"))
        for stat in map(mapping_in, document.items)
        if mapping_in(stat.get("name")).get("name") == ITEMS
    }
    records = []
    for metric, stat in _scores(document.items):
        place = _place(stat)
        records.append(
            Record(
                model=model,
                task=task,
                task_parts=_parts(*place),
                metric=metric,
                score=number_in(stat.get("mean")),
                # Perturbed instances are counted with the others of their split.
                n=items.get(place, items.get((place[0], ""), float("nan"))),
                source=str(document.path),
            )
        )
    return Reading(records)


def _samples(document: Document) -> Reading:
    if document.kind == "json" or "stats" not in document.content:
        return Reading([])
    model, task = _names(document)
    samples = []
    for row in map(mapping_in, document.items):
        perturbation = _perturbation(row)
        for metric, stat in _scores(row.get("stats") or []):
            split, _ = _place(stat)
            samples.append(
                Sample(
                    model=model,
                    task=task,
                    task_parts=_parts(split, perturbation),
                    instance=str(row.get("instance_id")),
                    metric=metric,
                    score=number_in(stat.get("mean")),
                    draws=max(int(number_in(stat.get("count"))), 1),
                    source=str(document.path),
                )
            )
    return Reading([], [], samples)


def _scores(stats: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The statistics that are scores, with the names of their metrics."""
    for stat in map(mapping_in, stats):
        metric = str(mapping_in(stat.get("name")).get("name"))
        # A statistic of nothing has a count of 0 and no mean.
        if not BOOKKEEPING.fullmatch(metric) and number_in(stat.get("mean")) == number_in(stat.get("mean")):
            yield metric, stat


def _place(stat: Mapping[str, Any]) -> tuple[str, str]:
    """The split and the perturbation that a statistic is of."""
    name = mapping_in(stat.get("name"))
    split = "/".join(str(name[key]) for key in ("split", "sub_split") if name.get(key))
    return split, _perturbation(name)


def _perturbation(name: Mapping[str, Any]) -> str:
    """What was changed in the instances, and which of them count; empty where nothing was."""
    perturbation = mapping_in(name.get("perturbation"))
    of_which = perturbation.get("computed_on")
    return "-".join(str(part) for part in (perturbation.get("name"), of_which) if part)


def _parts(split: str, perturbation: str) -> dict[str, str]:
    """What makes statistics of one run those of another task; an empty perturbation is known to be none."""
    return {"perturbation": perturbation, **({"split": split} if split else {})}


def _names(document: Document) -> tuple[str, str]:
    """The model and the task of the run: of run_spec.json beside the statistics, else of the folder's name."""
    spec = _beside(document.path, "run_spec").content
    folder = document.path.absolute().parent.name
    name = str(spec.get("name") or (folder if "model=" in folder else document.path.name.partition(".")[0]))
    scenario, _, arguments = name.partition(":")
    parts = [one for one in arguments.split(",") if one]
    others = ",".join(one for one in parts if not one.startswith(MODEL))
    model = mapping_in(spec.get("adapter_spec")).get("model") or next(
        (one.removeprefix("model=").replace("_", "/", 1) for one in parts if one.startswith("model=")), ""
    )
    return str(model), ":".join(part for part in (scenario, others) if part)


def _beside(path: Path, kind: str) -> Document:
    """The file of another kind of the same run; one without content where there is none."""
    if not is_standard_input(path):
        named = path.with_name(f"{kind}.json")
        alike = (
            one for one in path.absolute().parent.glob(f"*{kind}*.json") if "per_instance" not in one.name
        )
        found = [named] if named.is_file() else list(alike)
        if len(found) == 1:
            return open_document(found[0])
    return Document(path, "json")


def _repeats(files: Sequence[Path]) -> set[Path]:
    """Everything in the folder of a run but its statistics."""
    present = set(files)
    folders = {
        path.parent
        for path in files
        if path.name == "stats.json" and path.with_name("run_spec.json") in present
    }
    return {path for path in files if path.parent in folders and path.name != "stats.json"}


HELM = Format("helm", "HELM", _recognises, _read, frozenset({"json", "list"}), _samples, _repeats)
