"""Shares requests out among endpoints: whichever has room takes the next one; what fails goes to another.

Each request is answered once. One that is taken from an endpoint is dropped there before it is given to the
next, so a late answer counts for nothing. The first answer of two would be the shorter one and bias the
estimate; for the same reason nothing is taken from an endpoint that merely is slow: it must have been silent
for longer than texts of full length would need.

Everything here runs on the thread of one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workers.engines.base import EngineError, EngineGarbage, EngineRefusal
from workers.engines.openai.connection import Busy, Denied, Garbage, Impossible, Trouble
from workers.engines.openai.endpoints import Endpoint, Flight
from workers.engines.openai.servers import Server, probe
from workers.engines.text import TextCodec

log = logging.getLogger(__name__)
MOST_ATTEMPTS = 5
OPENING_PROBES = 3
LONGEST_OPENING_REST = 5.0
LOST = 3.0  # a request that others overtook for so many times its endpoint's patience is lost


@dataclass(eq=False)
class Order:
    """A call that waits or is in flight.

    settle: told once for each part of the call: its result, or the exception that ends it.
    group: what is withdrawn together.
    """

    call: Any
    settle: Callable[[Any, Any], None]
    group: object
    attempts: int = 0


class Dispatcher:
    """Orders to the endpoints that are usable, and back from those that are not.

    choices: texts that one request asks for at most.
    give_up: seconds in which no endpoint takes a request, after which everything fails.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        model: str,
        choices: int,
        codec: TextCodec | None,
        give_up: float,
    ) -> None:
        self.endpoints = endpoints
        self.servers: list[Server] = []
        self.context_length = 0
        self._model, self._choices, self._codec, self._give_up = model, choices, codec, give_up
        self._waiting: deque[Order] = deque()
        self._orders: dict[Flight, Order] = {}
        self._stuck_since: float | None = None
        self._watching: asyncio.Task[None] | None = None

    # --- What the engine calls ---

    async def open(self, grace: float) -> None:
        """Probe every endpoint, a few times; return when one is usable and the others had `grace` seconds more."""
        for _ in range(OPENING_PROBES):
            asked = [endpoint for endpoint in self.endpoints if not endpoint.denied]
            if self.servers or not asked:
                break
            first = min(endpoint.rest_until for endpoint in asked)
            await asyncio.sleep(min(first - time.monotonic(), LONGEST_OPENING_REST))
            for endpoint in asked:
                self._probe(endpoint)
            pending = {endpoint.probing for endpoint in asked if endpoint.probing}
            while pending and not self.servers:
                _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if pending:
                await asyncio.wait(pending, timeout=grace)
        self._watching = asyncio.create_task(self._watch())

    def submit(self, order: Order) -> None:
        if self._stuck_since and not self._waiting and not self._orders:
            self._stuck_since = time.monotonic()  # nobody tried in between
        self._waiting.append(order)
        self._pump()

    def withdraw(self, group: object) -> None:
        """Forget the orders of a group; connections of those in flight are closed."""
        self._waiting = deque(order for order in self._waiting if order.group is not group)
        for flight, order in list(self._orders.items()):
            if order.group is group:
                self._drop(flight)
        self._pump()

    async def close(self) -> None:
        self._waiting.clear()
        tasks = [flight.task for flight in self._orders] + [endpoint.probing for endpoint in self.endpoints]
        for flight in self._orders:
            flight.dropped = True
        for task in (alive := [task for task in [*tasks, self._watching] if task]):
            task.cancel()
        await asyncio.gather(*alive, return_exceptions=True)
        for endpoint in self.endpoints:
            await endpoint.connection.close()

    def reasons(self) -> str:
        """Why endpoints do not work, for messages."""
        return "; ".join(f"{e.address.name}: {e.error}" for e in self.endpoints if e.error)

    # --- Sharing out ---

    def _pump(self) -> None:
        now = time.monotonic()
        for endpoint in self.endpoints:
            if endpoint.may_probe(now) and (self._waiting or not endpoint.failures):
                self._probe(endpoint)
        while self._waiting:
            endpoint = max(self.endpoints, key=lambda endpoint: endpoint.room(now))
            if endpoint.room(now) <= 0:
                return
            assert endpoint.server is not None
            order = self._waiting.popleft()
            try:
                call, rest = order.call.split(endpoint.server)
            except EngineRefusal as error:
                order.settle(order.call, error)
                continue
            if rest is not None:
                self._waiting.appendleft(replace(order, call=rest))
            self._launch(endpoint, replace(order, call=call), now)

    def _launch(self, endpoint: Endpoint, order: Order, now: float) -> None:
        flight = Flight(order.call, now)
        endpoint.took_off(flight, now)
        self._orders[flight] = order
        flight.task = asyncio.create_task(self._fly(endpoint, flight, order))

    async def _fly(self, endpoint: Endpoint, flight: Flight, order: Order) -> None:
        server = endpoint.server
        assert server is not None
        try:
            answer = await endpoint.connection.post("/completions", order.call.body(server))
            outcome = order.call.read(server, answer)
        except asyncio.CancelledError:
            return  # whoever dropped it has done the rest
        except Impossible as error:
            outcome = EngineRefusal(f"{order.call.where}: endpoint {endpoint.address.name} refuses: {error}")
        except Exception as error:
            outcome = error
        if flight.dropped:
            return
        now = time.monotonic()
        self._orders.pop(flight)
        endpoint.landed(flight, now)
        if isinstance(outcome, Trouble):
            self._troubled(endpoint, flight.began, outcome, [order], now)
        else:
            if not isinstance(outcome, Exception):
                self._stuck_since = None
                tokens, longest = order.call.cost(outcome)
                endpoint.answered(flight.began, tokens, longest, now)
            order.settle(order.call, outcome)
        self._pump()

    def _troubled(
        self, endpoint: Endpoint, began: float, error: Trouble, orders: list[Order], now: float
    ) -> None:
        """Let the endpoint rest and give its orders back, or give them up after too many attempts."""
        endpoint.failed(error, began, now)
        self._stuck_since = self._stuck_since or now
        log.warning("endpoint %s: %s", endpoint.address.name, error)
        for order in reversed(orders):
            order.attempts += not isinstance(error, Busy)
            if order.attempts < MOST_ATTEMPTS:
                self._waiting.appendleft(order)
                continue
            kind = EngineGarbage if isinstance(error, Garbage) else EngineError
            last = f"{order.attempts} attempts failed, the last at {endpoint.address.name}: {error}"
            order.settle(order.call, kind(f"{order.call.where}: {last}"))

    def _drop(self, flight: Flight) -> Order:
        order = self._orders.pop(flight)
        flight.dropped = True
        for endpoint in self.endpoints:
            if flight in endpoint.flights:
                endpoint.landed(flight, time.monotonic())
        if flight.task:
            flight.task.cancel()
        return order

    # --- Health ---

    async def _watch(self) -> None:
        tick = min(0.25, *(endpoint.patience / 4 for endpoint in self.endpoints))
        while True:
            await asyncio.sleep(tick)
            now = time.monotonic()
            try:
                for endpoint in self.endpoints:
                    self._look_at(endpoint, now)
                self._pump()
            except Exception as error:  # a bug must not leave anybody waiting for ever
                self._fail_all(error)
            if self._waiting and not self._orders and self._hopeless(now):
                self._fail_all(EngineError(f"no endpoint takes requests: {self.reasons()}"))

    def _fail_all(self, error: Exception) -> None:
        lost, self._waiting = self._waiting, deque()
        for order in [*lost, *map(self._drop, list(self._orders))]:
            order.settle(order.call, error)

    def _look_at(self, endpoint: Endpoint, now: float) -> None:
        flights = sorted(endpoint.flights, key=lambda flight: flight.began)
        if endpoint.stalled(now):
            silent = Trouble(f"no answer for {now - endpoint.progress_at:.0f} s to {len(flights)} requests")
            self._troubled(endpoint, now, silent, [self._drop(flight) for flight in flights], now)
            return
        for flight in flights:
            if now - flight.began > LOST * endpoint.patience_now():
                late = Trouble(f"one request has no answer after {now - flight.began:.0f} s")
                self._troubled(endpoint, now, late, [self._drop(flight)], now)

    def _hopeless(self, now: float) -> bool:
        stuck = self._stuck_since is not None and now - self._stuck_since > self._give_up
        return stuck or all(endpoint.denied for endpoint in self.endpoints)

    def _probe(self, endpoint: Endpoint) -> None:
        endpoint.probing = asyncio.create_task(self._probed(endpoint))

    async def _probed(self, endpoint: Endpoint) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(endpoint.patience):
                server = await probe(
                    endpoint.connection, self._model, self._choices, self._codec, endpoint.server
                )
            self._welcome(endpoint, server)
        except Exception as error:
            if isinstance(error, TimeoutError):
                error = Trouble(f"no answer to a probe in {endpoint.patience:g} s")
            elif not isinstance(error, Trouble):
                error = Trouble(f"{type(error).__name__}: {error}")
            endpoint.failed(error, began, time.monotonic())
            self._stuck_since = self._stuck_since or began
        finally:
            endpoint.probing = None
        if self._watching:
            self._pump()

    def _welcome(self, endpoint: Endpoint, server: Server) -> None:
        before = endpoint.server
        if before and (before.kind, before.version) != (server.kind, server.version):
            raise Denied(f"it was {before.kind} {before.version} and is {server.kind} {server.version} now")
        if self._watching and (server.context_length or self.context_length) < self.context_length:
            raise Denied(f"its context of {server.context_length} tokens is shorter than the others'")
        endpoint.server, endpoint.trusted, endpoint.error = server, True, None
        if before is None:
            self.servers.append(server)
