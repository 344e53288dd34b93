"""Philox4x32-10: known answers, and streams that depend on nothing but their key and counter."""

from __future__ import annotations

import numpy as np
import pytest

from workers.engines.reference.philox import philox4x32, stream_key, uniforms

ONES = 0xFFFFFFFF
KNOWN = [
    ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ((ONES,) * 4, (ONES, ONES), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_it_gives_the_known_answers(counter: tuple, key: tuple, expected: str) -> None:
    assert " ".join(f"{int(word):08x}" for word in philox4x32(counter, key)) == expected


def test_uniforms_of_many_draws_are_those_of_each_alone() -> None:
    key = stream_key(7, "a")
    draws = np.array([0, 5, 2**32 - 1, 2**32, 2**40 + 3])
    together = uniforms(key, draws, np.arange(4)[:, None])
    for position in range(4):
        for place, draw in enumerate(draws):
            assert uniforms(key, draw, position) == together[position, place]
    assert len(np.unique(together)) == together.size


def test_uniforms_are_uniform_and_below_one() -> None:
    values = uniforms(stream_key(0, "x"), np.arange(200_000), 0)
    assert values.min() >= 0
    assert values.max() < 1
    counts = np.histogram(values, bins=100, range=(0, 1))[0]
    assert 60 < ((counts - 2000) ** 2 / 2000).sum() < 150  # chi-squared with 99 degrees of freedom


def test_seed_and_instance_both_turn_the_key() -> None:
    keys = {stream_key(seed, name) for seed in (0, 1, -1, 2**70) for name in ("", "a", "1", "ä")}
    assert len(keys) == 16
