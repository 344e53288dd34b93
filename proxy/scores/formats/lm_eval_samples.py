"""Samples of lm-evaluation-harness: samples_TASK_TIME.jsonl, a line for each document and filter.

The shape is that of versions 0.4.3 to 0.4.9 (`EvaluationTracker.save_results_samples`); before 0.4.5 a line has no
"filter" and no "metrics", and before 0.4.3 the lines are one JSON list.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxy.scores.formats.document import Document, Format, Reading, open_document
from proxy.scores.formats.lm_eval import LM_EVAL
from proxy.scores.formats.record import mapping_in, number_in
from proxy.scores.formats.sample import Sample, mean_records

#: What a line has beside its metrics.
OTHERS = frozenset({
    "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", "doc_hash", "prompt_hash",
    "target_hash", "idx", "repeat", "system_instruction_sha",
})  # fmt: skip
NAME = re.compile(r"samples_(?P<task>.+?)(?:_(?P<time>\d{4}-\d{2}-\d{2}T[\d.:-]+))?\.jsonl(?:\.gz)?")
#: Shares of passes among all answers to a document; other metrics judge the one answer that a filter leaves.
SHARES = re.compile(r"pass(?:@|_at_)1\b", re.IGNORECASE)


def _recognises(document: Document) -> bool:
    content = document.content
    scores = (content[key] for key in content if key not in OTHERS)
    return "doc_id" in content and ("resps" in content or any(_number(one) == _number(one) for one in scores))


def _read(document: Document) -> Reading:
    reading = _samples(document)
    return Reading(mean_records(reading.samples), reading.notes)


def _samples(document: Document) -> Reading:
    run = _run(document.path)
    samples, greedy, rows = [], 0, 0
    for row in document.rows():
        rows += 1
        greedy += not _is_drawn(row)
        of_filter = row.get("filter", "none")
        for metric in row.get("metrics") or [key for key in row if key not in OTHERS]:
            for score, draws in _scores(metric, row.get(metric), _answers(row)):
                samples.append(
                    Sample(
                        model=run.model,
                        task=run.task,
                        instance=str(row.get("doc_id")),
                        metric=metric if of_filter in ("none", "") else f"{metric},{of_filter}",
                        score=score,
                        draws=draws,
                        model_parts=run.model_parts,
                        task_parts=run.task_parts,
                        source=str(document.path),
                    )
                )
    notes = []
    if greedy and samples:
        notes.append(
            f"{document.path.name}: {greedy} of {rows} lines are greedy or multiple choice: they say what the model "
            "answers first, not how often it does"
        )
    return Reading([], notes, samples, {run.model: run.n_params} if run.n_params == run.n_params else {})


def _scores(metric: str, value: Any, answers: int) -> list[tuple[float, int]]:
    """Score and draws of a metric: of each answer where the line has them singly, else of one, or of all together."""
    if isinstance(value, list):
        singles = [_number(one) for one in value]
        # Other lists are what a metric of the whole task is computed from.
        return [(one, 1) for one in singles] if len(singles) == answers and _finite(singles) else []
    score = _number(value)
    if score != score:
        return []
    return [(score, answers if SHARES.match(metric) else 1)]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, bool) else number_in(value)


def _finite(values: list[float]) -> bool:
    return bool(values) and all(value == value for value in values)


def _answers(row: Mapping[str, Any]) -> int:
    """How many answers were drawn to the document: resps has one list of them for each request."""
    requests = row.get("resps")
    if not isinstance(requests, list) or len(requests) != 1 or not isinstance(requests[0], list):
        return 1
    return max(len(requests[0]), 1)


def _is_drawn(row: Mapping[str, Any]) -> bool:
    """Whether the answers were drawn at a temperature; false for likelihoods."""
    arguments = row.get("arguments")
    requests = list(arguments.values()) if isinstance(arguments, dict) else arguments or []
    for request in requests if isinstance(requests, list) else []:
        parts = list(request.values()) if isinstance(request, dict) else request
        settings = parts[1] if isinstance(parts, list) and len(parts) > 1 else None
        if isinstance(settings, Mapping):
            warm = number_in(settings.get("temperature", 1.0 if settings.get("do_sample") else 0.0))
            return bool(settings.get("do_sample", warm > 0)) and warm > 0
    return False


@dataclass(frozen=True)
class _Run:
    """What the samples are of: the model is empty and its size NaN where nothing says them."""

    model: str
    task: str
    model_parts: Mapping[str, str] = field(default_factory=dict)
    task_parts: Mapping[str, str] = field(default_factory=dict)
    n_params: float = math.nan


def _run(path: Path) -> _Run:
    """What the results of the same run say; else the names of the file and of its folder."""
    name = NAME.fullmatch(path.name)
    task = name["task"] if name else path.name.partition(".")[0]
    for end in (".json", ".json.gz"):
        beside = path.with_name(f"results_{name['time']}{end}") if name and name["time"] else path
        if beside == path or not beside.is_file():
            continue
        document = open_document(beside)
        records = LM_EVAL.read(document).records if LM_EVAL.recognises(document) else []
        size = number_in(mapping_in(document.content.get("config")).get("model_num_parameters"))
        if records:
            of_task = next((one for one in records if one.task == task), None)
            parts = of_task.task_parts if of_task else {}
            return _Run(records[0].model, task, records[0].model_parts, parts, size if size > 0 else math.nan)
    folder = path.absolute().parent.name
    return _Run(folder.replace("__", "/") if "__" in folder else "", task)


def _repeats(files: Sequence[Path]) -> set[Path]:
    """Samples beside the results of the same run, which have their means."""
    folders = {path.parent for path in files if path.name.startswith("results") and ".json" in path.suffixes}
    return {path for path in files if path.parent in folders and NAME.fullmatch(path.name)}


LM_EVAL_SAMPLES = Format(
    "lm-eval-samples",
    "lm-evaluation-harness",
    _recognises,
    _read,
    frozenset({"json", "lines", "list"}),
    _samples,
    _repeats,
)
