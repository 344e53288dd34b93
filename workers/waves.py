"""Waves: draws of one instance that follow each other, asked for in one request and judged together."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firstlight.files.decoding import Decoding
from firstlight.files.task_file import InstanceSpec
from workers.engines.base import DrawRequest, Wave
from workers.graders import grade


@dataclass(frozen=True, eq=False)
class Judged:
    """Draws after grading, in draw order.

    key: of the unit.
    passed: bool, shape (draws,).
    tokens: int64, shape (draws,), generated tokens of each.
    texts: shape (draws,).
    seconds: the share of the device's time that they took.
    """

    key: Hashable
    first_draw: int
    passed: NDArray[np.bool_]
    tokens: NDArray[np.int64]
    texts: list[str]
    seconds: float

    @property
    def draws(self) -> int:
        return len(self.texts)


def request_for(spec: InstanceSpec, decoding: Decoding, *, first_draw: int, draws: int) -> DrawRequest:
    """Some draws of an instance."""
    return DrawRequest(
        instance=spec.id,
        prompt=spec.prompt,
        first_draw=first_draw,
        draws=draws,
        seed=decoding.seed,
        stop=spec.stop,
        max_tokens=spec.max_tokens,
        temperature=decoding.temperature,
        top_p=decoding.top_p,
    )


def judge(key: Hashable, spec: InstanceSpec, wave: Wave, *, seconds: float) -> Judged:
    """Grade a wave. Repeats are graded once: small models repeat themselves a lot."""
    verdicts: dict[str, bool] = {}
    for text in wave.texts:
        if text not in verdicts:
            verdicts[text] = grade(text, spec)
    passed = np.fromiter((verdicts[text] for text in wave.texts), dtype=bool, count=len(wave.texts))
    return Judged(key, wave.first_draw, passed, wave.tokens, wave.texts, seconds)
