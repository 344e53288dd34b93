"""Streams over engines that draw in calls, and calls over engines that draw in streams."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

from workers.engines.base import DrawRequest, EngineError, Stream, Wave


class CallStream:
    """A stream over an engine that answers whole calls: requests wait until `collect`, which draws some of them.

    draw: the engine's `draw`.
    check: refuses one request that cannot be (`EngineRefusal`), without drawing.
    call_seconds: a call is cut to about this long, from the rate of the calls so far; one request is never cut.
    """

    def __init__(
        self,
        draw: Callable[[Sequence[DrawRequest]], list[Wave]],
        check: Callable[[DrawRequest], object],
        *,
        call_seconds: float = 4.0,
        tokens_per_second: float = 5000.0,
    ) -> None:
        self._draw, self._check = draw, check
        self._waiting: dict[Hashable, DrawRequest] = {}
        self._call_seconds, self._rate = call_seconds, tokens_per_second

    def submit(self, key: Hashable, request: DrawRequest) -> None:
        self._check(request)
        self._waiting[key] = request

    def collect(self) -> list[tuple[Hashable, Wave]]:
        keys = self._next_call()
        if not keys:
            return []
        waves = self._draw([self._waiting.pop(key) for key in keys])
        tokens = sum(int(wave.tokens.sum()) for wave in waves)
        seconds = sum(wave.seconds for wave in waves)
        if tokens and seconds > 0:
            self._rate = 0.5 * self._rate + 0.5 * tokens / seconds
        return list(zip(keys, waves, strict=True))

    def abort(self, keys: Iterable[Hashable]) -> int:
        for key in keys:
            self._waiting.pop(key, None)
        return 0  # what waits has cost nothing

    def _next_call(self) -> list[Hashable]:
        keys: list[Hashable] = []
        load = 0.0
        for key, request in self._waiting.items():
            cost = request.draws * request.max_tokens / self._rate
            if keys and load + cost > self._call_seconds:
                break
            keys.append(key)
            load += cost
        return keys


def draw_through(stream: Stream, requests: Sequence[DrawRequest]) -> list[Wave]:
    """One wave a request, in the order of the requests, by an engine that draws in streams."""
    done: dict[Hashable, Wave] = {}
    try:
        for index, request in enumerate(requests):
            stream.submit(index, request)
        while len(done) < len(requests):
            ended = stream.collect()
            if not ended:
                raise EngineError(f"the engine lost {len(requests) - len(done)} of {len(requests)} requests")
            done.update(ended)
    except BaseException:
        stream.abort(range(len(requests)))
        raise
    return [done[index] for index in range(len(requests))]
