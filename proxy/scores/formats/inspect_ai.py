"""Logs of Inspect: a JSON file, or an .eval archive whose header holds the results."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxy._text import counted
from proxy.errors import ProxyError
from proxy.scores.formats.arguments import listed_arguments, named_model
from proxy.scores.formats.document import LARGEST_FILE, Document, Format, Reading, json_value
from proxy.scores.formats.inspect_samples import samples_of
from proxy.scores.formats.lm_eval import version_part
from proxy.scores.formats.record import Record, mapping_in, number_in

HEADER, SUMMARIES = "header.json", "summaries.json"
#: What a scorer's metrics say of the spread of another one.
SPREADS = ("stderr", "std", "var", "bootstrap_stderr")
#: What of a generation's settings makes it another model's.
_REASONING = ("reasoning_effort", "reasoning_tokens", "temperature", "top_p", "top_k")


def _recognises(document: Document) -> bool:
    about = document.content.get("eval")
    return document.kind == "archive" or (isinstance(about, dict) and "model" in about and "task" in about)


def _read(document: Document) -> Reading:
    path = document.path
    content = _header(document)
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


def _header(document: Document) -> Mapping[str, Any]:
    """The header of an .eval archive, which has everything but the samples; all of a log in JSON."""
    return document.content if document.kind == "json" else _entry(document, HEADER)


def _samples(document: Document) -> Reading:
    """The scores of each sample and epoch: of a log in JSON, or of the summaries in an archive."""
    path = document.path
    about = mapping_in(_header(document).get("eval"))
    rows = document.content.get("samples") if document.kind == "json" else _entry(document, SUMMARIES)
    model, model_parts = _model(path, about)
    samples, unscored = samples_of(
        rows if isinstance(rows, list) else [],
        model=model,
        model_parts=model_parts,
        task=str(about["task"]),
        task_parts=_task_parts(about),
        source=str(path),
    )
    without = counted(unscored, "sample has", "samples have")
    return Reading([], [f"{path.name}: {without} no score"] if unscored else [], samples)


def _entry(document: Document, name: str) -> Any:
    """What a file of an .eval archive holds; read by Inspect itself where Python cannot."""
    path = document.path
    try:
        with zipfile.ZipFile(document.opened()) as archive:
            names = archive.namelist()
            if name not in names:
                if any(one.startswith(("_journal/", "samples/")) for one in names):
                    raise ProxyError(f"{path}: the log has no {name} yet; finish the run first")
                raise ProxyError(f"{path}: an archive, but no log of Inspect (it has no {name})")
            if archive.getinfo(name).file_size > LARGEST_FILE:
                raise ProxyError(f"{path}: its {name} is larger than {LARGEST_FILE >> 20} MiB")
            return json_value(path, archive.read(name).decode("utf-8"))
    except NotImplementedError:  # zstd, which Inspect writes since 2026
        return _read_by_inspect(document, name)
    except (zipfile.BadZipFile, UnicodeDecodeError, EOFError, RuntimeError, zlib.error) as error:
        raise ProxyError(f"{path}: a broken archive ({error})") from None


def _read_by_inspect(document: Document, name: str) -> Any:
    """The same of Inspect's own reader of logs, an extra."""
    path = document.path
    try:
        from inspect_ai.log import read_eval_log, read_eval_log_sample_summaries
    except ModuleNotFoundError:
        raise ProxyError(
            f"{path}: compressed by zstd, which needs Inspect; pip install 'firstlight[inspect]'"
        ) from None
    if document.data is not None:
        raise ProxyError(f"{path}: compressed by zstd; give the log as a file of its own")
    if name == SUMMARIES:
        return [one.model_dump(mode="json") for one in read_eval_log_sample_summaries(path)]
    return read_eval_log(path, header_only=True).model_dump(mode="json")


INSPECT = Format("inspect", "Inspect", _recognises, _read, samples=_samples)
