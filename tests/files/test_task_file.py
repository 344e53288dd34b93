"""Task files: what is read, and what is refused with its source and line."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstlight.files import task_file
from firstlight.files.task_file import (
    InstanceSpec,
    StoredTask,
    TaskFileError,
    digest,
    parse_task_lines,
    read_task_file,
)

GOOD = {"id": "a", "prompt": "1+1=", "answer": "2", "grader": "exact"}


def line(**changes: Any) -> bytes:
    return json.dumps({key: value for key, value in {**GOOD, **changes}.items() if value is not ...}).encode()


def test_defaults_and_other_fields_are_kept() -> None:
    [spec] = parse_task_lines([line(level=3)], source="t")
    assert spec == InstanceSpec("a", "1+1=", "2", "exact", (), 64, None, {"level": 3})


def test_all_fields_are_read() -> None:
    lines = [b"\n", line(stop=["\n", "#"], max_tokens=5, guess_rate=0.25), line(id="b", stop="\n"), b"  "]
    first, second = parse_task_lines(lines, source="t")
    assert (first.stop, first.max_tokens, first.guess_rate) == (("\n", "#"), 5, 0.25)
    assert second.stop == ("\n",)


def test_a_number_is_a_numeric_answer() -> None:
    lines = [line(grader="numeric", answer=42), line(id="b", grader="numeric", answer="-1,234.5e2")]
    assert [spec.answer for spec in parse_task_lines(lines, source="t")] == ["42", "-1,234.5e2"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b'{"id": ', "is not JSON"),
        (b"\xff", "is not UTF-8"),
        (b"[1]", "expected a JSON object, found list"),
        (b'{"id": "a", "x": NaN}', "NaN"),
        (b'{"id": "a", "x": -Infinity}', "-Infinity"),
        (b'{"id": "a", "x": 1e999}', "too large"),
        (b'{"id": "a", "x": ' + b"9" * 5000 + b"}", "too long"),
        (b'{"id": "a", "id": "b"}', "the key 'id' twice"),
        (b"[" * 100_000, "nested too deeply"),
        (line(prompt="a\x00b"), "NUL"),
        (b'{"id": "\\ud800", "prompt": "p"}', "lone surrogate"),
        (line(id=...), "no id"),
        (line(id=7), "id is int, expected a string"),
        (line(id=""), "id is empty"),
        (line(id="x" * 201), "201 characters"),
        (line(prompt=...), "no prompt"),
        (line(grader=...), "unknown grader None; known: exact, contains, regex, numeric"),
        (line(grader="choice"), "unknown grader 'choice'"),
        (line(grader=["exact"]), "unknown grader"),
        (line(answer=...), "no answer"),
        (line(answer=2), "answer is int, expected a string"),
        (line(grader="contains", answer=""), "answer is empty"),
        (line(grader="numeric", answer="two"), "'two' is not a number"),
        (line(grader="numeric", answer="1e999"), "not a number"),
        (line(grader="numeric", answer=True), "answer is bool"),
        (line(grader="regex", answer="("), "not a valid pattern"),
        (line(grader="regex", answer="(?=a)b"), "pattern '(?=a)b' cannot be matched: RE2 has no lookahead"),
        (line(grader="regex", answer=r"^(a)\1"), "RE2 has no backreferences"),
        (line(grader="regex", answer="(" * 450 + "a" + ")" * 450), "not a valid pattern"),
        (line(grader="regex", answer="a" * 1001), "1001 characters"),
        (line(max_tokens=0), "max_tokens is 0"),
        (line(max_tokens=4097), "max_tokens is 4097"),
        (line(max_tokens=True), "max_tokens is True"),
        (line(stop=[""]), "stop must be"),
        (line(stop=[1]), "stop must be"),
        (line(stop=["a"] * 17), "at most 16 strings"),
        (line(stop=["a" * 101]), "at most 100 characters"),
        (line(guess_rate=1.0), "guess_rate is 1.0"),
        (line(guess_rate="0"), "guess_rate is '0'"),
        (line(prompt="x" * 1_000_001), "more than 1,000,000 bytes"),
    ],
)
def test_a_bad_line_is_refused_by_its_number(bad: bytes, message: str) -> None:
    with pytest.raises(TaskFileError) as caught:
        parse_task_lines([line(id="first"), bad], source="tasks.jsonl")
    assert str(caught.value).startswith("tasks.jsonl, line 2")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "((a*)b?)*$", r"(?:\d+,)+\d+", r"\(a+\)+", "(ab)+", "(a{2})+", "[(a+)+]"]
)
def test_a_pattern_may_repeat_a_repeat(pattern: str) -> None:
    assert parse_task_lines([line(grader="regex", answer=pattern)], source="t")[0].answer == pattern


def test_two_instances_with_one_id_name_both_lines() -> None:
    with pytest.raises(TaskFileError, match="line 3: the id 'a' already stands on line 1"):
        parse_task_lines([line(), line(id="b"), line()], source="t")


def test_nothing_in_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "empty.jsonl"
    file.write_bytes(b"\n\n")
    with pytest.raises(TaskFileError, match=r"empty\.jsonl: no instances"):
        read_task_file(file)
    with pytest.raises(TaskFileError, match="cannot be read"):
        read_task_file(tmp_path / "gone.jsonl")


def test_rows_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_file, "MAX_ROWS", 2)
    with pytest.raises(TaskFileError, match="line 3: more than 2 instances"):
        parse_task_lines([line(id=str(i)) for i in range(3)], source="t")


def test_an_endless_line_is_not_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "long.jsonl"
    file.write_bytes(line() + b"\n" + b"x" * 5_000_000)
    with pytest.raises(TaskFileError, match="line 2: more than 1,000,000 bytes"):
        read_task_file(file)


def test_the_digest_follows_content_and_order_only() -> None:
    one, two = line(), line(id="b")
    base = digest(parse_task_lines([one, two], source="t"))
    assert base.startswith("sha256:")
    assert digest(parse_task_lines([b"\n", b" " + one, two], source="other")) == base
    assert digest(parse_task_lines([two, one], source="t")) != base
    assert digest(parse_task_lines([one, line(id="b", extra=1)], source="t")) != base


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from([*GOOD, "stop", "max_tokens", "guess_rate", "x"]), values) | values,
    st.booleans(),
)
def test_any_json_is_read_or_refused_never_a_crash(value: Any, whole: bool) -> None:
    content = {**GOOD, **value} if whole and isinstance(value, dict) else value
    with contextlib.suppress(TaskFileError):
        digest(parse_task_lines([json.dumps(content).encode()], source="t"))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=4))
def test_any_bytes_are_read_or_refused_never_a_crash(lines: list[bytes]) -> None:
    with pytest.raises(TaskFileError):
        parse_task_lines(lines, source="t")


def test_a_stored_file_is_read_again_each_time_and_is_what_the_whole_is() -> None:
    lines = [
        f'{{"id": "i{k}", "prompt": "p{k}", "answer": "a", "grader": "exact"}}\n'.encode() for k in range(9)
    ]
    whole = parse_task_lines(lines, source="t")
    stored = StoredTask(io.BytesIO(b"".join(lines)), source="t")
    assert list(stored) == list(stored) == whole
    assert (len(stored), digest(stored)) == (9, digest(whole))
    assert whole[4] in stored
    with pytest.raises(TaskFileError, match="t, line 2: the id 'i0' already stands on line 1"):
        StoredTask(io.BytesIO(lines[0] * 2), source="t")
    with pytest.raises(TaskFileError, match="no instances"):
        StoredTask(io.BytesIO(b"\n"), source="t")
