"""The score of one answer to one instance, as files of samples have it, and the means of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from proxy.scores.formats.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one instance scored.

    Several samples of one instance are several draws.

    Parameters
    ----------
    model : str
        The model's name, as in `Record`; empty where the file does not say.
    task : str
        The task's name, as in `Record`.
    instance : str
        The instance's name in its task.
    metric : str
        The metric's name, with its filter, as in `Record`.
    score : float
        The score; that of several draws is their mean.
    draws : int, optional
        How many draws it is the mean of.
    model_parts, task_parts : mapping of str to str, optional
        As in `Record`.
    source : str
        The file.
    """

    model: str
    task: str
    instance: str
    metric: str
    score: float
    draws: int = 1
    model_parts: Mapping[str, str] = field(default_factory=dict)
    task_parts: Mapping[str, str] = field(default_factory=dict)
    source: str

    @property
    def passes(self) -> int | None:
        """How many of its draws passed; None where its score is not a share of passes."""
        passes = round(self.score * self.draws)
        whole = 0 <= passes <= self.draws and abs(self.score * self.draws - passes) < 1e-6 * self.draws
        return passes if whole else None


def mean_records(samples: Sequence[Sample]) -> list[Record]:
    """Average samples, every instance once, as the programs that wrote them do.

    Parameters
    ----------
    samples : sequence of Sample
        Of any models, tasks and metrics.

    Returns
    -------
    list of Record
        A record for each model, task and metric, in the order of the samples, with the number of instances and the
        standard error over them.
    """
    groups: dict[tuple[str, str, str], dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        groups[sample.model, sample.task, sample.metric][sample.instance].append(sample)
    records = []
    for (model, task, metric), instances in groups.items():
        scores = [_mean(of_one) for of_one in instances.values()]
        n = len(scores)
        mean = math.fsum(scores) / n
        spread = math.fsum((score - mean) ** 2 for score in scores)
        first = next(iter(instances.values()))[0]
        records.append(
            Record(
                model=model,
                task=task,
                metric=metric,
                score=mean,
                stderr=math.sqrt(spread / (n - 1) / n) if n > 1 else math.nan,
                n=n,
                model_parts=first.model_parts,
                task_parts=first.task_parts,
                source=first.source,
            )
        )
    return records


def _mean(samples: Sequence[Sample]) -> float:
    """The mean score of one instance over its draws."""
    return math.fsum(one.score * one.draws for one in samples) / sum(one.draws for one in samples)
