"""A stream over the dispatcher: parts of a request end in any order, its wave is put together in draw order."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import numpy as np

from workers.engines.base import DrawRequest, EngineError, Wave
from workers.engines.openai.completions import DrawCall, Drawn
from workers.engines.openai.dispatch import Dispatcher, Order
from workers.engines.openai.loop import LoopThread


@dataclass(eq=False)
class _Pending:
    """A request in flight; its parts arrive on the loop's thread."""

    key: Hashable
    request: DrawRequest
    finished: SimpleQueue[_Pending]
    began: float
    ended: float = 0.0
    parts: list[Drawn] = field(default_factory=list)
    drawn: int = 0
    error: Exception | None = None

    def settle(self, call: DrawCall, result: Drawn | Exception) -> None:
        if self.ended:
            return
        if isinstance(result, Exception):
            self.error = result
        else:
            self.parts.append(result)
            self.drawn += len(result.texts)
        if self.error or self.drawn == self.request.draws:
            self.ended = time.monotonic()
            self.finished.put(self)

    def wave(self, seconds: float) -> Wave:
        parts = sorted(self.parts, key=lambda part: part.first)
        return Wave(
            instance=self.request.instance,
            first_draw=self.request.first_draw,
            texts=[text for part in parts for text in part.texts],
            tokens=np.concatenate([part.tokens for part in parts]),
            finish=[how for part in parts for how in part.finish],
            seconds=seconds,
        )


class OpenAIStream:
    """Requests in flight at the endpoints.

    call: turns a request into a `DrawCall`; raises EngineRefusal where it cannot be.
    """

    def __init__(
        self, loop: LoopThread, dispatcher: Dispatcher, call: Callable[[DrawRequest], DrawCall]
    ) -> None:
        self._loop, self._dispatcher, self._call = loop, dispatcher, call
        self._open: dict[Hashable, _Pending] = {}
        self._finished: SimpleQueue[_Pending] = SimpleQueue()
        self._charged = 0.0

    def submit(self, key: Hashable, request: DrawRequest) -> None:
        call = self._call(request)
        pending = _Pending(key, request, self._finished, time.monotonic())
        self._open[key] = pending
        self._loop.call(self._dispatcher.submit, Order(call, pending.settle, pending))

    def collect(self) -> list[tuple[Hashable, Wave]]:
        done: list[tuple[Hashable, Wave]] = []
        while self._open and (not done or not self._finished.empty()):
            pending = self._finished.get()
            if self._open.get(pending.key) is not pending:
                continue  # given up while its last part arrived
            del self._open[pending.key]
            if pending.error:
                self.abort(list(self._open))
                raise _as_engine_error(pending.error) from pending.error
            # requests overlap: each is charged the time since the one before it ended, so that the sum is time passed
            began = max(self._charged, pending.began)
            self._charged = max(self._charged, pending.ended)
            done.append((pending.key, pending.wave(max(0.0, pending.ended - began))))
        return done

    def abort(self, keys: Iterable[Hashable]) -> int:
        tokens = 0
        for key in keys:
            pending = self._open.pop(key, None)
            if pending is not None:
                self._loop.call(self._dispatcher.withdraw, pending)
                tokens += sum(int(part.tokens.sum()) for part in list(pending.parts))
        return tokens

    def abort_all(self) -> None:
        self.abort(list(self._open))


def _as_engine_error(error: Any) -> EngineError:
    return error if isinstance(error, EngineError) else EngineError(f"{type(error).__name__}: {error}")
