"""Is a wave what was asked for? Garbage is refused; it is never counted as failures."""

from __future__ import annotations

import math
from collections import Counter

from workers.engines.base import DrawRequest, EngineGarbage, Wave

# What a dead engine prints. Logits of NaN pick token 0, which is "!" in GPT-2's and many later
# vocabularies; the others are what broken decoding leaves.
SUSPICIOUS = frozenset("!\ufffd\x00")
SUSPICIOUS_SHARE = 0.9
ENOUGH_CHARACTERS = 256


def check_wave(request: DrawRequest, wave: Wave) -> None:
    """Refuse a wave of another shape than its request's, or one that only a broken engine gives.

    The check on one token that fills over 90% of a batch holds for SUSPICIOUS characters alone, and only
    where every draw ran to its full length. Small models repeat themselves: hundreds of draws of " 0 0 0"
    or of one newline are a true, bad answer, and refusing them would bias the estimate upwards. A prompt
    that itself holds the character (a task about exclamation marks) is exempt, and so is greedy decoding,
    whose draws are all alike.

    Raises EngineGarbage, saying what was expected and what was found.
    """
    where = f"instance {request.instance!r}, draws from {request.first_draw}"
    if (wave.instance, wave.first_draw) != (request.instance, request.first_draw):
        raise EngineGarbage(f"{where}: the engine answered {wave.instance!r}, draws from {wave.first_draw}")
    lengths = (len(wave.texts), len(wave.tokens), len(wave.finish))
    if lengths != (request.draws,) * 3:
        raise EngineGarbage(
            f"{where}: asked for {request.draws} draws, got {lengths[0]} texts, {lengths[1]} token counts, "
            f"{lengths[2]} finish reasons"
        )
    if not (math.isfinite(wave.seconds) and wave.seconds >= 0):
        raise EngineGarbage(f"{where}: the engine took {wave.seconds} seconds")
    for text, tokens, finish in zip(wave.texts, wave.tokens, wave.finish, strict=True):
        if not isinstance(text, str) or finish not in ("stop", "length"):
            raise EngineGarbage(f"{where}: a draw of type {type(text).__name__} finished by {finish!r}")
        if not (math.isfinite(tokens) and 0 <= tokens <= request.max_tokens):
            raise EngineGarbage(f"{where}: a draw of {tokens} tokens, asked for at most {request.max_tokens}")
        if any(stop in text for stop in request.stop):
            raise EngineGarbage(f"{where}: a text still holds a stop string, so the engine ignored it")
    _check_repetition(where, request, wave)


def _check_repetition(where: str, request: DrawRequest, wave: Wave) -> None:
    if request.temperature == 0 or any(finish != "length" for finish in wave.finish):
        return
    counts: Counter[str] = Counter()
    for text in wave.texts:
        counts.update(text)
    total = counts.total()
    if total < ENOUGH_CHARACTERS:
        return
    character, count = counts.most_common(1)[0]
    if character in SUSPICIOUS and character not in request.prompt and count > SUSPICIOUS_SHARE * total:
        raise EngineGarbage(
            f"{where}: {character!r} is {count} of {total} characters and no draw ended by itself; "
            "restart the engine and check its weights"
        )
