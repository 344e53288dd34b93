"""What a freshly loaded engine can do: a canary of fixed seed, and the rate at which it draws at its best."""

from __future__ import annotations

import time
from dataclasses import dataclass

from workers.engines.base import DrawRequest, Engine, EngineGarbage
from workers.engines.garbage import check_wave

CANARY_DRAWS = 64
MOST_TOKENS = 16
#: A canary of which fewer than this share was empty, and which is all empty now, speaks of a dead engine.
ANSWERED = 0.1


@dataclass(frozen=True)
class Probe:
    """What a canary said.

    answered: share of its answers that were not empty.
    tokens_per_second: generated tokens a second with `capacity` draws of one prompt; 0 where not measured.
    """

    answered: float
    tokens_per_second: float = 0.0


def canary(engine: Engine, prompt: str, *, max_tokens: int = MOST_TOKENS, draws: int = CANARY_DRAWS) -> Probe:
    """Draw a prompt with a fixed seed and without stop strings.

    Raises EngineError as `Engine.draw` does, and EngineGarbage where the answer is not what was asked for.
    """
    request = DrawRequest(
        instance="canary",
        prompt=prompt,
        first_draw=0,
        draws=draws,
        seed=0,
        stop=(),
        max_tokens=max(1, min(max_tokens, MOST_TOKENS)),
    )
    began = time.perf_counter()
    (wave,) = engine.draw([request])
    seconds = time.perf_counter() - began
    check_wave(request, wave)
    answered = sum(bool(text) for text in wave.texts) / len(wave.texts)
    return Probe(answered, int(wave.tokens.sum()) / max(seconds, 1e-9))


def probe(engine: Engine, prompt: str, *, max_tokens: int = MOST_TOKENS) -> Probe:
    """The canary, which also warms the engine up, and then the ceiling: `capacity` draws at once."""
    answered = canary(engine, prompt, max_tokens=max_tokens).answered
    full = canary(engine, prompt, max_tokens=max_tokens, draws=engine.capacity)
    return Probe(answered, full.tokens_per_second)


def compare(now: float, before: float) -> None:
    """Refuse an engine whose canary falls silent: `now` and `before` are shares of answers that were not empty.

    Raises EngineGarbage, with both shares.
    """
    if now == 0 and before >= ANSWERED:
        raise EngineGarbage(
            f"every answer to the canary prompt is empty, of which {before:.0%} were not when the checkpoint was "
            "first loaded; restart the engine and check its weights"
        )
