"""Patterns mean what they mean to Python's `re`, and none runs for ever."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from firstlight.files.patterns import MAX_DEPTH, Pattern, PatternError

#: ASCII, and characters on which RE2's own classes, ends and folds differ from Python's.
LETTERS = "abAB_ 19é\u00c9\u0663\u00a0\u3000\u20ac\n\t\x0b-^$.[]{},\\"
texts = st.text(LETTERS, max_size=12)

literals = st.sampled_from(LETTERS).map(re.escape)
classes = st.sampled_from([r"\d", r"\D", r"\w", r"\W", r"\s", r"\S"])
within = st.sampled_from(["a-f", "0-9", "é-ü", "[", "$", r"\b", r"\x41", r"\u00e9"])
sets = st.builds(
    "[{}{}{}]".format,
    st.sampled_from(["", "^"]),
    st.sampled_from(["", "]"]),
    st.lists(literals | classes | within, min_size=1, max_size=3).map("".join),
)
others = st.sampled_from([".", "^", r"\A", r"\x62", r"\101", "{", "a{", "}"])
repeats = st.sampled_from(["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{,2}", "{,}", "{01}", "{1,}?"])
ends = st.sampled_from(["", "$", r"\Z"])


def composed(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{}{}".format, parts, parts),
        st.builds("(?:{}|{})".format, parts, parts),
        st.builds("({}){}".format, parts, repeats),
        st.builds("(?P<name>{})".format, parts),
        st.builds("(?{}:{})".format, st.sampled_from(["i", "s", "m", "im-s"]), parts),
    )


def is_valid(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


bodies = st.recursive(literals | classes | sets | others, composed, max_leaves=6)
patterns = st.one_of(
    st.builds("{}{}".format, bodies, ends),
    st.builds("{}{}|{}{}".format, bodies, ends, bodies, ends),
    st.builds("(?m:{}$)".format, bodies),
).filter(is_valid)


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
@settings(max_examples=400, deadline=None)
@given(patterns, st.lists(texts, min_size=1, max_size=8))
@example("^4[0-9]$", ["46\n", "46", "46\n\n", "x\n46"])
@example(r"(?m)^46$", ["x\n46\ny", "x46"])
@example("a{,2}b", ["b", "aab", "a{,2}b"])
@example("[[:alpha:]]", ["a", ":]"])
@example(r"^[\W\d]+$", ["\u0663", "é", "-1"])
@example("(?i)\u00c9", ["é"])
def test_verdicts_are_those_of_python(pattern: str, texts: list[str]) -> None:
    compiled, expected = Pattern(pattern), re.compile(pattern)
    for text in texts:
        assert compiled.is_found_in(text) == bool(expected.search(text)), (pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text", "python"),
    [(r"\bé", "é", True), (r"é\B", "é", False), ("$\\n", "a\n", True)],
)
def test_where_a_verdict_differs_from_pythons(pattern: str, text: str, python: bool) -> None:
    """The differences that the module states: should one of them go, its sentence goes too."""
    assert bool(re.search(pattern, text)) is python
    assert Pattern(pattern).is_found_in(text) is not python


@pytest.mark.parametrize("pattern", [r"\bab\b", r"\B1\b", r"\bA", r"a\B"])
@given(text=st.text("abAB_ 19.\n", max_size=12))
def test_boundaries_are_those_of_python_in_plain_text(pattern: str, text: str) -> None:
    assert Pattern(pattern).is_found_in(text) == bool(re.search(pattern, text))


def test_a_lone_surrogate_is_a_character_like_another() -> None:
    assert Pattern("^a.b$").is_found_in("a\ud800b")
    assert not Pattern("^a[a-z]b$").is_found_in("a\ud800b")


@pytest.mark.parametrize(
    ("pattern", "lacking"),
    [
        ("(?=a)b", "lookahead"),
        ("(?!a)b", "lookahead"),
        ("(?<=a)b", "lookbehind"),
        ("(?<!a)b", "lookbehind"),
        (r"(a)\1", "backreferences"),
        (r"()()()()()()()()()(a)\10", "backreferences"),
        ("(?P<a>b)(?P=a)", "backreferences"),
        ("(a)?(?(1)b|c)", "conditional groups"),
        ("(?>a+)b", "atomic groups"),
        ("a++b", "possessive repeats"),
        ("(?#why)a", "comments"),
        ("(?x) a", "flags a, L, u and x"),
        ("(?a:a)", "flags a, L, u and x"),
        ("a{1001}", "repeats of more than 1,000"),
        (r"\w{1000}", "room for a pattern that repeats so much"),
    ],
)
def test_what_re2_lacks_is_named_in_one_line(pattern: str, lacking: str) -> None:
    re.compile(pattern)
    with pytest.raises(PatternError) as refused:
        Pattern(pattern)
    assert str(refused.value).startswith(f"pattern {pattern!r} cannot be matched: RE2 has no {lacking}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("pattern", ["(", "a**", "[z-a]", r"\p{L}", "(?U)a", r"\Qa\E", r"\x{41}"])
def test_what_python_cannot_read_is_no_pattern(pattern: str) -> None:
    with pytest.raises(PatternError, match="is not a valid pattern"):
        Pattern(pattern)


def test_groups_nest_so_deep_whoever_calls() -> None:
    assert Pattern("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH).is_found_in("a")
    with pytest.raises(PatternError, match="nests more than 100 groups"):
        Pattern("(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1))
    assert Pattern(r"[(]\(" * 200).is_found_in("((" * 200)


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)+$", "^((a*)b?)*$", "(x|(?:a{1,9})){20}$", "(.*)*(.*)*c"]
)
def test_no_pattern_runs_away(pattern: str) -> None:
    """Python's matcher would need longer than the universe for each."""
    compiled, text = Pattern(pattern), "a" * 100_000 + "!"
    began = time.process_time()
    assert not compiled.is_found_in(text)
    assert time.process_time() - began < 1  # milliseconds, on a machine that is not busy
