"""Details of lighteval: details/MODEL/TIME/details_TASK_TIME.parquet, a row for each document.

The scores of a row are in the column "metrics" up to version 0.7, "__metric__" up to 0.12 and "metric" since; a row
that Parquet could not hold has them as the text of a Python dict.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from proxy._files import shown_path
from proxy.errors import ProxyError
from proxy.scores.formats.document import Document, Format, Reading
from proxy.scores.formats.lm_eval import shots_part
from proxy.scores.formats.record import mapping_in, number_in
from proxy.scores.formats.sample import Sample, mean_records

METRICS, DOCUMENTS = ("metric", "__metric__", "metrics"), ("doc", "__doc__")
NAME = re.compile(r"details_(?P<task>.+)_(?P<time>\d{4}-\d{2}-\d{2}T[\d.:-]+)\.parquet")


def _recognises(document: Document) -> bool:
    return document.kind == "parquet"


def _read(document: Document) -> Reading:
    reading = _samples(document)
    return Reading(mean_records(reading.samples), reading.notes)


def _samples(document: Document) -> Reading:
    rows = _rows(document)
    model = _model(document.path)
    name = NAME.fullmatch(document.path.name)
    samples = []
    for place, (metrics, about) in enumerate(rows):
        key = name["task"] if name else str(about.get("task_name") or document.path.stem)
        task, shots = task_of(key)
        for metric, value in metrics.items():
            score = float(value) if isinstance(value, bool) else number_in(value)
            if score == score:
                samples.append(
                    Sample(
                        model=model,
                        task=task,
                        # lighteval numbers the documents of a task by their places.
                        instance=str(about.get("id") or place),
                        metric=metric,
                        score=score,
                        task_parts=shots_part(shots),
                        source=str(document.path),
                    )
                )
    return Reading([], [], samples)


def task_of(key: str) -> tuple[str, str]:
    """Split the name that lighteval gives a task.

    Parameters
    ----------
    key : str
        "suite|task|shots" in older files, "task|shots" in newer ones.

    Returns
    -------
    task : str
        The task's name.
    shots : str
        Its number of examples; empty where the name has none.

    Examples
    --------
    >>> task_of("leaderboard|arc:challenge|25"), task_of("gsm8k|5"), task_of("gsm8k")
    (('arc:challenge', '25'), ('gsm8k', '5'), ('gsm8k', ''))
    """
    parts = key.split("|")
    task = parts[1] if len(parts) >= 3 else parts[0]
    shots = next((part for part in reversed(parts[1:]) if part.isdigit() and part != task), "")
    return task, shots


def _rows(document: Document) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """The scores of each row, and what it says of its document."""
    name = shown_path(document.path)
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise ProxyError(
            f"{name}: a Parquet file, which needs pyarrow; pip install 'firstlight[parquet]'"
        ) from None
    try:
        with parquet.ParquetFile(document.opened()) as file:
            present = set(file.schema_arrow.names)
            column = next((one for one in METRICS if one in present), None)
            if column is None:
                raise ProxyError(f"{name}: no details of lighteval: none of the columns {', '.join(METRICS)}")
            about = next((one for one in DOCUMENTS if one in present), None)
            table = file.read(columns=[column, *([about] if about else [])])
    except (OSError, pyarrow.ArrowException) as error:
        raise ProxyError(f"{name}: a broken Parquet file ({' '.join(str(error).split())})") from None
    documents = table.column(about).to_pylist() if about else [None] * table.num_rows
    return [
        (_mapping(one), _mapping(other))
        for one, other in zip(table.column(column).to_pylist(), documents, strict=True)
    ]


def _mapping(value: Any) -> Mapping[str, Any]:
    """An object, also where it is the text of a Python dict."""
    if isinstance(value, str):
        try:
            value = ast.literal_eval(re.sub(r"np\.float\d+\(([^()]*)\)", r"\1", value))
        except (ValueError, SyntaxError, RecursionError):
            return {}
    return mapping_in(value)


def _model(path: Path) -> str:
    """The folders between "details" and the time; empty elsewhere."""
    folders = path.absolute().parent.parts
    if "details" not in folders:
        return ""
    below = folders[len(folders) - folders[::-1].index("details") :]
    return "/".join(below[:-1] if len(below) > 1 else below)


def _repeats(files: Sequence[Path]) -> set[Path]:
    """Details beside the folder of results, which have their means."""
    outputs = {
        path.parents[i + 1]
        for path in files
        for i in range(len(path.parents) - 1)
        if path.parents[i].name == "results"
    }
    return {
        path
        for path in files
        if path.suffix == ".parquet"
        and any(one.name == "details" and one.parent in outputs for one in path.parents)
    }


LIGHTEVAL_DETAILS = Format(
    "lighteval-details",
    "lighteval",
    _recognises,
    _read,
    frozenset({"parquet"}),
    _samples,
    _repeats,
)
