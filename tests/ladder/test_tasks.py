"""The ladder's tasks, recomputed from the text of their prompts by plain Python."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import numpy as np
import pytest

from examples.ladder import data
from examples.ladder.export import HERE
from examples.ladder.generators import MAX_DOCUMENT, TASKS, documents
from examples.ladder.tokenizer import decode, encode

RING = "abcdefghij"


def moved(by: str, text: str) -> str:
    return "".join(RING[(RING.index(c) + int(by)) % 10] for c in text)


def total(text: str) -> str:
    return str(sum(int(part) for part in text.split("+")))


def difference(text: str) -> str:
    a, b = text.split("-")
    return str(int(a) - int(b))


def product(text: str) -> str:
    a, b = text.split("*")
    return str(int(a) * int(b))


def running(text: str) -> str:
    return "".join(str(s % 10) for s in itertools.accumulate(int(c) for c in text))


def table(text: str) -> tuple[dict[str, str], str]:
    pairs, asked = text.split(":")
    return {pairs[i]: pairs[i + 1] for i in range(0, len(pairs), 2)}, asked


def recall(text: str) -> str:
    pairs, asked = table(text)
    return "".join(pairs[key] for key in asked)


def hop(text: str) -> str:
    pairs, asked = table(text)
    return "".join(pairs[pairs[key]] for key in asked)


def permute(text: str) -> str:
    order, letters = text.split(" ")
    return "".join(letters[int(place) - 1] for place in order)


def quotient(text: str) -> str:
    a, b = text.split("/")
    return str(int(a) // int(b))


def products(text: str) -> str:
    return str(sum(int(product(part)) for part in text.split("+")))


ANSWERS: dict[str, Callable[[str], str]] = {
    "add": total,
    "subtract": difference,
    "multiply": product,
    "multiply_long": product,
    "divide": quotient,
    "products": products,
    "total": total,
    "running": running,
    "reverse_shift": lambda text: moved(*text.split(" "))[::-1],
    "recall": recall,
    "hop": hop,
    "permute": permute,
}


def check(task: str, line: str) -> None:
    assert line.endswith("\n")
    assert line.count("\n") == 1
    question, answer = line[:-1].split("=")
    tag, _, text = question.partition(" ")
    assert tag == TASKS[task].tag
    assert answer == ANSWERS[task](text), line


def test_every_task_has_its_own_letter() -> None:
    assert len({task.tag for task in TASKS.values()}) == len(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_generated_documents_carry_the_right_answer(task: str) -> None:
    rows = documents(TASKS[task], np.random.default_rng(5), 400)
    assert len(rows) == 400
    assert (rows != 0).sum(axis=1).max() <= MAX_DOCUMENT
    for row in rows:
        check(task, decode(row))


@pytest.mark.parametrize("task", TASKS)
def test_test_instances_are_right_different_and_fit_their_token_limit(task: str) -> None:
    lines = data.instances(task)
    assert len(lines) == data.TEST_INSTANCES >= 40
    assert len({line["prompt"] for line in lines}) == len({line["id"] for line in lines}) == len(lines)
    for line in lines:
        prompt, answer = str(line["prompt"]), str(line["answer"])
        check(task, prompt + answer + "\n")
        assert len(encode(answer + "\n")) <= int(str(line["max_tokens"]))


@pytest.mark.parametrize("task", TASKS)
def test_training_documents_are_in_neither_the_test_nor_the_held_out_set(task: str) -> None:
    away = {decode(row) for row in data.test_documents(task)}
    held_out = {decode(row) for row in data.held_out_documents(task)}
    assert not away & held_out
    rows = data.training_documents(task, np.random.default_rng(6), 20_000)
    assert not {row.tobytes() for row in rows} & {
        row.tobytes() for row in (*data.test_documents(task), *data.held_out_documents(task))
    }
    assert len(rows) == 20_000


def test_a_document_of_the_test_set_is_found_by_its_fingerprint() -> None:
    rows = data.test_documents("add")
    shuffled = rows[::-1].copy()
    assert (data.fingerprints(rows)[::-1] == data.fingerprints(shuffled)).all()
    assert len(np.unique(data.fingerprints(rows))) == len(rows)


def test_a_stream_holds_exactly_its_tokens_and_is_dealt_out_whole() -> None:
    weights = {"add": 0.5, "hop": 0.3, "recall": 0.2}
    rows = data.stream(weights, 30_001, [0, 1])
    assert int((rows != 0).sum()) == 30_001
    table = data.batches(rows, 40)
    assert int((table != 0).sum()) == 30_001
    filled = (table[:, :, 0] != 0).sum(axis=1)
    assert filled.max() - filled.min() <= 1
    again = data.stream(weights, 30_001, [0, 1])
    assert (rows == again).all()
    assert not (rows[:50] == data.stream(weights, 30_001, [1, 1])[:50]).all()


@pytest.mark.parametrize("path", sorted((HERE / "tasks").glob("*.jsonl")), ids=lambda path: path.stem)
def test_task_files_are_what_the_generators_make(path) -> None:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines == data.instances(path.stem)
