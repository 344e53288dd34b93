"""Names of what a file tells apart: short where nothing else has the name, longer where two would share it.

An identity is a name with all its parts, such as ``gsm8k | shots=5-shot | version=v3``. The mapping of identities to
names can be kept in a file, edited, and given to the next import.
"""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from proxy._text import counted
from proxy.errors import ProxyError
from proxy.scores.formats.record import Record

COLUMNS = ["kind", "identity", "name"]
#: How an identity shows a part that is known to be nothing special, where a name shows nothing.
DEFAULT = "default"
_BETWEEN = " | "


@dataclass(frozen=True, slots=True)
class Names:
    """Identities of models and tasks, and the names that they go by.

    Parameters
    ----------
    models : mapping of str to str, optional
        A model's identity -> its name in a table.
    tasks : mapping of str to str, optional
        A task's identity -> its name in a table.
    """

    models: Mapping[str, str] = field(default_factory=dict)
    tasks: Mapping[str, str] = field(default_factory=dict)


def read_names(path: str | os.PathLike[str]) -> Names:
    """Read names from a CSV with the columns kind, identity and name.

    Parameters
    ----------
    path : path-like
        The file, as `write_names` writes it.

    Returns
    -------
    Names
        With the names as they were edited. One name may stand for several identities: they are one then.

    Raises
    ------
    ProxyError
        For a file that cannot be read or is of another form, and for an identity with two names; it names the line.
    """
    file_name = os.fspath(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file)]
    except OSError as error:
        raise ProxyError(f"{file_name}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error):
        raise ProxyError(f"{file_name}: not a CSV in UTF-8; give a file that an import wrote") from None
    if not rows or rows[0] != COLUMNS:
        raise ProxyError(f"{file_name}, line 1: expected the columns {','.join(COLUMNS)}")
    known: dict[str, dict[str, str]] = {"model": {}, "task": {}}
    for line, row in enumerate(rows[1:], start=2):
        if not any(row):
            continue
        if len(row) != 3 or row[0] not in known or not row[1] or not row[2]:
            raise ProxyError(f"{file_name}, line {line}: expected model or task, an identity and a name")
        kind, identity, name = row
        other = known[kind].setdefault(identity, name)
        if other != name:
            raise ProxyError(
                f"{file_name}, line {line}: {identity!r} has the names {other!r} and {name!r}; keep one"
            )
    return Names(known["model"], known["task"])


def write_names(path: str | os.PathLike[str], names: Names) -> None:
    """Write names for a person to edit and for the next import to read; an existing file is replaced.

    Parameters
    ----------
    path : path-like
        The file.
    names : Names
        What to write.
    """
    kinds = (("model", names.models), ("task", names.tasks))
    rows = [[kind, identity, name] for kind, known in kinds for identity, name in known.items()]
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


def named_records(records: Sequence[Record], remembered: Names) -> tuple[list[Record], Names, list[str]]:
    """Give models and tasks the names that tell them apart.

    Parameters
    ----------
    records : sequence of Record
        The scores, with names as the files have them.
    remembered : Names
        Names that were given before; they are kept.

    Returns
    -------
    records : list of Record
        The scores with their names in the table.
    names : Names
        Those remembered, then the new ones.
    notes : list of str
        What was told apart.
    """
    by_model = {_identity(one.model, one.model_parts): (one.model, one.model_parts) for one in records}
    by_task = {_identity(one.task, one.task_parts): (one.task, one.task_parts) for one in records}
    models, tasks = _names(by_model, remembered.models), _names(by_task, remembered.tasks)
    named = [
        replace(
            one,
            model=models[_identity(one.model, one.model_parts)],
            task=tasks[_identity(one.task, one.task_parts)],
        )
        for one in records
    ]
    notes = [*_notes("model", by_model, models), *_notes("task", by_task, tasks)]
    return named, Names({**remembered.models, **models}, {**remembered.tasks, **tasks}), notes


Parts = Mapping[str, str]


def _identity(name: str, parts: Parts) -> str:
    """A name with all its parts, as a text."""
    return _BETWEEN.join([name, *(f"{key}={value or DEFAULT}" for key, value in parts.items())])


def _parsed(identity: str) -> tuple[str, Parts]:
    """The name and the parts of an identity's text."""
    name, *parts = identity.split(_BETWEEN)
    pairs = (part.partition("=") for part in parts)
    return name, {key: "" if value == DEFAULT else value for key, _, value in pairs}


def _names(asked: Mapping[str, tuple[str, Parts]], remembered: Mapping[str, str]) -> dict[str, str]:
    """Identity -> name, for those asked for: the remembered one, else the shortest that no other has."""
    known = {**{identity: _parsed(identity) for identity in remembered}, **asked}
    alike: dict[str, list[Parts]] = defaultdict(list)
    for name, parts in known.values():
        alike[name].append(parts)
    telling = {name: _telling(several) for name, several in alike.items()}
    common = {name: _common(several, telling[name]) for name, several in alike.items()}
    taken: dict[str, list[tuple[str, Parts]]] = defaultdict(list)
    for identity, name in remembered.items():
        taken[name].append(known[identity])
    names = {}
    for identity, (base, parts) in asked.items():
        shown = base + "".join(
            f"@{text}" for key in telling[base] if (text := _shown(parts.get(key, ""), common[base][key]))
        )
        if any(base != other or _differ(parts, theirs) for other, theirs in taken[shown]):
            shown = identity
        names[identity] = remembered.get(identity, shown)
        taken[names[identity]].append((base, parts))
    return names


def _telling(several: Sequence[Parts]) -> list[str]:
    """As few of the parts as tell all of those with one name apart that differ, the first before the last."""
    keys = dict.fromkeys(key for parts in several for key in parts)
    told: list[str] = []
    pairs = [pair for pair in combinations(several, 2) if _differ(*pair)]
    for key in keys:
        left = [pair for pair in pairs if not _differ(*pair, keys=(key,))]
        if len(left) < len(pairs):
            told.append(key)
        pairs = left
    return told


def _differ(one: Parts, other: Parts, keys: Iterable[str] | None = None) -> bool:
    """Whether both have a part, and not the same."""
    return any(
        key in one and key in other and one[key] != other[key] for key in (one if keys is None else keys)
    )


def _common(several: Sequence[Parts], keys: Sequence[str]) -> dict[str, set[str]]:
    """Part -> those of its pieces that all have."""
    return {
        key: set.intersection(*(set(parts[key].split(";")) for parts in several if key in parts))
        for key in keys
    }


def _shown(value: str, common: set[str]) -> str:
    """The pieces of a part that not all have."""
    return ";".join(piece for piece in value.split(";") if piece not in common)


def _notes(kind: str, asked: Mapping[str, tuple[str, Parts]], names: Mapping[str, str]) -> list[str]:
    """One note for all names of which the same was told apart."""
    variants: dict[str, dict[str, None]] = defaultdict(dict)
    for identity, (base, _) in asked.items():
        variants[base][names[identity]] = None
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for base, several in variants.items():
        if len(several) > 1:
            alike[tuple(sorted(name.removeprefix(base) for name in several))].append(base)
    notes = []
    for bases in alike.values():
        base, more = bases[0], len(bases) - 1
        others = f" (and {more} more {kind}s likewise)" if more else ""
        notes.append(
            f"{base} is {counted(len(variants[base]), f'different {kind}')} here: "
            f"{', '.join(variants[base])}{others}"
        )
    return notes
