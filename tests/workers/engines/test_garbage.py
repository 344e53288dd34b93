"""Garbage waves are refused; a small model that repeats itself is not garbage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from workers.engines import DrawRequest, EngineGarbage, Wave, check_wave

REQUEST = DrawRequest("i", "1+1=", 0, 4, 0, ("\n",), 128)


def wave(texts: list[str], finish: str = "length", **changes: Any) -> Wave:
    tokens = np.array([min(128, len(text)) for text in texts])
    values: dict[str, Any] = {"instance": "i", "first_draw": 0, "tokens": tokens, "seconds": 0.1}
    return Wave(texts=texts, finish=[finish] * len(texts), **{**values, **changes})


@pytest.mark.parametrize(
    "texts", [["2", "3", "", "22"], ["0" * 128] * 4, [" " * 128] * 4, ["! ok"] * 4, ["!!"] * 4]
)
def test_answers_of_a_poor_model_pass(texts: list[str]) -> None:
    check_wave(REQUEST, wave(texts))


@pytest.mark.parametrize("character", ["!", "\ufffd", "\x00"])
def test_the_cry_of_a_dead_engine_is_refused(character: str) -> None:
    cry = wave([character * 128] * 4)
    with pytest.raises(EngineGarbage, match="512 of 512 characters"):
        check_wave(REQUEST, cry)
    check_wave(replace(REQUEST, prompt=f"repeat {character}"), cry)
    check_wave(REQUEST, replace(cry, finish=["length"] * 3 + ["stop"]))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (wave(["a"] * 3), "asked for 4 draws, got 3 texts"),
        (wave(["a"] * 4, finish="abort"), "finished by 'abort'"),
        (wave(["a"] * 4, tokens=np.array([1, 1, np.nan, 1])), "nan tokens"),
        (wave(["a"] * 4, tokens=np.array([1, 1, 129, 1])), "129 tokens"),
        (wave(["a"] * 4, seconds=float("nan")), "nan seconds"),
        (wave(["a\nb"] * 4), "still holds a stop string"),
        (wave(["a"] * 4, instance="j"), "the engine answered 'j'"),
        (wave(["a"] * 4, first_draw=4), "draws from 4"),
    ],
)
def test_what_was_not_asked_for_is_refused(bad: Wave, message: str) -> None:
    with pytest.raises(EngineGarbage, match=message):
        check_wave(REQUEST, bad)
