"""The scores of single samples in logs of Inspect, an epoch a draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from proxy.scores.formats.record import mapping_in, number_in
from proxy.scores.formats.sample import Sample

#: Grades as numbers: correct, partly correct, incorrect, no answer; Inspect's own reading of them.
GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}


def samples_of(rows: Sequence[Any], **names: Any) -> tuple[list[Sample], int]:
    """Read the samples of a log.

    Parameters
    ----------
    rows : sequence of mapping
        The log's samples, or its summaries of them.
    **names : object
        The model, the task, their parts and the source: fields of `Sample`.

    Returns
    -------
    samples : list of Sample
        One for each sample, epoch and scorer that has a value.
    unscored : int
        How many samples have none: those that failed, or were not reached.
    """
    samples: list[Sample] = []
    unscored = 0
    for row in map(mapping_in, rows):
        scores = list(_scores(row))
        unscored += not scores
        samples += [
            Sample(instance=str(row.get("id")), metric=metric, score=score, **names)
            for metric, score in scores
        ]
    return samples, unscored


def _scores(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Scorer and value of each score; a value of several parts goes by "scorer/part"."""
    for scorer, score in mapping_in(row.get("scores")).items():
        value = score.get("value") if isinstance(score, Mapping) else score
        parts = (
            {f"{scorer}/{part}": one for part, one in value.items()}
            if isinstance(value, Mapping)
            else {scorer: value}
        )
        for metric, one in parts.items():
            number = _number(one)
            if number == number:
                yield metric, number


def _number(value: Any) -> float:
    if isinstance(value, bool):
        return float(value)
    return GRADES[value] if isinstance(value, str) and value in GRADES else number_in(value)
