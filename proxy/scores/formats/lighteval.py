"""Result files of lighteval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from proxy._text import counted
from proxy.errors import ProxyError
from proxy.scores.formats.arguments import named_model
from proxy.scores.formats.document import Document, Format, Reading, is_nested
from proxy.scores.formats.lm_eval import metric_records, shots_part, version_part
from proxy.scores.formats.record import mapping_in, number_in


def _recognises(document: Document) -> bool:
    content = document.content
    return isinstance(content.get("config_general"), dict) and is_nested(content.get("results"))


def _read(document: Document) -> Reading:
    model, model_parts = _model(document)
    configs, versions = (mapping_in(document.content.get(key)) for key in ("config_tasks", "versions"))
    records, averages = [], []
    for key, metrics in document.content["results"].items():
        if key == "all" or "_average" in key:
            averages.append(key)
            continue
        # suite|task|shots in older files, task|shots in newer ones.
        pieces = key.split("|")
        suite, task, shots = pieces[:3] if len(pieces) > 2 else ("", pieces[0], pieces[-1])
        config = mapping_in(configs.get(key, configs.get(key.rsplit("|", 1)[0])))
        parts = {**shots_part(shots), **({"suite": suite} if suite else {})}
        records += metric_records(
            document,
            model,
            task,
            metrics,
            n=_items(config),
            model_parts=model_parts,
            task_parts={**parts, **version_part(versions.get(key, config.get("version")))},
            higher_is_better=_directions(config),
        )
    notes = []
    if averages:
        were = counted(len(averages), "average over tasks was", "averages over tasks were")
        notes.append(f"{document.path.name}: {were} left out ({', '.join(averages)})")
    return Reading(records, notes)


def _items(config: Mapping[str, Any]) -> float:
    """How many items were asked of a task; NaN where the file does not say."""
    counts = (number_in(config.get(key)) for key in ("effective_num_docs", "original_num_docs"))
    return next((count for count in counts if count >= 1), math.nan)


def _directions(config: Mapping[str, Any]) -> dict[str, Any]:
    """Metric -> whether higher is better; a group of metrics has a mapping of its own."""
    directions: dict[str, Any] = {}
    listed = config.get("metrics", config.get("metric"))
    for metric in listed if isinstance(listed, list) else ():
        name, higher = mapping_in(metric).get("metric_name"), mapping_in(metric).get("higher_is_better")
        directions |= {name: higher} if isinstance(name, str) else mapping_in(higher)
    return directions


def _model(document: Document) -> tuple[str, dict[str, str]]:
    """The model's name, and its parts."""
    general = document.content["config_general"]
    config = mapping_in(general.get("model_config"))
    name = general.get("model_name") or config.get("model_name") or config.get("base_model")
    if not name:
        raise ProxyError(f"{document.path}: says no model name (config_general has no model_name)")
    dtype = config.get("dtype") or general.get("model_dtype")
    return named_model(str(name), {**config, "dtype": dtype})


LIGHTEVAL = Format("lighteval", "lighteval", _recognises, _read)
