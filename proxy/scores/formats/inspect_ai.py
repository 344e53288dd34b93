"""Logs of Inspect: a JSON file, or an .eval archive whose header holds the results."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxy.errors import ProxyError
from proxy.scores.formats.document import LARGEST_FILE, Document, Format, Reading, json_object
from proxy.scores.formats.record import Record, lower_is_better, number_in

HEADER = "header.json"
#: What a scorer's metrics say of the spread of another one.
SPREADS = ("stderr", "std", "var", "bootstrap_stderr")


def _recognises(document: Document) -> bool:
    about = document.content.get("eval")
    return document.kind == "archive" or (isinstance(about, dict) and "model" in about and "task" in about)


def _read(document: Document) -> Reading:
    path = document.path
    content = _header(path) if document.kind == "archive" else document.content
    about = content["eval"]
    results = content.get("results") or {}
    status = content.get("status", "success")
    if not results.get("scores"):
        raise ProxyError(f"{path}: the run has no scores (status {status}); finish it first")
    notes = []
    if status != "success":
        done, total = results.get("completed_samples"), (about.get("dataset") or {}).get("samples")
        notes.append(f"{path.name}: status {status}, scores of {done} of {total} samples")
    records: list[Record] = []
    for scorer in results["scores"]:
        n = number_in(scorer.get("scored_samples", results.get("completed_samples")))
        records += _scorer_records(path, about, scorer, n)
    return Reading(records, notes)


def _scorer_records(
    path: Path, about: Mapping[str, Any], scorer: Mapping[str, Any], n: float
) -> list[Record]:
    """The metrics of one scorer over n samples."""
    metrics = {name: number_in(one.get("value")) for name, one in (scorer.get("metrics") or {}).items()}
    # One sample has a printed standard error of 0, which is no knowledge.
    stderr = math.nan if n < 2 else metrics.get("stderr", math.nan)
    return [
        Record(
            model=about["model"],
            task=about["task"],
            metric=f"{scorer.get('name', 'score')}/{name}",
            score=value,
            stderr=stderr,
            n=n,
            lower_is_better=lower_is_better(name),
            source=str(path),
        )
        for name, value in metrics.items()
        if name not in SPREADS and not math.isnan(value)
    ]


def _header(path: Path) -> dict[str, Any]:
    """The header of an .eval archive, which has everything but the samples."""
    try:
        with zipfile.ZipFile(path) as archive:
            if HEADER not in archive.namelist():
                raise ProxyError(f"{path}: the log has no {HEADER} yet; finish the run first")
            if archive.getinfo(HEADER).file_size > LARGEST_FILE:
                raise ProxyError(f"{path}: its {HEADER} is larger than {LARGEST_FILE >> 20} MiB")
            return json_object(path, archive.read(HEADER).decode("utf-8"))
    except NotImplementedError:
        raise ProxyError(
            f"{path}: compressed in a way that this Python cannot read (zstd); convert it with `inspect log convert`"
        ) from None
    except (zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise ProxyError(f"{path}: a broken archive ({error})") from None


INSPECT = Format("inspect", "Inspect", _recognises, _read)
