import pytest

from firstlight.pages.templatetags.numbers import duration, number, percent, pu, short, size
from firstlight.pages.templatetags.words import told, visible


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.0587, "0.0587"),
        (3.2e-5, "3.20 × 10⁻⁵"),
        (None, "–"),
        (float("nan"), "–"),
        (1.0, "1"),
        (0.9999, "0.9999"),
    ],
)
def test_a_probability_keeps_three_digits(value: float | None, text: str) -> None:
    assert pu(value) == text


def test_large_numbers() -> None:
    assert number(1234567) == "1,234,567"
    assert number(12_345_678.0) == "1.23 × 10⁷"
    assert duration(200) == "3 min 20 s"
    assert percent(0.9) == "90%"
    assert percent(12.5) == "1,250%"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4_605_184, "4.61M"),
        (59_376, "59.4k"),
        (999_700, "1M"),  # not 1e+03k
        (999.7, "1k"),
        (1.3e15, "1.30 × 10¹⁵"),
        (0.0123, "0.0123"),
        (0.0000123, "1.23 × 10⁻⁵"),
        (0, "0"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_a_short_number_never_has_an_e(value: float | None, text: str) -> None:
    assert short(value) == text


def test_a_size_tells_its_exact_number_on_hover() -> None:
    assert size(59_376) == '<span title="59,376">59.4k</span>'
    assert size(None) == "–"


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("nothing passed at 5.938e+04", "Nothing passed at 59.4k."),
        (
            "dataset_ols 0.102, instance_likelihood 0.3",
            "Line through task means (OLS) 0.102, instance likelihood 0.3.",
        ),
        ("growth is sub_scaling: p = 2e-05", "Growth is below the law (sub-scaling): p = 2.00 × 10⁻⁵."),
        ("it rests on 1 degrees of freedom", "It rests on 1 degree of freedom."),
        ("it rests on 11 degrees of freedom.", "It rests on 11 degrees of freedom."),
        ("", ""),
    ],
)
def test_a_sentence_of_the_library_is_told_in_words(sentence: str, shown: str) -> None:
    assert told(sentence) == shown


def test_unseen_characters_are_named_and_markup_is_escaped() -> None:
    shown = visible("a<b>\u202e\u200b\x00\n\u00a0é")
    assert "<b>" not in shown
    for name in ("U+202E", "U+200B", "U+0000", "↵", "U+00A0"):
        assert name in shown
    assert "\u202e" not in shown
    assert "é" in shown
