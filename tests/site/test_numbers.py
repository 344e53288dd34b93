import pytest
from firstlight.pages.templatetags.numbers import duration, number, pu, short, visible


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
    assert short(4_605_184) == "4.61M"
    assert short(0) == "0"
    assert short(None) == "–"
    assert number(1234567) == "1,234,567"
    assert duration(200) == "3 min 20 s"


def test_unseen_characters_are_named_and_markup_is_escaped() -> None:
    shown = visible("a<b>\u202e\u200b\x00\n\u00a0é")
    assert "<b>" not in shown
    for name in ("U+202E", "U+200B", "U+0000", "↵", "U+00A0"):
        assert name in shown
    assert "\u202e" not in shown
    assert "é" in shown
