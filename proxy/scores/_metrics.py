"""Which of several metrics of a task speaks for it, and which models have another one only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from proxy._text import counted
from proxy.scores.formats.record import Record

#: Which of several metrics of a task speaks for it, if the caller does not say; then the first in the file.
PREFERRED = (
    "acc_norm", "acc", "accuracy", "exact_match", "em", "pass@1", "f1", "mean", "naive_average", "score",
)  # fmt: skip
#: So many models are named in a note.
NAMED = 5


def speaking(
    records: Sequence[Record], wanted: str | None
) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Task -> the metric that speaks for it, and task -> its other metrics, where it has any."""
    metrics: dict[str, dict[str, bool]] = defaultdict(dict)
    for record in records:
        known = metrics[record.task]
        known[record.metric] = record.is_primary or known.get(record.metric, False)
    # min keeps the first of equals, which is the first in the file.
    chosen = {
        task: min(names, key=lambda name: _rank(name, wanted, is_primary=names[name]))
        for task, names in metrics.items()
    }
    others = {
        task: tuple(sorted(name for name in names if name != chosen[task]))
        for task, names in metrics.items()
        if len(names) > 1
    }
    return chosen, others


def _rank(name: str, wanted: str | None, *, is_primary: bool) -> tuple[int, bool]:
    """A metric's place: the wanted one, the file's primary one, the preferred ones; each without a filter first."""
    last = name.rsplit("/", 1)[-1].lower()
    plain = last.split(",", 1)[0]
    if wanted is not None and wanted.lower() in (name.lower(), last, plain):
        return (-2, False)
    if is_primary:
        return (-1, False)
    place = PREFERRED.index(plain) if plain in PREFERRED else len(PREFERRED)
    return (place, "," in last)


def notes_on_metrics(
    records: Sequence[Record], chosen: Mapping[str, str], others: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """One note for all tasks that have the same metrics, and one for all that lose the same models."""
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for task, left_out in others.items():
        alike[chosen[task], left_out].append(task)
    notes = [
        f"{_listed(tasks)}: {kept} was taken, not {', '.join(left_out)}"
        for (kept, left_out), tasks in alike.items()
    ]
    lost: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for task, models in _without(records, chosen, others).items():
        lost[chosen[task], models].append(task)
    known = {record.model for record in records if record.metric == chosen[record.task]}
    for (metric, models), tasks in lost.items():
        names = ", ".join(models[:NAMED]) + (
            f" and {len(models) - NAMED} more" if len(models) > NAMED else ""
        )
        have = "has" if len(models) == 1 else "have"
        gone = [model for model in models if model not in known]
        loss = f", and {counted(len(gone), 'model is', 'models are')} not in the table at all" if gone else ""
        notes.append(
            f"{_listed(tasks)}: {names} {have} no {metric} and so no score{loss}; choose by --metric, or keep all by "
            "--all-metrics"
        )
    return notes


def _without(
    records: Sequence[Record], chosen: Mapping[str, str], others: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Task -> the models that have scores on it, but none of the metric that speaks for it."""
    all_models: dict[str, dict[str, None]] = defaultdict(dict)
    scored: dict[str, set[str]] = defaultdict(set)
    for record in records:
        if record.task in others:
            all_models[record.task][record.model] = None
            if record.metric == chosen[record.task]:
                scored[record.task].add(record.model)
    missing = {
        task: tuple(model for model in models if model not in scored[task])
        for task, models in all_models.items()
    }
    return {task: models for task, models in missing.items() if models}


def _listed(tasks: Sequence[str]) -> str:
    """A task, or how many and one of them."""
    return tasks[0] if len(tasks) == 1 else f"{len(tasks)} tasks ({tasks[0]}, ...)"
