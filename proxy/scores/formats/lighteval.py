"""Result files of lighteval."""

from __future__ import annotations

from proxy.errors import ProxyError
from proxy.scores.formats.document import Document, Format, Reading, is_nested
from proxy.scores.formats.lm_eval import metric_records


def _recognises(document: Document) -> bool:
    content = document.content
    return isinstance(content.get("config_general"), dict) and is_nested(content.get("results"))


def _read(document: Document) -> Reading:
    general = document.content["config_general"]
    model = general.get("model_name") or (general.get("model_config") or {}).get("model_name")
    if not model:
        raise ProxyError(f"{document.path}: says no model name (config_general has no model_name)")
    records = []
    for key, metrics in document.content["results"].items():
        if key == "all" or "_average" in key:
            continue
        # suite|task|shots in older files, task|shots in newer ones.
        parts = key.split("|")
        task = parts[1] if len(parts) >= 3 else parts[0]
        records += metric_records(document, str(model), task, metrics)
    return Reading(records)


LIGHTEVAL = Format("lighteval", "lighteval", _recognises, _read)
