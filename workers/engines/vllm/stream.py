"""Draws in flight in a vLLM core: submitted, stepped, ended by token or by text, put back in draw order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.engines.base import DrawRequest, Wave
from workers.engines.text import TextCodec, first_stop
from workers.engines.vllm.core import Core
from workers.engines.vllm.stops import Ends

#: What a request needs before it is added: its prompt's tokens, its ends, and vLLM's validated form of it.
Prepare = Callable[[DrawRequest], tuple[list[int], Ends, Any]]


def draw_seeds(request: DrawRequest) -> range:
    """One seed a draw: a hash of (seed, instance) plus the draw's number.

    So a draw keeps its seed however draws are cut into requests, and no two draws of an instance share one,
    not even their low 32 bits, which are all that the CPU's generator takes. Of different instances or run
    seeds two ranges of a million draws meet once in 10^12 on a GPU (62 bits).
    """
    # str(seed) holds no NUL, so no two pairs give the same bytes
    key = f"{request.seed}\0{request.instance}".encode("utf-8", "surrogatepass")
    base = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") >> 2
    return range(base + request.first_draw, base + request.first_draw + request.draws)


class VllmStream:
    """Requests in flight over a core that other streams and scores may use too."""

    def __init__(self, core: Core, codec: TextCodec, prepare: Prepare) -> None:
        self._core, self._codec, self._prepare = core, codec, prepare
        self._flying: dict[Hashable, _Draws] = {}

    def submit(self, key: Hashable, request: DrawRequest) -> None:
        prompt, ends, prepared = self._prepare(request)
        draws = _Draws(self._codec, request, prompt, ends)
        draws.names = self._core.add(draws, prepared, draw_seeds(request))
        self._flying[key] = draws

    def collect(self) -> list[tuple[Hashable, Wave]]:
        while self._flying:
            done = [key for key, draws in self._flying.items() if not draws.left]
            if done:
                return [(key, self._flying.pop(key).wave()) for key in done]
            try:
                self._core.step()
            except BaseException:
                self._flying.clear()
                raise
        return []

    def abort(self, keys: Iterable[Hashable]) -> int:
        spent = 0
        for key in keys:
            draws = self._flying.pop(key, None)
            if draws is not None:
                self._core.abort(draws.names)
                spent += sum(map(len, draws.tokens))
        return spent


class _Draws:
    """The draws of one request while they run: a `Sink` of the core."""

    def __init__(self, codec: TextCodec, request: DrawRequest, prompt: list[int], ends: Ends) -> None:
        self._codec, self._request, self._prompt, self._ends = codec, request, prompt, ends
        self.names: list[str] = []
        self.tokens: list[list[int]] = [[] for _ in range(request.draws)]
        self.left = request.draws
        self.seconds = 0.0
        self._stopped: NDArray[np.bool_] = np.zeros(request.draws, bool)

    def take(self, row: int, output: Any) -> bool:
        tokens, watch = self.tokens[row], self._ends.watch
        for token in output.new_token_ids:
            tokens.append(token)
            if token in self._ends.ids or (watch is not None and watch[token] and self._spelled(tokens)):
                self._stopped[row] = True
                break
        # vLLM may also have given up the sequence, which is neither
        ended = bool(self._stopped[row]) or len(tokens) >= self._request.max_tokens
        self.left -= ended
        return ended

    def wave(self) -> Wave:
        """All draws, in their order."""
        eos, request = self._codec.eos, self._request
        texts = self._codec.decode_many(
            [tokens[:-1] if tokens[-1] in eos else tokens for tokens in self.tokens], self._prompt
        )
        for row in np.flatnonzero(self._stopped):
            place = first_stop(texts[row], request.stop)
            if place >= 0:
                texts[row] = texts[row][:place]
        lengths = np.array([len(tokens) for tokens in self.tokens], np.int64)
        finish = ["stop" if stopped else "length" for stopped in self._stopped]
        return Wave(
            instance=request.instance,
            first_draw=request.first_draw,
            texts=texts,
            tokens=lengths,
            finish=finish,
            seconds=self.seconds,
        )

    def _spelled(self, tokens: list[int]) -> bool:
        return first_stop(self._codec.decode(tokens, self._prompt), self._request.stop) >= 0
