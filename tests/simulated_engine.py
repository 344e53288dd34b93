"""An engine of slots and a clock of its own: draws take as long as they have tokens and pass with a known probability.

It decodes as a continuous batch does: `capacity` draws at once, each free slot taken by the next draw that waits,
a request done when its last draw is. A draw is a function of (instance, draw number), so it is `repeatable`.
"""

from __future__ import annotations

import heapq
import zlib
from collections import deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from workers.engines.base import DrawRequest, EngineOutOfMemory, Score, Wave, check_request
from workers.engines.streams import draw_through

PASS, FAIL = "y", "n"
CHUNK = 4096


@dataclass
class _Flight:
    request: DrawRequest
    left: int
    begun: int = 0


@dataclass
class SimulatedEngine:
    """`probabilities`: of each instance. Draws have 1 + Poisson(mean_tokens - 1) tokens, of one unit of time each.

    With `passes_are_long` a draw that passes takes five times as long, so whatever finishes first rather fails.
    `memory`: more draws in flight than this and the stream raises EngineOutOfMemory.
    """

    probabilities: Mapping[str, float]
    capacity: int = 256
    mean_tokens: float = 8.0
    passes_are_long: bool = False
    memory: int | None = None
    seed: int = 0
    repeatable: bool = True
    grain: int = 1
    name: str = "simulated"
    fingerprint: str = "simulated 1"
    context_length: int = 1 << 20
    now: float = 0.0
    busy: float = 0.0
    submitted: list[DrawRequest] = field(default_factory=list)
    _known: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def outcomes(self, instance: str, first: int, draws: int) -> tuple[np.ndarray, np.ndarray]:
        """(passes, tokens) of some draws of an instance."""
        passed, tokens = self._known.get(instance, (np.zeros(0, bool), np.zeros(0, np.int64)))
        while len(passed) < first + draws:
            rng = np.random.default_rng((self.seed, zlib.crc32(instance.encode()), len(passed)))
            more = rng.random(CHUNK) < self.probabilities[instance]
            length = 1 + rng.poisson(self.mean_tokens - 1, CHUNK)
            if self.passes_are_long:
                length = np.where(more, 5 * length, length)
            passed, tokens = np.concatenate([passed, more]), np.concatenate([tokens, length])
            self._known[instance] = passed, tokens
        return passed[first : first + draws], tokens[first : first + draws]

    def stream(self) -> SimulatedStream:
        return SimulatedStream(self)

    def draw(self, requests: Sequence[DrawRequest]) -> list[Wave]:
        return draw_through(self.stream(), requests)

    def score(
        self, pairs: Sequence[tuple[str, str]], stop: Sequence[str] = (), max_tokens: int | None = None
    ) -> list[Score]:
        raise NotImplementedError

    def close(self) -> None:
        pass


class SimulatedStream:
    def __init__(self, engine: SimulatedEngine) -> None:
        self.engine = engine
        self._flights: dict[Hashable, _Flight] = {}
        self._waiting: deque[Hashable] = deque()
        self._running: list[tuple[float, int, Hashable]] = []
        self._serial = 0

    def submit(self, key: Hashable, request: DrawRequest) -> None:
        check_request(request)
        assert key not in self._flights
        self.engine.submitted.append(request)
        self._flights[key] = _Flight(request, request.draws)
        self._waiting.append(key)

    def collect(self) -> list[tuple[Hashable, Wave]]:
        if not self._flights:
            return []
        in_flight = sum(flight.request.draws for flight in self._flights.values())
        if self.engine.memory is not None and in_flight > self.engine.memory:
            raise EngineOutOfMemory(f"{in_flight} draws do not fit")
        while True:
            self._start()
            end, _, key = heapq.heappop(self._running)
            alive = min(len(self._running) + 1, self.engine.capacity)
            self.engine.busy += (end - self.engine.now) * alive
            self.engine.now = end
            flight = self._flights.get(key)
            if flight is None:
                continue
            flight.left -= 1
            if flight.left == 0:
                del self._flights[key]
                return [(key, self._wave(flight.request))]

    def abort(self, keys: Iterable[Hashable]) -> int:
        gone = {key for key in keys if self._flights.pop(key, None)}
        running = [entry for entry in self._running if entry[2] not in gone]
        spent = sum(self.engine.mean_tokens for entry in self._running if entry[2] in gone) / 2
        heapq.heapify(running)
        self._running = running
        self._waiting = deque(key for key in self._waiting if key not in gone)
        return round(spent)

    def _start(self) -> None:
        while self._waiting and len(self._running) < self.engine.capacity:
            flight = self._flights[self._waiting[0]]
            request = flight.request
            _, tokens = self.engine.outcomes(request.instance, request.first_draw + flight.begun, 1)
            self._serial += 1
            entry = (self.engine.now + float(tokens[0]), self._serial, self._waiting[0])
            heapq.heappush(self._running, entry)
            flight.begun += 1
            if flight.begun == request.draws:
                self._waiting.popleft()

    def _wave(self, request: DrawRequest) -> Wave:
        passed, tokens = self.engine.outcomes(request.instance, request.first_draw, request.draws)
        texts = [PASS if ok else FAIL for ok in passed]
        tokens = np.minimum(tokens, request.max_tokens)
        return Wave(request.instance, request.first_draw, texts, tokens, ["stop"] * len(texts), 0.0)
