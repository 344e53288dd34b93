"""One endpoint in use: how much it is trusted with now. Health is progress, not an answer of /health.

The window, the requests that it may have in flight, begins small, grows with each answer and halves when the
server says that it is busy. After any other failure the endpoint rests, twice as long each time, and must answer
a probe before it gets work again.
"""

from __future__ import annotations

import asyncio
import math
import random
from dataclasses import dataclass, field

from firstlight.files.addresses import EndpointAddress
from workers.engines.openai.completions import Call
from workers.engines.openai.connection import Busy, Connection, Denied, Trouble
from workers.engines.openai.servers import Server

FIRST_WINDOW = 2
LONGEST_REST = 60.0
SLACK = 4.0


@dataclass(eq=False)
class Flight:
    """A request on its way. Once `dropped`, its answer counts for nothing."""

    call: Call
    began: float
    task: asyncio.Task[None] | None = None
    dropped: bool = False


@dataclass(eq=False)
class Endpoint:
    """One server, what it is asked for now, and how well it did so far.

    patience: seconds without any answer, beyond what its pace explains, after which it counts as dead.
    """

    address: EndpointAddress
    connection: Connection
    patience: float
    first_rest: float
    server: Server | None = None
    trusted: bool = False
    denied: bool = False
    error: Trouble | None = None
    failures: int = 0
    rest_until: float = 0.0
    window: float = FIRST_WINDOW
    flights: set[Flight] = field(default_factory=set)
    probing: asyncio.Task[None] | None = None
    progress_at: float = 0.0
    failed_at: float = -1.0
    pace_tokens: float = 0.0
    pace_seconds: float = 0.0
    busy_since: float = 0.0
    step: float = math.inf

    def room(self, now: float) -> float:
        """The free share of its requests; 0 or less: give it none."""
        if not self.trusted or self.denied or now < self.rest_until:
            return 0.0
        return (min(int(self.window), self.address.parallel) - len(self.flights)) / self.address.parallel

    def may_probe(self, now: float) -> bool:
        return not (self.trusted or self.denied or self.probing) and now >= self.rest_until

    def took_off(self, flight: Flight, now: float) -> None:
        if not self.flights:
            self.busy_since = self.progress_at = now
        self.flights.add(flight)

    def landed(self, flight: Flight, now: float) -> None:
        self.flights.discard(flight)
        self.pace_seconds += now - self.busy_since
        self.busy_since = now

    def answered(self, began: float, tokens: int, longest: int, now: float) -> None:
        """An answer of so many tokens, so many of them in its longest text."""
        self.failures = 0
        self.progress_at = now
        self.window = min(self.address.parallel, self.window + 1)
        self.pace_tokens += tokens
        self.step = min(self.step, (now - began) / max(longest, 1))
        if self.pace_seconds > 60:  # forget, slowly
            self.pace_seconds, self.pace_tokens = self.pace_seconds / 2, self.pace_tokens / 2

    def failed(self, error: Trouble, began: float, now: float) -> None:
        """A request that began at `began` failed. What fails together counts once."""
        self.error = error
        if isinstance(error, Denied):
            self.denied, self.trusted = True, False
            return
        if began < self.failed_at:
            return
        self.failed_at = now
        rest = min(LONGEST_REST, self.first_rest * 2**self.failures) * random.uniform(0.5, 1.0)
        self.failures += 1
        if isinstance(error, Busy):
            self.window = max(1.0, self.window / 2)
            rest = max(rest, error.retry_after or 0.0)
        else:
            self.window, self.trusted = 1.0, False
        self.rest_until = now + rest

    def patience_now(self) -> float:
        """Seconds that its requests in flight could take, were every text of full length.

        From what it did so far: tokens a second of all requests, and seconds a token of the quickest one.
        """
        assert self.server is not None
        pace = self.pace_tokens / self.pace_seconds if self.pace_tokens and self.pace_seconds else 0.0
        pace = pace or self.server.tokens_per_second
        step = min(self.step, self.server.seconds_a_token)
        tokens = sum(flight.call.tokens for flight in self.flights)
        longest = max((flight.call.longest for flight in self.flights), default=0)
        return self.patience + SLACK * (tokens / max(pace, 1e-3) + longest * step)

    def stalled(self, now: float) -> bool:
        """Requests are in flight and none was answered for longer than all of them could take."""
        return bool(self.flights) and now - self.progress_at > self.patience_now()
