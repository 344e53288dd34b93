"""Passes: how many answers to each instance passed, from other programs' files of samples."""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy._files import comes_once, open_bytes, shown_path
from proxy.errors import ProxyError
from proxy.scores._metrics import speaking
from proxy.scores.formats import Record
from proxy.scores.formats.detect import given, read_as, recognised
from proxy.scores.formats.document import Reading
from proxy.scores.formats.folders import files_in
from proxy.scores.formats.sample import Sample
from proxy.scores.identities import Names, named_records

#: Metrics of several answers together: a vote, the best of them, any of them.
OF_SEVERAL = re.compile(r"(maj|cons|best|pass|any)\w*(@|_at_|\^)(?!1\b)\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PassCount:
    """How many answers of one model to one instance passed.

    Parameters
    ----------
    model : str
        The model's name.
    task : str
        The task's name.
    instance : str
        The instance's name in its task.
    draws : int
        How many answers were judged.
    passes : int
        How many of them passed.
    """

    model: str
    task: str
    instance: str
    draws: int
    passes: int


@dataclass(frozen=True, slots=True)
class Passes:
    """What `count_passes` read.

    Parameters
    ----------
    counts : tuple of PassCount
        In the order of the files.
    metrics : dict of str to str
        Task -> the metric that says whether an answer passed.
    n_params : dict of str to float
        Model -> all its parameters, embeddings included, where a file says so.
    files : tuple of str
        The files that were read.
    notes : tuple of str
        What a person should know of them.
    """

    counts: tuple[PassCount, ...]
    metrics: dict[str, str]
    n_params: dict[str, float]
    files: tuple[str, ...]
    notes: tuple[str, ...]


def count_passes(
    paths: Sequence[str | os.PathLike[str]],
    *,
    metric: str | None = None,
    model: str | None = None,
    progress: Callable[[Collection[Path]], Iterable[Path]] = iter,
) -> Passes:
    """Count draws and passes of each instance in files of samples, or in folders of them.

    An answer passes where its score is 1 and fails where it is 0. Several lines of one instance are several draws: the
    repeats or epochs of a run, and its runs in several files. A metric of several answers together, such as a vote
    among them or the best of k, says nothing of a single one and is left out.

    Parameters
    ----------
    paths : sequence of path-like
        The files and folders; "-" is standard input. Files of a folder that have no samples are left out.
    metric : str, optional
        The metric that says whether an answer passed, as in `import_scores`; by default the first of the usual ones
        that knows only passes and failures.
    model : str, optional
        The model's name, for files that do not say it.
    progress : callable, optional
        Files -> the same files one by one, for a progress bar.

    Returns
    -------
    Passes
        The counts, and what was read.

    Raises
    ------
    ProxyError
        For files that cannot be read, have no samples, or say no model name where none is given, and for tasks with
        no metric of passes and failures.
    """
    files = _files(paths)
    samples: list[Sample] = []
    notes: list[str] = []
    n_params: dict[str, float] = {}
    read: dict[str, Path] = {}
    for file in progress(files):
        digest = str(file) if comes_once(file) else _digest(file)
        if digest in read:
            notes.append(f"{file}: the same file as {read[digest]}; its draws were counted once")
            continue
        reading = _read(file, is_named=files[file])
        if reading.samples:
            read[digest] = file
            nameless = any(not sample.model for sample in reading.samples)
            name = given(file, model) if nameless else ""
            samples += [_with_model(sample, name) for sample in reading.samples]
            notes += reading.notes
            n_params |= {known or name: size for known, size in reading.n_params.items()}
    if not samples:
        raise ProxyError(f"{shown_path(next(iter(files)))}: no samples in this folder; give files of samples")
    names, notes_on_names = _names(samples)
    notes += notes_on_names
    chosen, others = _metrics(samples, names, metric)
    notes += [
        f"{task}: {chosen[task]} says what passed, not {', '.join(left_out)}"
        for task, left_out in others.items()
        if task in chosen
    ]
    totals: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for sample in samples:
        named, task = names[_key(sample)]
        if sample.metric == chosen[task]:
            total = totals[named, task, sample.instance]
            total[0] += sample.draws
            total[1] += sample.passes or 0
    return Passes(
        tuple(PassCount(*place, *total) for place, total in totals.items()),
        chosen,
        {names[_key(sample)][0]: n_params[sample.model] for sample in samples if sample.model in n_params},
        tuple(map(shown_path, read.values())),
        tuple(dict.fromkeys(notes)),
    )


def _files(paths: Sequence[str | os.PathLike[str]]) -> dict[Path, bool]:
    """The files, and those inside the folders -> whether they were named themselves."""
    files: dict[Path, bool] = {}
    for path in map(Path, paths):
        if path.is_dir():
            files |= {file: files.get(file, False) for file in files_in(path)}
        else:
            files[path] = True
    if not files:
        raise ProxyError("no files were given; name at least one")
    return files


def _digest(file: Path) -> str:
    """What tells a file from others of another content."""
    with open_bytes(file) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


def _read(file: Path, *, is_named: bool) -> Reading:
    """The samples of a file; none of a file of a folder that has none."""
    try:
        document, form = recognised(file)
        if form is not None and form.samples is not None:
            reading = read_as(form, document, form.samples)
            if reading.samples or not is_named:
                return reading
    except ProxyError:
        if is_named:
            raise
        return Reading([])
    if is_named:
        raise ProxyError(
            f"{shown_path(file)}: has no scores of single instances; give the run's file of samples"
        )
    return Reading([])


def _with_model(sample: Sample, name: str) -> Sample:
    if sample.model:
        return sample
    return Sample(**{field: getattr(sample, field) for field in Sample.__slots__} | {"model": name})


_Key = tuple[str, tuple[tuple[str, str], ...], str, tuple[tuple[str, str], ...]]


def _key(sample: Sample) -> _Key:
    """What tells the model and the task of a sample."""
    return (
        sample.model,
        tuple(sample.model_parts.items()),
        sample.task,
        tuple(sample.task_parts.items()),
    )


def _names(samples: Sequence[Sample]) -> tuple[dict[_Key, tuple[str, str]], list[str]]:
    """The names of models and tasks, longer where two would share one, with notes on them."""
    firsts = {_key(sample): sample for sample in samples}
    records = [
        Record(
            model=one.model,
            task=one.task,
            metric=one.metric,
            score=one.score,
            model_parts=one.model_parts,
            task_parts=one.task_parts,
            source=one.source,
        )
        for one in firsts.values()
    ]
    named, _, notes = named_records(records, Names())
    return {key: (one.model, one.task) for key, one in zip(firsts, named, strict=True)}, notes


def _metrics(
    samples: Sequence[Sample], names: Mapping[_Key, tuple[str, str]], wanted: str | None
) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Task -> the metric that says what passed, and task -> its other metrics that could."""
    candidates: dict[tuple[str, str], Record] = {}
    refused: dict[tuple[str, str], str] = {}
    for sample in samples:
        _, task = names[_key(sample)]
        place = (task, sample.metric)
        if OF_SEVERAL.search(sample.metric):
            refused.setdefault(place, f"{sample.metric} judges several answers together")
        elif sample.passes is None:
            refused.setdefault(
                place,
                f"{sample.metric} of {sample.instance} is {sample.score:g}, neither a pass (1) nor a failure (0)",
            )
        elif place not in candidates:
            candidates[place] = Record(
                model="", task=task, metric=sample.metric, score=0.0, source=sample.source
            )
    usable = [record for place, record in candidates.items() if place not in refused]
    chosen, others = speaking(usable, wanted)
    for _, task in names.values():
        if task not in chosen:
            reason = next(why for (of_task, _), why in refused.items() if of_task == task)
            raise ProxyError(f"{task}: no metric of passes and failures: {reason}; name another task's files")
        if wanted is not None and not _is_wanted(chosen[task], wanted):
            why = next(
                (
                    why
                    for (of_task, name), why in refused.items()
                    if of_task == task and _is_wanted(name, wanted)
                ),
                "",
            )
            known = ", ".join([chosen[task], *others.get(task, ())])
            raise ProxyError(f"{task}: {why or f'no metric {wanted!r}'}; there are {known}")
    return chosen, others


def _is_wanted(name: str, wanted: str) -> bool:
    last = name.rsplit("/", 1)[-1].casefold()
    return wanted.casefold() in (name.casefold(), last, last.split(",", 1)[0])
