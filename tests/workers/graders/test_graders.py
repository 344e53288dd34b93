"""Each grader on texts that it must pass and must not."""

from __future__ import annotations

import pytest

from firstlight.files.task_file import GRADERS, InstanceSpec
from workers.engines.base import UNDECODABLE
from workers.graders import REGISTRY, GraderRefusal, grade


def spec(grader: str, answer: str, stop: tuple[str, ...] = ("\n",)) -> InstanceSpec:
    return InstanceSpec("i", "p", answer, grader, stop)


def test_the_registered_graders_are_those_that_task_files_know() -> None:
    assert tuple(REGISTRY) == GRADERS


@pytest.mark.parametrize(
    ("grader", "answer", "text", "passes"),
    [
        ("exact", "46", "46", True),
        ("exact", "46", "46\nnext", True),
        ("exact", "46", " 46", False),
        ("exact", "46", "46.", False),
        ("exact", "", "\nx", True),
        ("contains", "46", "it is 46.", True),
        ("contains", "46", "no\n46", False),
        ("regex", r"^\s*4[0-9]$", " 46", True),
        ("regex", r"^\s*4[0-9]$", "146", False),
        ("regex", "b", "a" * 10_000 + "b", False),
        ("regex", "46$", "46", True),
        ("regex", r"^\d+$", "４６", True),
        ("regex", "(a+)+$", "a" * 9_999 + "b", False),
        ("numeric", "46", "12+34=46", True),
        ("numeric", "46", "46 or 47", False),
        ("numeric", "46", "the answer is 46.", True),
        ("numeric", "46", "46.0", True),
        ("numeric", "-3", "x = -3", True),
        ("numeric", "-3", "x = \u22123", True),
        ("numeric", "2", "3-2", True),
        ("numeric", "-2", "3-2", False),
        ("numeric", "-2", "(3)-2", False),
        ("numeric", "1234567", "1,234,567 in all", True),
        ("numeric", "1,234", "1234", True),
        ("numeric", "23", "1,23", True),
        ("numeric", "1500", "1.5e3", True),
        ("numeric", "0.5", "+.5", True),
        ("numeric", "1", "1.0000000001", True),
        ("numeric", "1", "1.00000001", False),
        ("numeric", "0", "0.0", True),
        ("numeric", "1", "none", False),
        ("numeric", "1", "1e999", False),
        ("numeric", "1", "", False),
    ],
)
def test_verdicts(grader: str, answer: str, text: str, passes: bool) -> None:
    assert grade(text, spec(grader, answer)) is passes


@pytest.mark.parametrize(
    ("grader", "answer"),
    [("exact", "4"), ("contains", "4"), ("regex", ".*"), ("regex", "^[^0]"), ("numeric", "4")],
)
def test_a_text_with_an_id_of_no_tokenizer_is_wrong(grader: str, answer: str) -> None:
    assert grade("4", spec(grader, answer)) is True
    assert grade(f"4{UNDECODABLE}", spec(grader, answer)) is False
    assert grade(UNDECODABLE, spec(grader, answer)) is False
    assert grade(f"4\n{UNDECODABLE}", spec(grader, answer)) is True


def test_an_unknown_grader_is_named() -> None:
    with pytest.raises(
        GraderRefusal, match="'i': unknown grader 'choice'; known: exact, contains, regex, numeric"
    ):
        grade("a", spec("choice", "a"))


def test_a_pattern_of_an_older_task_that_cannot_be_matched_is_refused_by_name() -> None:
    with pytest.raises(GraderRefusal) as refused:
        grade("a", spec("regex", "(?=a)b"))
    assert str(refused.value).startswith(
        "instance 'i': pattern '(?=a)b' cannot be matched: RE2 has no lookahead"
    )
