"""Files of the Every Eval Ever schema."""

from __future__ import annotations

import math
from collections.abc import Mapping

from proxy.errors import ProxyError
from proxy.scores.formats.document import Document, Format, Reading
from proxy.scores.formats.record import Record, number_in


def _recognises(document: Document) -> bool:
    return "evaluation_results" in document.content and "model_info" in document.content


def _read(document: Document) -> Reading:
    about = document.content["model_info"]
    model = about.get("id") or about.get("name")
    if not model:
        raise ProxyError(f"{document.path}: says no model name (model_info has neither id nor name)")
    records = []
    for result in document.content["evaluation_results"]:
        config = result.get("metric_config") or {}
        details = result.get("score_details") or {}
        uncertainty = details.get("uncertainty") or {}
        error = uncertainty.get("standard_error")
        record = Record(
            model=str(model),
            task=str(result["evaluation_name"]),
            metric=str(config.get("metric_name") or config.get("evaluation_description") or "score"),
            score=number_in(details.get("score")),
            stderr=number_in(error.get("value") if isinstance(error, Mapping) else error),
            n=number_in(uncertainty.get("num_samples")),
            lower_is_better=bool(config.get("lower_is_better")),
            source=str(document.path),
        )
        if not math.isnan(record.score):
            records.append(record)
    return Reading(records)


EVERY_EVAL_EVER = Format("eee", "Every Eval Ever", _recognises, _read)
