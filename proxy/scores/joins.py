"""Joining score tables of different origin: which names were taken for the same model is part of the result."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from proxy._arrays import Floats
from proxy._files import read_text, shown_path
from proxy._text import counted
from proxy.errors import ProxyError
from proxy.scores.matrix import ScoreMatrix

#: Endings that name a runtime, not a model, and those of models tuned for conversation.
RUNTIME = re.compile(r"[-_](hf|turbomind|vllm|lmdeploy|bf16|fp16)$")
CHAT = re.compile(r"[-_](chat|instruct|it|sft|rlhf|dpo)(?=[-_]|$)|[-_]base(?=[-_]|$)")
#: A name, with what stands behind it: a revision, an adapter, or a folder of an organisation's model.
PLACED = re.compile(r"([^@+/]*(?:/[^@+:/]*)*(?::[^@+/]*(?=[@+]|$))?)(.*)", re.DOTALL)
_REASONS = {"mapped": "by the mapping", "alike": "a guess: the names are alike"}


@dataclass(frozen=True, slots=True)
class Match:
    """Two names taken for one model (or for one pair of base and chat).

    Parameters
    ----------
    left : str
        The name in the first table.
    right : str
        The name in the second table.
    how : {"same", "mapped", "alike"}
        Equal names, names that the caller mapped, or a guess.
    """

    left: str
    right: str
    how: Literal["same", "mapped", "alike"]


@dataclass(frozen=True, slots=True)
class Join:
    """A matrix with the tasks of two tables, and how its rows came together.

    Parameters
    ----------
    matrix : ScoreMatrix
        The models that both tables have, by the first table's names.
    matches : tuple of Match
        A pair of names for each model, in the same order.
    left_only : tuple of str
        Models of the first table without a match.
    right_only : tuple of str
        Models of the second table without a match.
    """

    matrix: ScoreMatrix
    matches: tuple[Match, ...]
    left_only: tuple[str, ...]
    right_only: tuple[str, ...]


def join_scores(
    left: ScoreMatrix,
    right: ScoreMatrix,
    *,
    mapping: Mapping[str, str] | None = None,
    guess: bool = False,
    pairs: bool = False,
) -> Join:
    """Join the models that both tables have, with the tasks of both.

    Every match is in `matches` and, where the names differ, in the notes.

    Parameters
    ----------
    left : ScoreMatrix
        The first table; its names stay.
    right : ScoreMatrix
        The second table, of other tasks.
    mapping : mapping of str to str, optional
        Name in `left` -> name in `right`, for models that are named differently.
    guess : bool, optional
        Also take names for the same that differ in case, an organisation before a slash, underscores, or a runtime's
        ending (-hf, -turbomind), where that is unique on both sides.
    pairs : bool, optional
        The second table has the same models tuned for conversation, so endings such as -chat, -instruct and -base are
        ignored too: the paper's pairs [1]_ (candidates on the left, the target on the right). Implies `guess`.

    Returns
    -------
    Join
        The joined matrix and what was taken for the same.

    Raises
    ------
    ProxyError
        Where nothing matches, for a mapping of unknown names or of two models to one (unless these are pairs), and for
        a task that both tables have.

    References
    ----------
    .. [1] B.-W. Zhang et al., "Predictable Emergent Abilities of LLMs: Proxy Tasks Are All You Need", arXiv
       2412.07111, section 4.3.

    Examples
    --------
    >>> a = ScoreMatrix(("org/Llama-7b-hf", "b"), ("x",), [[1.0], [2.0]])
    >>> b = ScoreMatrix(("llama-7b", "b"), ("y",), [[3.0], [4.0]])
    >>> [(m.left, m.right, m.how) for m in join_scores(a, b, guess=True).matches]
    [('org/Llama-7b-hf', 'llama-7b', 'alike'), ('b', 'b', 'same')]
    """
    shared = [task for task in left.tasks if task in right.tasks]
    if shared:
        raise ProxyError(f"both tables have the task {shared[0]!r}; leave it out of one, or rename it")
    matches = _matches(left, right, dict(mapping or {}), guess or pairs, pairs)
    if not matches:
        raise ProxyError(
            f"no model is in both tables ({left.models[0]!r}, ... and {right.models[0]!r}, ...); "
            "give a mapping of their names"
        )
    a = left.select(models=[match.left for match in matches])
    b = right.select(models=[match.right for match in matches])
    renamed = [match for match in matches if match.left != match.right]
    left_only = tuple(sorted(set(left.models) - {m.left for m in matches}))
    right_only = tuple(sorted(set(right.models) - {m.right for m in matches}))
    notes = [*left.notes, *right.notes]
    notes += [f"{match.left} was joined with {match.right} ({_REASONS[match.how]})" for match in renamed]
    if left_only or right_only:
        notes.append(
            f"no match for {counted(len(left_only), 'model')} of the first table and {len(right_only)} of the second"
        )

    def both(name: str) -> Floats | None:
        one, two = getattr(a, name), getattr(b, name)
        if one is None and two is None:
            return None
        return np.hstack([np.full(m.shape, np.nan) if p is None else p for m, p in ((a, one), (b, two))])

    matrix = ScoreMatrix(
        a.models,
        (*a.tasks, *b.tasks),
        np.hstack([a.scores, b.scores]),
        stderr=both("stderr"),
        n=both("n"),
        direction={**a.direction, **b.direction},
        baseline={**a.baseline, **b.baseline},
        scale={task: m.scale.get(task, float("nan")) for m in (a, b) for task in m.tasks},
        notes=tuple(notes),
    )
    return Join(matrix, tuple(matches), left_only, right_only)


def read_mapping(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read a mapping of names from a CSV of two columns with a header (say ``base,chat``).

    Parameters
    ----------
    path : path-like
        The file; "-" is standard input.

    Returns
    -------
    dict of str to str
        The name in the first column -> the name in the second.

    Raises
    ------
    ProxyError
        For a file that cannot be read, a line without two names, and a name that is mapped to two others; it names the
        line.
    """
    name = shown_path(path)
    reader = csv.reader(io.StringIO(read_text(path), newline=""))
    try:
        rows = [row for row in reader if row]
    except csv.Error as error:
        raise ProxyError(f"{name}, line {reader.line_num}: not a CSV line ({error})") from None
    mapping: dict[str, str] = {}
    for line, row in enumerate(rows[1:], start=2):
        if len(row) < 2 or not row[0].strip() or not row[1].strip():
            raise ProxyError(f"{name}, line {line}: expected two names")
        left, right = row[0].strip(), row[1].strip()
        if mapping.setdefault(left, right) != right:
            raise ProxyError(f"{name}, line {line}: {left!r} is mapped to {mapping[left]!r} and to {right!r}")
    return mapping


def _matches(
    left: ScoreMatrix, right: ScoreMatrix, mapping: dict[str, str], guess: bool, pairs: bool
) -> list[Match]:
    """The names of both sides that belong together, in the order of the left."""
    for name, other in mapping.items():
        for known, one, side in ((left.models, name, "first"), (right.models, other, "second")):
            if one not in known:
                raise ProxyError(f"the mapping names {one!r}, which is not in the {side} table")
    twice = [name for name, count in Counter(mapping.values()).items() if count > 1]
    if twice and not pairs:
        raise ProxyError(f"the mapping sends two models to {twice[0]!r}; each can be matched once")
    taken = set(mapping.values())
    matches = {name: Match(name, other, "mapped") for name, other in mapping.items()}
    for name in left.models:
        if name not in matches and name in right.models and name not in taken:
            matches[name] = Match(name, name, "same")
            taken.add(name)
    if guess:
        rest = {name: _plain_name(name, pairs) for name in left.models if name not in matches}
        others = {name: _plain_name(name, pairs) for name in right.models if name not in taken}
        counts, other_counts = Counter(rest.values()), Counter(others.values())
        by_plain = {plain: name for name, plain in others.items()}
        for name, plain in rest.items():
            if counts[plain] == 1 and other_counts[plain] == 1:
                matches[name] = Match(name, by_plain[plain], "alike")
    return [matches[name] for name in left.models if name in matches]


def _plain_name(name: str, pairs: bool = False) -> str:
    """A name without organisation, case, runtime and, for pairs, without what tells chat from base.

    >>> _plain_name("Qwen/Qwen-7B-Chat"), _plain_name("qwen-7b-turbomind"), _plain_name("Qwen/Qwen-7B-Chat", pairs=True)
    ('qwen-7b-chat', 'qwen-7b', 'qwen-7b')
    >>> _plain_name("lab/base+/ckpt/lora-a"), _plain_name("ollama/Llama3:8b-instruct", pairs=True)
    ('base+/ckpt/lora-a', 'llama3:8b')
    """
    # What stands behind the name may have slashes of its own.
    placed = PLACED.fullmatch(name.lower())
    assert placed is not None  # both parts may be empty
    base, behind = placed.groups()
    plain = re.sub(r"[_\s]+", "-", base.rsplit("/", 1)[-1])
    while (shorter := RUNTIME.sub("", plain)) != plain:
        plain = shorter
    return (CHAT.sub("", plain) if pairs else plain) + behind
