"""Text and its ground differ enough to read (WCAG AA, 4.5 to 1), in light and in dark."""

import re

import pytest

from firstlight.config.places import PACKAGE

PAIRS = [
    ("ink", "paper"),
    ("ink", "card"),
    ("ink-soft", "paper"),
    ("ink-soft", "card"),
    ("accent", "paper"),
    ("accent", "card"),
    ("accent", "accent-soft"),
    ("card", "accent"),
    ("dawn", "dawn-soft"),
    ("good", "good-soft"),
    ("bad", "bad-soft"),
    ("bad", "card"),
    ("wait", "wait-soft"),
    ("ink", "accent-soft"),
    ("ink", "dawn-soft"),
    ("ink", "bad-soft"),
    ("ink-soft", "accent-soft"),
]


def _variables(theme: str) -> dict[str, str]:
    css = (PACKAGE / "static" / "firstlight.css").read_text()
    block = css.split(f'[data-bs-theme="{theme}"] {{')[1].split("}")[0]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def _light(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("pair", PAIRS, ids="-on-".join)
def test_contrast(theme: str, pair: tuple[str, str]) -> None:
    values = _variables(theme)
    high, low = sorted((_light(values[name]) for name in pair), reverse=True)
    assert (high + 0.05) / (low + 0.05) >= 4.5
