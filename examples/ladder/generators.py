"""The string tasks. Every generator makes whole matrices of token ids at once: the largest model reads
millions of documents, and Python strings would be the slowest part of its training.

A document is one line: the task's letter, a space, the input, "=", the answer, a newline. Inside a task the
lengths vary, so that easy and hard instances mix and the mean pass probability moves smoothly with size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from examples.ladder.tokenizer import DIGIT_0, END_ID, ID, LETTER_A

ROW = 40  # bytes a document row takes: five 64-bit words, which the duplicate check hashes
MAX_DOCUMENT = 33  # longest document, newline included: 32 predicted positions

Matrix = np.ndarray
Maker = Callable[[np.random.Generator, int, tuple[int, ...]], tuple[Matrix, Matrix]]


@dataclass(frozen=True)
class Task:
    """One task: `groups` are its difficulty levels, drawn equally often; `make` fills a level."""

    name: str
    tag: str
    kind: str
    says: str
    groups: tuple[tuple[int, ...], ...]
    make: Maker


def letters(rng: np.random.Generator, n: int, length: int, alphabet: int) -> Matrix:
    return rng.integers(0, alphabet, (n, length), dtype=np.uint8)


def distinct(rng: np.random.Generator, n: int, count: int, of: int) -> Matrix:
    """Rows of `count` different numbers below `of`."""
    return rng.random((n, of), dtype=np.float32).argsort(axis=1)[:, :count].astype(np.uint8)


def written(values: Matrix, width: int) -> Matrix:
    """Numbers as digit tokens; leading zeros are absent cells (0), which `compact` closes up."""
    powers = 10 ** np.arange(width - 1, -1, -1)
    digits = values[:, None] // powers % 10
    cells = (digits + DIGIT_0).astype(np.uint8)
    cells[(values[:, None] < powers) & (powers > 1)] = 0
    return cells


def sign(n: int, character: str) -> Matrix:
    return np.full((n, 1), ID[character], dtype=np.uint8)


def number(rng: np.random.Generator, n: int, digits: int, least: int = 0) -> Matrix:
    return rng.integers(max(least, 10 ** (digits - 1)), 10**digits, n)


def make_add(rng: np.random.Generator, n: int, group: tuple[int, ...]) -> tuple[Matrix, Matrix]:
    (digits,) = group
    a, b = number(rng, n, digits), number(rng, n, digits)
    return np.hstack([written(a, digits), sign(n, "+"), written(b, digits)]), written(a + b, digits + 1)


def make_subtract(rng: np.random.Generator, n: int, group: tuple[int, ...]) -> tuple[Matrix, Matrix]:
    (digits,) = group
    a, b = number(rng, n, digits), number(rng, n, digits)
    a, b = np.maximum(a, b), np.minimum(a, b)
    return np.hstack([written(a, digits), sign(n, "-"), written(b, digits)]), written(a - b, digits)


def make_multiply(rng: np.random.Generator, n: int, group: tuple[int, ...]) -> tuple[Matrix, Matrix]:
    first, second = group
    a, b = number(rng, n, first), number(rng, n, second, least=2)
    question = np.hstack([written(a, first), sign(n, "*"), written(b, second)])
    return question, written(a * b, first + second)


def make_divide(rng: np.random.Generator, n: int, group: tuple[int, ...]) -> tuple[Matrix, Matrix]:
    """The whole part of a quotient."""
    first, second = group
    a, b = number(rng, n, first), number(rng, n, second, least=2)
    question = np.hstack([written(a, first), sign(n, "/"), written(b, second)])
    return question, written(a // b, first)


def make_products(rng: np.random.Generator, n: int, group: tuple[int, ...]) -> tuple[Matrix, Matrix]:
    """The sum of two products: two steps and then a third."""
    first, second = group
    a, b = number(rng, n, first), number(rng, n, 1, least=2)
    c, d = number(rng, n, second), number(rng, n, 1, least=2)
    cells = [written(a, first), sign(n, "*"), written(b, 1), sign(n, "+"), written(c, second), sign(n, "*")]
    return np.hstack([*cells, written(d, 1)]), written(a * b + c * d, max(first, second) + 2)


def make_total(rng: np.random.Generator, n: int, group: tuple[int, ...]) -> tuple[Matrix, Matrix]:
    (terms,) = group
    digits = letters(rng, n, terms, 10)
    cells = np.full((n, 2 * terms - 1), ID["+"], dtype=np.uint8)
    cells[:, ::2] = digits + DIGIT_0
    return cells, written(digits.sum(axis=1, dtype=np.int64), 2)


def make_running(rng: np.random.Generator, n: int, group: tuple[int, ...]) -> tuple[Matrix, Matrix]:
    (length,) = group
    digits = letters(rng, n, length, 10)
    sums = np.cumsum(digits, axis=1, dtype=np.uint8) % 10  # at most 14 * 9: no overflow
    return digits + DIGIT_0, sums.astype(np.uint8) + DIGIT_0


def shift_parts(rng: np.random.Generator, n: int, length: int) -> tuple[Matrix, Matrix, Matrix]:
    """A shift of 1 to 9, a text over a to j, and the text shifted around that ring."""
    by = rng.integers(1, 10, (n, 1), dtype=np.uint8)
    text = letters(rng, n, length, 10)
    question = np.hstack([by + DIGIT_0, sign(n, " "), text + LETTER_A])
    return question, text, (text + by) % 10 + LETTER_A


def make_reverse_shift(rng: np.random.Generator, n: int, group: tuple[int, ...]) -> tuple[Matrix, Matrix]:
    question, _, shifted = shift_parts(rng, n, group[0])
    return question, shifted[:, ::-1]


def make_recall(rng: np.random.Generator, n: int, group: tuple[int, ...]) -> tuple[Matrix, Matrix]:
    (pairs,) = group
    keys, values = distinct(rng, n, pairs, 10), letters(rng, n, pairs, 10)
    table = np.empty((n, 2 * pairs), dtype=np.uint8)
    table[:, ::2], table[:, 1::2] = keys + LETTER_A, values + DIGIT_0
    asked = distinct(rng, n, 3, pairs)
    question = np.take_along_axis(keys, asked, axis=1) + LETTER_A
    return np.hstack([table, sign(n, ":"), question]), np.take_along_axis(values, asked, axis=1) + DIGIT_0


def make_hop(rng: np.random.Generator, n: int, group: tuple[int, ...]) -> tuple[Matrix, Matrix]:
    (size,) = group
    ring = distinct(rng, n, size, 10) + LETTER_A  # every letter points to the next one of the ring
    order = distinct(rng, n, size, size)
    table = np.empty((n, 2 * size), dtype=np.uint8)
    table[:, ::2] = np.take_along_axis(ring, order, axis=1)
    table[:, 1::2] = np.take_along_axis(ring, (order + 1) % size, axis=1)
    asked = distinct(rng, n, 3, size)
    question = np.take_along_axis(ring, asked, axis=1)
    return np.hstack([table, sign(n, ":"), question]), np.take_along_axis(ring, (asked + 2) % size, axis=1)


def make_permute(rng: np.random.Generator, n: int, group: tuple[int, ...]) -> tuple[Matrix, Matrix]:
    (length,) = group
    order, text = distinct(rng, n, length, length), letters(rng, n, length, 10) + LETTER_A
    question = np.hstack([order + DIGIT_0 + 1, sign(n, " "), text])
    return question, np.take_along_axis(text, order, axis=1)


def _levels(first: int, last: int) -> tuple[tuple[int, ...], ...]:
    return tuple((level,) for level in range(first, last + 1))


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("add", "a", "arithmetic", "sum of two numbers of 2 to 4 digits", _levels(2, 4), make_add),
        Task("subtract", "s", "arithmetic", "difference, 2 to 4 digits", _levels(2, 4), make_subtract),
        Task(
            "multiply", "m", "arithmetic", "product, the easy ones", ((2, 1), (3, 1), (2, 2)), make_multiply
        ),
        Task("multiply_long", "n", "arithmetic", "product", ((4, 1), (3, 2), (3, 3)), make_multiply),
        Task("divide", "d", "arithmetic", "whole quotient", ((3, 1), (4, 1), (4, 2), (5, 2)), make_divide),
        Task("products", "q", "composition", "sum of two products", ((1, 1), (2, 1), (2, 2)), make_products),
        Task("total", "e", "arithmetic", "sum of 4 to 8 digits", _levels(4, 8), make_total),
        Task("running", "p", "string", "running sums modulo 10", _levels(4, 12), make_running),
        Task("recall", "k", "lookup", "values of 3 keys in a list of 4 to 7", _levels(4, 7), make_recall),
        Task("hop", "h", "composition", "two links on, for 3 letters", _levels(4, 6), make_hop),
        Task("permute", "o", "lookup", "4 to 8 letters in a given order", _levels(4, 8), make_permute),
        Task(
            "reverse_shift",
            "x",
            "string",
            "backwards, then moved on a ring of 10",
            _levels(3, 10),
            make_reverse_shift,
        ),
    )
}


def compact(cells: Matrix) -> Matrix:
    """Close up absent cells (0) so that every row starts at the left, padded to ROW."""
    rows = np.zeros((len(cells), ROW), dtype=np.uint8)
    present = cells != 0
    if present.all():
        rows[:, : cells.shape[1]] = cells
        return rows
    counts = present.sum(axis=1)
    rows[np.arange(ROW) < counts[:, None]] = cells[present]  # both masks run row by row
    return rows


def level_documents(task: Task, rng: np.random.Generator, n: int, group: tuple[int, ...]) -> Matrix:
    question, answer = task.make(rng, n, group)
    head = np.hstack([sign(n, task.tag), sign(n, " ")])
    tail = np.full((n, 1), END_ID, dtype=np.uint8)
    return compact(np.hstack([head, question, sign(n, "="), answer, tail]))


def documents(task: Task, rng: np.random.Generator, n: int) -> Matrix:
    """`n` documents as rows of token ids, level by level (whoever trains on them shuffles)."""
    counts = rng.multinomial(n, [1 / len(task.groups)] * len(task.groups))
    parts = [level_documents(task, rng, int(c), g) for c, g in zip(counts, task.groups, strict=True) if c]
    return np.concatenate(parts) if parts else np.zeros((0, ROW), dtype=np.uint8)
