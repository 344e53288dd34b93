"""Samples of Every Eval Ever: lines of its instance-level schema, versions 0.2.0 to 0.2.2."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from proxy._text import counted
from proxy.scores.formats.document import Document, Format, Reading
from proxy.scores.formats.record import mapping_in, number_in
from proxy.scores.formats.sample import Sample, mean_records


def _recognises(document: Document) -> bool:
    return {"sample_id", "evaluation_name", "model_id", "evaluation"} <= set(document.content)


def _read(document: Document) -> Reading:
    reading = _samples(document)
    return Reading(mean_records(reading.samples), reading.notes)


def _samples(document: Document) -> Reading:
    samples = []
    unscored = 0
    for row in document.rows():
        scores = mapping_in(row.get("evaluation"))
        correct, score = scores.get("is_correct"), number_in(scores.get("score"))
        if isinstance(correct, bool) and score != score:
            score = float(correct)
        if score != score:
            unscored += 1
            continue
        found = {"score": score} | ({"is_correct": float(correct)} if isinstance(correct, bool) else {})
        samples += [
            Sample(
                model=str(row.get("model_id") or ""),
                task=str(row.get("evaluation_name")),
                instance=str(row.get("sample_id")),
                metric=metric,
                score=value,
                source=str(document.path),
            )
            for metric, value in found.items()
        ]
    notes = (
        [f"{document.path.name}: {counted(unscored, 'line has', 'lines have')} no score"] if unscored else []
    )
    return Reading([], notes, samples)


def _repeats(files: Sequence[Path]) -> set[Path]:
    """Samples beside the file of their results: ID_samples.jsonl beside ID.json."""
    present = set(files)
    return {
        path
        for path in files
        if path.name.endswith("_samples.jsonl")
        and path.with_name(path.name.removesuffix("_samples.jsonl") + ".json") in present
    }


EVERY_EVAL_EVER_SAMPLES = Format(
    "eee-samples",
    "Every Eval Ever",
    _recognises,
    _read,
    frozenset({"json", "lines"}),
    _samples,
    _repeats,
)
