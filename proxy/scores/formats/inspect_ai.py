"""Logs of Inspect: a JSON file, or an .eval archive whose header holds the results."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxy.errors import ProxyError
from proxy.scores.formats.arguments import listed_arguments, named_model
from proxy.scores.formats.document import LARGEST_FILE, Document, Format, Reading, json_object
from proxy.scores.formats.lm_eval import version_part
from proxy.scores.formats.record import Record, mapping_in, number_in

HEADER = "header.json"
#: What a scorer's metrics say of the spread of another one.
SPREADS = ("stderr", "std", "var", "bootstrap_stderr")
#: What of a generation's settings makes it another model's.
_REASONING = ("reasoning_effort", "reasoning_tokens", "temperature", "top_p", "top_k")


def _recognises(document: Document) -> bool:
    about = document.content.get("eval")
    return document.kind == "archive" or (isinstance(about, dict) and "model" in about and "task" in about)


def _read(document: Document) -> Reading:
    path = document.path
    content = _header(path) if document.kind == "archive" else document.content
    about = mapping_in(content.get("eval"))
    results = mapping_in(content.get("results"))
    status = content.get("status", "success")
    scorers = results.get("scores")
    if "scorer" in results:  # the first version of the logs had one scorer
        scorers = [{**mapping_in(results["scorer"]), "metrics": results.get("metrics")}]
    if not scorers:
        if status == "success":
            raise ProxyError(f"{path}: the run ended without scores; score it with `inspect score`")
        raise ProxyError(f"{path}: the run has no scores (status {status}); finish it first")
    if not isinstance(scorers, list) or not all(isinstance(one, Mapping) for one in scorers):
        raise ProxyError(f"{path}: results.scores is no list of objects")
    notes = []
    done, total = results.get("completed_samples"), mapping_in(about.get("dataset")).get("samples")
    if status != "success":
        notes.append(f"{path.name}: status {status}, scores of {done} of {total} samples")
    epochs = number_in(mapping_in(about.get("config")).get("epochs"))
    epochs = epochs if epochs > 1 else 1.0
    if epochs > 1:
        notes.append(f"{path.name}: {epochs:g} epochs; n counts each sample once")
    records: list[Record] = []
    for scorer in scorers:
        n = number_in(scorer.get("scored_samples"))
        records += _scorer_records(
            path, about, scorer, number_in(done) / epochs if math.isnan(n) else n, epochs
        )
    return Reading(records, notes)


def _scorer_records(
    path: Path, about: Mapping[str, Any], scorer: Mapping[str, Any], n: float, epochs: float
) -> list[Record]:
    """The metrics of one scorer over n samples."""
    metrics = {
        name: number_in(one.get("value") if isinstance(one, Mapping) else one)
        for name, one in mapping_in(scorer.get("metrics")).items()
    }
    if not metrics:
        raise ProxyError(f"{path}: the scorer {scorer.get('name')!r} has no metrics")
    model, model_parts = _model(path, about)
    # One sample has a printed standard error of 0, which is no knowledge.
    stderr = math.nan if n < 2 else metrics.get("stderr", math.nan)
    reducer = scorer.get("reducer")
    if reducer in ("max", "median", "mode"):
        reducer = f"{reducer}@{epochs:g}"
    return [
        Record(
            model=model,
            task=str(about["task"]),
            metric=f"{scorer.get('name', 'score')}/{name}"
            + (f",{reducer}" if reducer not in (None, "mean") else ""),
            score=value,
            model_parts=model_parts,
            task_parts=_task_parts(about),
            stderr=stderr,
            n=n,
            source=str(path),
        )
        for name, value in metrics.items()
        if name not in SPREADS and not math.isnan(value)
    ]


def _model(path: Path, about: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """The model's name, and its parts."""
    if not about.get("model") or not about.get("task"):
        raise ProxyError(f"{path}: says no model or no task (eval has no model and task)")
    arguments = mapping_in(about.get("model_args"))
    name, at = str(about["model"]), arguments.get("model_path")
    full, parts = named_model(f"{name}:{at}" if at else name, arguments, complete=True)
    generation = mapping_in(about.get("model_generate_config"))
    settings = {key: generation[key] for key in _REASONING if key in generation}
    return full, {**parts, "generation": listed_arguments(settings)}


def _task_parts(about: Mapping[str, Any]) -> dict[str, str]:
    """What else makes it another task: its dataset, arguments and solver, and who graded it."""
    dataset, version = mapping_in(about.get("dataset")).get("name"), about.get("task_version")
    roles = {role: mapping_in(one).get("model") for role, one in mapping_in(about.get("model_roles")).items()}
    solver = mapping_in(about.get("solver_args"))
    return {
        **({"dataset": str(dataset)} if dataset else {}),
        "arguments": listed_arguments(mapping_in(about.get("task_args"))),
        "solver": ";".join(filter(None, (str(about.get("solver") or ""), listed_arguments(solver)))),
        "roles": listed_arguments(roles),
        **(version_part(version) or ({"version": f"v{version}"} if version else {})),
    }


def _header(path: Path) -> dict[str, Any]:
    """The header of an .eval archive, which has everything but the samples."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if HEADER not in names:
                if any(name.startswith(("_journal/", "samples/")) for name in names):
                    raise ProxyError(f"{path}: the log has no {HEADER} yet; finish the run first")
                raise ProxyError(f"{path}: an archive, but no log of Inspect (it has no {HEADER})")
            if archive.getinfo(HEADER).file_size > LARGEST_FILE:
                raise ProxyError(f"{path}: its {HEADER} is larger than {LARGEST_FILE >> 20} MiB")
            return json_object(path, archive.read(HEADER).decode("utf-8"))
    except NotImplementedError:
        raise ProxyError(
            f"{path}: compressed in a way that this Python cannot read (zstd); convert it with `inspect log convert`"
        ) from None
    except (zipfile.BadZipFile, UnicodeDecodeError, EOFError, RuntimeError, zlib.error) as error:
        raise ProxyError(f"{path}: a broken archive ({error})") from None


INSPECT = Format("inspect", "Inspect", _recognises, _read)
