"""Results of one model on one data set in a work folder of OpenCompass: results/MODEL/DATASET.json.

The shape is that of versions 0.2 to 0.5: the scores of the evaluator, in percent, and "details" of each instance, whose
"correct" says whether the answer passed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.scores.formats.document import Document, Format, Reading
from proxy.scores.formats.record import Record, mapping_in, number_in
from proxy.scores.formats.sample import Sample

#: What OpenCompass itself takes for no score (`METRIC_BLACKLIST`).
OTHERS = frozenset({"bp", "sys_len", "ref_len", "type", "details"})


def _recognises(document: Document) -> bool:
    if document.path.absolute().parent.parent.name != "results":
        return False
    return any(_scores(document.content)) and not any(
        isinstance(value, Mapping) for key, value in document.content.items() if key not in OTHERS
    )


def _scores(content: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for metric, value in content.items():
        score = number_in(value) if isinstance(value, int | float) else float("nan")
        if metric not in OTHERS and score == score:
            yield metric, score


def _read(document: Document) -> Reading:
    model, task = _names(document)
    n = float(len(_details(document.content))) or float("nan")
    return Reading(
        [
            Record(model=model, task=task, metric=metric, score=score, n=n, source=str(document.path))
            for metric, score in _scores(document.content)
        ]
    )


def _samples(document: Document) -> Reading:
    model, task = _names(document)
    samples = [
        Sample(
            model=model,
            task=task,
            instance=instance,
            metric="correct",
            score=float(correct),
            source=str(document.path),
        )
        for instance, details in _details(document.content).items()
        for correct in _verdicts(details.get("correct", details.get("is_correct")))
    ]
    return Reading([], [], samples)


def _verdicts(value: Any) -> list[bool]:
    """The verdict on an answer, or on each of several."""
    verdicts = value if isinstance(value, list) else [value]
    return [bool(one) for one in verdicts] if all(isinstance(one, bool) for one in verdicts) else []


def _details(content: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What is said of each instance, by its number."""
    details = content.get("details")
    named = dict(enumerate(details)) if isinstance(details, list) else mapping_in(details)
    return {str(name): one for name, one in named.items() if isinstance(one, Mapping)}


def _names(document: Document) -> tuple[str, str]:
    path = document.path.absolute()
    return path.parent.name, path.name.partition(".json")[0]


OPENCOMPASS_RESULTS = Format(
    "opencompass-results", "OpenCompass", _recognises, _read, frozenset({"json"}), _samples
)
