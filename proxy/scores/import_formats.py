"""Readers of other programs' result files: each turns one document into records.

lm-evaluation-harness (before and since 0.4), lighteval, Inspect (.json and .eval), Every Eval Ever, OpenCompass
(summary tables as .csv or .txt). What a file does not say stays unknown: nothing is guessed but the number of items
behind an accuracy, which its standard error determines.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.errors import ProxyError

#: Metrics of which lower is better, by parts of their names.
LOWER = re.compile(
    r"(^|_|\b)(ppl|perplexity|bits_per_byte|bpb|loss|nll|brier|ece|wer|ter)($|_|\b)", re.IGNORECASE
)
LARGEST_FILE = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Record:
    """One score as a file has it; NaN is unknown. source: file, and what in it."""

    model: str
    task: str
    metric: str
    score: float
    stderr: float
    n: float
    lower_is_better: bool
    source: str


def read_document(path: Path, form: str = "auto") -> tuple[str, list[Record], list[str]]:
    """(format, records, notes) of one file. Raises ProxyError naming the file."""
    if path.stat().st_size > LARGEST_FILE:
        raise ProxyError(f"{path}: larger than {LARGEST_FILE >> 20} MiB; give the summary, not the samples")
    if zipfile.is_zipfile(path):
        _expect(path, form, "inspect")
        return "inspect", *_inspect(path, _zipped_header(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ProxyError(f"{path}: neither UTF-8 text nor an .eval archive") from None
    if text.lstrip()[:1] in "{[" and text.strip():
        document = _json(path, text)
        found = next((name for name, test in _TESTS.items() if test(document)), None)
        if found is None:
            raise ProxyError(f"{path}: JSON of no known form ({', '.join(_TESTS)}); give a CSV instead")
        _expect(path, form, found)
        return found, *_READERS[found](path, document)
    if form in ("auto", "opencompass") and (rows := list(_opencompass_rows(text))):
        return "opencompass", *_opencompass(path, rows)
    _expect(path, form, "csv")
    return "csv", [], []


def _expect(path: Path, form: str, found: str) -> None:
    if form not in ("auto", found):
        raise ProxyError(f"{path}: looks like {found}, not {form}; use --format {found}, or auto")


def _json(path: Path, text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ProxyError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from None
    if not isinstance(document, dict):
        raise ProxyError(f"{path}: a JSON list; expected the object of one result file")
    return document


def _lm_eval(path: Path, document: dict[str, Any]) -> tuple[list[Record], list[str]]:
    config = document.get("config") or {}
    model = _lm_eval_model(path, config, document)
    counts = document.get("n-samples") or {}
    records = []
    for task, metrics in document["results"].items():
        items = counts.get(task) or {}
        n = _number(items.get("effective", items.get("original"))) if isinstance(items, Mapping) else math.nan
        records += _paired(path, model, task, metrics, n)
    return records, []


def _lm_eval_model(path: Path, config: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    arguments = config.get("model_args") or {}
    if isinstance(arguments, str):
        arguments = dict(part.split("=", 1) for part in arguments.split(",") if "=" in part)
    name = (
        arguments.get("pretrained")
        or arguments.get("model")
        or document.get("model_name")
        or config.get("model")
    )
    if not name:
        raise ProxyError(f"{path}: says no model name (config.model_args has no pretrained=)")
    revision = arguments.get("revision")
    return f"{name}@{revision}" if revision and revision != "main" else str(name)


def _lighteval(path: Path, document: dict[str, Any]) -> tuple[list[Record], list[str]]:
    general = document["config_general"]
    model = general.get("model_name") or (general.get("model_config") or {}).get("model_name")
    if not model:
        raise ProxyError(f"{path}: config_general says no model_name")
    records = []
    for key, metrics in document["results"].items():
        if key == "all" or "_average" in key:
            continue
        # suite|task|shots in older files, task|shots in newer ones.
        parts = key.split("|")
        task = parts[1] if len(parts) >= 3 else parts[0]
        records += _paired(path, str(model), task, metrics, math.nan)
    return records, []


def _paired(path: Path, model: str, task: str, metrics: Mapping[str, Any], n: float) -> list[Record]:
    """Records of a mapping of `metric`, `metric_stderr` (or `metric,filter`, `metric_stderr,filter`)."""
    records = []
    for key, value in metrics.items():
        name, _, filtered = key.partition(",")
        if (
            name.endswith("_stderr")
            or name in ("alias", "name", "sample_len")
            or isinstance(value, str | bool)
        ):
            continue
        score = _number(value)
        if math.isnan(score):
            continue
        stderr = _number(metrics.get(f"{name}_stderr" + (f",{filtered}" if filtered else "")))
        metric = name if filtered in ("", "none") else f"{name},{filtered}"
        items = n if not math.isnan(n) else items_behind(name, score, stderr)
        records.append(Record(model, task, metric, score, stderr, items, bool(LOWER.search(name)), str(path)))
    return records


def items_behind(metric: str, score: float, stderr: float) -> float:
    """How many items an accuracy is the mean of, from its standard error; NaN where that is no whole number.

    The harness prints sqrt(p (1 - p) / (n - 1)).

    >>> items_behind("acc", 0.2621359223300971, 0.043546310772605956)
    103.0
    """
    if not metric.startswith(("acc", "exact_match", "em")) or not 0 < score < 1 or not stderr > 0:
        return math.nan
    n = score * (1 - score) / stderr**2 + 1
    right = score * round(n)
    whole = abs(n - round(n)) < 1e-3 * max(1.0, n / 1000) and abs(right - round(right)) < 1e-3
    return float(round(n)) if whole else math.nan


def _inspect(path: Path, document: dict[str, Any]) -> tuple[list[Record], list[str]]:
    about = document["eval"]
    results = document.get("results") or {}
    status = document.get("status", "success")
    if not results.get("scores"):
        raise ProxyError(f"{path}: the run has no scores (status {status}); finish it first")
    notes = []
    if status != "success":
        done, total = results.get("completed_samples"), (about.get("dataset") or {}).get("samples")
        notes.append(f"{path.name}: status {status}, scores of {done} of {total} samples")
    records = []
    for scorer in results["scores"]:
        n = _number(scorer.get("scored_samples", results.get("completed_samples")))
        metrics = {name: _number(one.get("value")) for name, one in (scorer.get("metrics") or {}).items()}
        for name, value in metrics.items():
            if name in ("stderr", "std", "var", "bootstrap_stderr") or math.isnan(value):
                continue
            error = metrics.get("stderr", math.nan)
            # One sample has a printed standard error of 0, which is no knowledge.
            error = math.nan if n < 2 else error
            metric = f"{scorer.get('name', 'score')}/{name}"
            records.append(
                Record(
                    about["model"],
                    about["task"],
                    metric,
                    value,
                    error,
                    n,
                    bool(LOWER.search(name)),
                    str(path),
                )
            )
    return records, notes


def _zipped_header(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            if "header.json" not in archive.namelist():
                raise ProxyError(f"{path}: the log has no header.json yet; the run did not finish")
            if archive.getinfo("header.json").file_size > LARGEST_FILE:
                raise ProxyError(f"{path}: its header.json is larger than {LARGEST_FILE >> 20} MiB")
            return _json(path, archive.read("header.json").decode("utf-8"))
    except NotImplementedError:
        raise ProxyError(
            f"{path}: compressed in a way that this Python cannot read (zstd); write it again with inspect log convert"
        ) from None
    except (zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise ProxyError(f"{path}: a broken archive ({error})") from None


def _eee(path: Path, document: dict[str, Any]) -> tuple[list[Record], list[str]]:
    about = document["model_info"]
    model = about.get("id") or about.get("name")
    if not model:
        raise ProxyError(f"{path}: model_info has neither id nor name")
    records = []
    for result in document["evaluation_results"]:
        config = result.get("metric_config") or {}
        details = result.get("score_details") or {}
        uncertainty = details.get("uncertainty") or {}
        error = uncertainty.get("standard_error")
        error = error.get("value") if isinstance(error, Mapping) else error
        n = _number(uncertainty.get("num_samples"))
        metric = config.get("metric_name") or config.get("evaluation_description") or "score"
        records.append(
            Record(
                str(model), str(result["evaluation_name"]), str(metric), _number(details.get("score")),
                _number(error), n, bool(config.get("lower_is_better")), str(path),
            )
        )  # fmt: skip
    return [record for record in records if not math.isnan(record.score)], []


def _opencompass_rows(text: str) -> Iterator[list[str]]:
    """Rows of the first table with OpenCompass' columns, comma-separated or aligned; nothing if there is none."""
    lines = text.splitlines()
    for start, line in enumerate(lines):
        for split in (_commas, _columns):
            header = split(line)
            if [cell.lower() for cell in header[:4]] == ["dataset", "version", "metric", "mode"]:
                yield header
                for later in lines[start + 1 :]:
                    cells = split(later)
                    if len(cells) < 4 or later.startswith("$"):
                        return
                    if set(cells[0]) != {"-"}:
                        yield cells
                return


def _commas(line: str) -> list[str]:
    return next(csv.reader(io.StringIO(line)), []) if "," in line else []


def _columns(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def _opencompass(path: Path, rows: list[list[str]]) -> tuple[list[Record], list[str]]:
    header, *body = rows
    records = []
    for cells in body:
        dataset, _, metric = (cell.strip() for cell in cells[:3])
        for model, cell in zip(header[4:], cells[4:], strict=False):
            score = _number(cell.strip())
            if model.strip() == "..." or math.isnan(score):
                continue
            records.append(
                Record(
                    model.strip(),
                    dataset,
                    metric,
                    score,
                    math.nan,
                    math.nan,
                    bool(LOWER.search(metric)),
                    str(path),
                )
            )
    return records, []


def _number(value: Any) -> float:
    try:
        number = math.nan if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan


_TESTS = {
    "eee": lambda d: "evaluation_results" in d and "model_info" in d,
    "inspect": lambda d: isinstance(d.get("eval"), dict) and "model" in d["eval"] and "task" in d["eval"],
    "lighteval": lambda d: isinstance(d.get("config_general"), dict) and _nested(d.get("results")),
    "lm-eval": lambda d: _nested(d.get("results")) and ("config" in d or "configs" in d or "versions" in d),
}
_READERS = {"eee": _eee, "inspect": _inspect, "lighteval": _lighteval, "lm-eval": _lm_eval}


def _nested(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(one, dict) for one in value.values())
