"""Test sets, held-out sets, and the training stream that never contains either."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from examples.ladder.generators import MAX_DOCUMENT, ROW, TASKS, Task, documents, level_documents
from examples.ladder.tokenizer import decode

TEST_SEED, HELD_OUT_SEED, TRAIN_SEED = 20_001, 20_002, 20_003
TEST_INSTANCES, HELD_OUT_DOCUMENTS = 48, 96
_WORDS = np.random.default_rng(7).integers(1, 2**63, ROW // 8, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


def fingerprints(rows: np.ndarray) -> np.ndarray:
    """64-bit hashes of documents: equal documents always collide, so a test document cannot slip through."""
    words = np.ascontiguousarray(rows).view(np.uint64) * _WORDS
    words ^= words >> np.uint64(29)
    return (words * _WORDS[::-1]).sum(axis=1, dtype=np.uint64)


def _spread(task: Task, seed: int, n: int, avoid: np.ndarray) -> np.ndarray:
    """`n` different documents, the levels in equal shares, none among `avoid`."""
    rng = np.random.default_rng([seed, ord(task.tag)])
    share, rest = divmod(n, len(task.groups))
    kept = []
    for place, group in enumerate(task.groups):
        wanted = share + (place < rest)
        rows = level_documents(task, rng, 4 * wanted + 64, group)
        _, first = np.unique(rows, axis=0, return_index=True)
        rows = rows[np.sort(first)]
        kept.append(rows[~np.isin(fingerprints(rows), avoid)][:wanted])
    rows = np.concatenate(kept)
    if len(rows) != n:
        raise ValueError(f"{task.name}: only {len(rows)} of {n} different documents")
    return rows


@cache
def test_documents(name: str) -> np.ndarray:
    return _spread(TASKS[name], TEST_SEED, TEST_INSTANCES, np.zeros(0, dtype=np.uint64))


@cache
def held_out_documents(name: str) -> np.ndarray:
    return _spread(TASKS[name], HELD_OUT_SEED, HELD_OUT_DOCUMENTS, fingerprints(test_documents(name)))


@cache
def _kept_away(name: str) -> np.ndarray:
    return np.unique(fingerprints(np.concatenate([test_documents(name), held_out_documents(name)])))


def training_documents(name: str, rng: np.random.Generator, n: int) -> np.ndarray:
    """`n` documents that are in neither the test nor the held-out set of the task."""
    task, away, parts, missing = TASKS[name], _kept_away(name), [], n
    while missing:
        rows = documents(task, rng, missing)
        hashes = fingerprints(rows)
        place = np.minimum(np.searchsorted(away, hashes), len(away) - 1)
        rows = rows[away[place] != hashes]
        parts.append(rows)
        missing -= len(rows)
    return np.concatenate(parts) if parts else np.zeros((0, ROW), dtype=np.uint8)


@cache
def mean_length(name: str) -> float:
    return float((documents(TASKS[name], np.random.default_rng(1), 20_000) != 0).sum(axis=1).mean())


def stream(weights: Mapping[str, float], tokens: int, key: Sequence[int]) -> np.ndarray:
    """Shuffled documents of a mixture (weights are shares of documents) holding exactly `tokens` tokens.

    The last document is cut short so that the count is exact; it is one document among many thousands.
    """
    rng = np.random.default_rng([TRAIN_SEED, *key])
    shares = np.array(list(weights.values()), dtype=float)
    shares /= shares.sum()
    mean = float(sum(s * mean_length(name) for s, name in zip(shares, weights, strict=True)))
    wanted = int(tokens / mean * 1.01) + 200
    counts = rng.multinomial(wanted, shares)
    rows = np.concatenate([training_documents(t, rng, int(c)) for t, c in zip(weights, counts, strict=True)])
    rows = rows[rng.permutation(len(rows))]
    ends = np.cumsum((rows != 0).sum(axis=1))
    if ends[-1] < tokens:
        raise ValueError(f"drew {ends[-1]} of {tokens} tokens")
    last = int(np.searchsorted(ends, tokens))
    rows = rows[: last + 1]
    over = int(ends[last] - tokens)
    if over:
        length = int((rows[-1] != 0).sum())
        rows[-1, length - over :] = 0
    return rows


def batches(rows: np.ndarray, steps: int) -> np.ndarray:
    """Documents dealt out evenly over `steps` steps: (steps, rows a step, width), empty rows all padding."""
    n = len(rows)
    step = np.arange(n) * steps // n
    first = np.searchsorted(step, np.arange(steps))
    place = np.arange(n) - first[step]
    table = np.zeros((steps, int(place.max()) + 1, MAX_DOCUMENT), dtype=np.uint8)
    table[step, place] = rows[:, :MAX_DOCUMENT]
    return table


def instances(name: str) -> list[dict[str, object]]:
    """The task's test instances as lines of its TASK.jsonl."""
    lines: list[dict[str, object]] = []
    texts = [decode(row) for row in test_documents(name)]
    longest = max(len(text) - text.index("=") - 2 for text in texts)
    for number, text in enumerate(texts):
        cut = text.index("=") + 1
        lines.append(
            {
                "id": f"{name}-{number:02d}",
                "prompt": text[:cut],
                "answer": text[cut:-1],
                "grader": "exact",
                "stop": ["\n"],
                "max_tokens": longest + 2,
            }
        )
    return lines


def write_tasks(folder: Path, names: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        text = "".join(json.dumps(line) + "\n" for line in instances(name))
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
