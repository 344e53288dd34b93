"""Files of the Every Eval Ever schema."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from proxy._text import counted
from proxy.errors import ProxyError
from proxy.scores.formats.arguments import named_model
from proxy.scores.formats.document import Document, Format, Reading
from proxy.scores.formats.lm_eval import shots_part
from proxy.scores.formats.record import Record, mapping_in, number_in, value_of

#: Names of scorers and metrics: an evaluation that is called so is called after its dataset.
_SCORERS = {
    "acc", "acc_norm", "accuracy", "answer", "choice", "em", "exact", "exact_match", "f1", "includes",
    "match", "math", "mean", "model_graded_fact", "model_graded_qa", "pass_rate", "pattern", "score",
}  # fmt: skip
_UNITS = {"proportion": 1.0, "fraction": 1.0, "percent": 100.0, "percentage": 100.0, "%": 100.0}


def _recognises(document: Document) -> bool:
    return "evaluation_results" in document.content and "model_info" in document.content


def _read(document: Document) -> Reading:
    records = [record for content in document.rows() for record in _results(document, content)]
    scored = [record for record in records if not math.isnan(record.score)]
    notes = []
    if len(scored) < len(records):
        have = counted(len(records) - len(scored), "result has", "results have")
        notes.append(f"{document.path.name}: {have} no number for a score and no row")
    return Reading(scored, notes)


def _results(document: Document, content: Mapping[str, Any]) -> list[Record]:
    """The results of one evaluation; a file of lines holds several."""
    about = mapping_in(content["model_info"])
    name = about.get("id") or about.get("name")
    if not name:
        raise ProxyError(f"{document.path}: says no model name (model_info has neither id nor name)")
    results = content["evaluation_results"]
    if not isinstance(results, list) or not all(isinstance(result, Mapping) for result in results):
        raise ProxyError(f"{document.path}: evaluation_results is no list of objects")
    model, model_parts = named_model(str(name), mapping_in(about.get("additional_details")))
    return [_record(document, model, model_parts, result) for result in results]


def _record(
    document: Document, model: str, model_parts: Mapping[str, str], result: Mapping[str, Any]
) -> Record:
    """One result."""
    config = mapping_in(result.get("metric_config"))
    details = mapping_in(result.get("score_details"))
    uncertainty = mapping_in(details.get("uncertainty"))
    error = uncertainty.get("standard_error")
    stderr = number_in(error.get("value") if isinstance(error, Mapping) else error)
    n = number_in(uncertainty.get("num_samples"))
    metric = str(
        config.get("metric_name")
        or config.get("metric_id")
        or config.get("evaluation_description")
        or "score"
    )
    data = mapping_in(result.get("source_data"))
    dataset = str(data.get("dataset_name") or "")
    task = str(result.get("evaluation_name") or dataset)
    if not task:
        raise ProxyError(f"{document.path}: a result has neither an evaluation_name nor a dataset_name")
    if dataset and task.casefold() in _SCORERS:
        task, metric = dataset, metric if metric == task else f"{task}/{metric}"
    value = value_of(details.get("score"))
    lower = config.get("lower_is_better")
    return Record(
        model=model,
        task=task,
        metric=metric,
        score=math.nan if config.get("has_unknown_level") is True and value.score == -1 else value.score,
        model_parts=model_parts,
        task_parts={**({"dataset": dataset} if dataset else {}), **_settings(result, data)},
        stderr=value.stderr if math.isnan(stderr) else stderr,
        n=value.n if math.isnan(n) else n,
        lower_is_better=lower if isinstance(lower, bool) else None,
        scale=100.0 if value.percent else _scale(config),
        mark=value.mark,
        source=str(document.path),
    )


def _settings(result: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, str]:
    """The split and the number of examples, where the file has them."""
    parts = {"split": str(data["hf_split"])} if data.get("hf_split") else {}
    generation = mapping_in(result.get("generation_config"))
    for place in (generation.get("additional_details"), generation.get("generation_args")):
        for key in ("num_fewshot", "n_shot", "num_shots"):
            parts |= shots_part(mapping_in(place).get(key))
    return parts


def _scale(config: Mapping[str, Any]) -> float:
    """The score of a perfect model: 1 or 100, where the unit or else the greatest possible score says so."""
    unit = _UNITS.get(str(config.get("metric_unit")).casefold())
    most = number_in(config.get("max_score"))
    return unit or (most if most in (1, 100) else math.nan)


EVERY_EVAL_EVER = Format("eee", "Every Eval Ever", _recognises, _read, frozenset({"json", "lines", "list"}))
