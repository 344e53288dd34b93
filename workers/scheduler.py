"""The wave scheduler: keeps an engine's draws in flight, for the units that will most surely need them.

No engine knows about passes and no stopping rule knows about engines: they meet here. A unit (one instance
of a run) has waves of draws that follow each other, perhaps several in flight. They end in any order; they
are judged at once and handed on in draw order. The rule decides on the draws that are complete from the first
one on, so what a wave holds never decides whether it counts. Once a unit is finished, what it still has in
flight is given up: the decision did not look at it.

Waves in flight are always waited for, also where no new ones are asked for any more. To drop one because it
is late and to draw it again would keep the short answers and replace the long ones.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from firstlight.files.decoding import Decoding
from firstlight.files.task_file import InstanceSpec
from passuntil.rules import InstanceRule
from workers.engines import check_wave
from workers.engines.base import DrawRequest, Engine, EngineOutOfMemory, EngineRefusal, Wave
from workers.graders import GraderRefusal, check_gradable
from workers.waves import Judged, judge, request_for

log = logging.getLogger(__name__)
#: A draw is asked for when it will be needed with at least the last of these probabilities; while there are units
#: that wait, with at least the first.
LEVELS = (0.98, 0.92)
#: Draws in flight for each that the engine draws side by side: requests end with their slowest draw, and until then
#: the places of the others must not stay empty.
IN_FLIGHT = 4
#: Draws of one request at most, and never more than the engine draws side by side: what waits for its slowest draw.
MAX_WAVE = 512
#: Where memory runs out, no fewer draws than these are tried side by side.
LEAST_IN_FLIGHT = 8
#: A request in flight: the unit's key and the first draw. An engine sees no other name of it.
Key = tuple[Hashable, int]


@dataclass(eq=False)
class DrawnUnit:
    """One instance that is being drawn.

    key: the caller's name for it; two tasks may have instances of one id.
    drawn: draws complete from the first one on, with `passes` among them.
    asked: the first draw that no request was made for.
    early: judged waves before which others are still missing, by their first draw.
    in_flight: first draws of the waves that the engine has.
    needed: draws beyond `drawn` that are needed at each of LEVELS, and the most that the rule allows.
    """

    key: Hashable
    spec: InstanceSpec
    rule: InstanceRule
    decoding: Decoding
    drawn: int = 0
    passes: int = 0
    asked: int = field(init=False)
    early: dict[int, Judged] = field(default_factory=dict, init=False)
    in_flight: set[int] = field(default_factory=set, init=False)
    needed: list[int] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.asked = self.drawn


@dataclass(frozen=True, eq=False)
class Progress:
    """What came of a unit in one step.

    waves: judged, in draw order, the first one following what was known before.
    finished: the rule needs no more.
    refused: why the engine can never draw this unit, or "".
    given_up_draws: draws begun in vain that are in none of the waves, and their tokens.
    """

    key: Hashable
    waves: list[Judged]
    finished: bool = False
    refused: str = ""
    given_up_draws: int = 0
    given_up_tokens: int = 0


class Scheduler:
    """Draws units with one engine until their rules are done.

    An engine has a `grain`: the draws that one request computes at least (the reference engine decodes blocks of 64).
    Draws up to it cost nothing, so requests are rounded up to it, and what of that is not needed is overshoot.

    most: draws in flight; IN_FLIGHT times the engine's capacity if left out.
    grain: the engine's own if left out.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        most: int | None = None,
        grain: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engine = engine
        self.most = max(1, IN_FLIGHT * engine.capacity if most is None else most)
        self.grain = engine.grain if grain is None else grain
        self.hungry = False
        self._stream = engine.stream()
        self._clock = clock
        self._mark = clock()
        self._backlog: deque[DrawnUnit] = deque()
        self._active: dict[Hashable, DrawnUnit] = {}
        self._stale: dict[Hashable, DrawnUnit] = {}
        #: units that may want more at each level: most do not at most times, and are not looked at again
        self._wants: list[dict[Hashable, DrawnUnit]] = [{} for _ in LEVELS]
        self._requests: dict[Key, DrawRequest] = {}
        self._flying = 0
        self._short_of_memory = 0

    @property
    def idle(self) -> bool:
        """Nothing is in flight and no unit is in hand."""
        return not (self._requests or self._backlog or self._active)

    @property
    def in_flight(self) -> int:
        """Draws in flight."""
        return self._flying

    def add(self, units: Iterable[DrawnUnit]) -> None:
        """Take units in hand; they are begun as soon as there is room for them."""
        self._backlog.extend(units)
        self.hungry = False

    def drop(self, key: Hashable) -> tuple[int, int]:
        """Let go of a unit, of whatever it has in flight too. Returns (draws, tokens) spent on that in vain."""
        unit = self._active.pop(key, None)
        if unit is None:
            self._backlog = deque(waiting for waiting in self._backlog if waiting.key != key)
            return 0, 0
        for units in (self._stale, *self._wants):
            units.pop(key, None)
        return self._give_up(unit)

    def step(self, *, fill: bool = True) -> list[Progress]:
        """Ask for draws (unless not `fill`), wait until some are done, judge them. What came of whom.

        Nothing where nothing is in flight: then the scheduler is idle, or was told not to fill.

        Raises EngineError: what was in flight is lost; so is the scheduler.
        """
        refused = self._fill() if fill else []
        try:
            ended = self._stream.collect() if self._requests else []
        except EngineOutOfMemory as error:
            self._shrink(error)
            return refused
        if ended:
            self._short_of_memory = 0
        waves: list[tuple[Key, DrawRequest, Wave]] = []
        for key, wave in ended:
            request = self._requests.pop(cast(Key, key), None)
            if request:  # else it was given up and came all the same
                waves.append((cast(Key, key), request, wave))
        self._flying -= sum(request.draws for _, request, _ in waves)
        touched = self._judge(waves)
        return [*refused, *(self._advance(unit) for unit in touched)]

    # --- asking ---

    def _fill(self) -> list[Progress]:
        """Submit waves while there is room: the draws that are most surely needed first."""
        refused: list[Progress] = []
        self.hungry = False
        if self._flying >= self.most:
            return refused
        self._look_ahead()
        for level in range(len(LEVELS)):
            wants = self._wants[level]
            for unit in list(wants.values()):
                self._submit(unit, level, refused)
                if self._flying >= self.most:
                    return refused
                wants.pop(unit.key, None)  # nothing more, until its counts change
            while level == 0 and self._backlog:
                unit = self._backlog.popleft()
                self._active[unit.key] = self._stale[unit.key] = unit
                self._look_ahead()
                self._submit(unit, level, refused)
                if self._flying >= self.most:
                    return refused
            self.hungry = True
        return refused

    def _look_ahead(self) -> None:
        """How many draws ahead each unit needs, at each level, where its counts changed."""
        by_rule: dict[InstanceRule, list[DrawnUnit]] = {}
        for unit in self._stale.values():
            by_rule.setdefault(unit.rule, []).append(unit)
        for rule, units in by_rule.items():
            counts = np.array([(unit.drawn, unit.passes) for unit in units])
            needed = rule.draws_needed(counts[:, 0], counts[:, 1], level=(*LEVELS, 0.0))
            for unit, row in zip(units, needed.tolist(), strict=True):
                unit.needed = row
                for wants in self._wants:
                    wants[unit.key] = unit
        self._stale.clear()

    def _submit(self, unit: DrawnUnit, level: int, refused: list[Progress]) -> None:
        ahead = unit.asked - unit.drawn
        # a few draws behind many would be a request for little
        if ahead and unit.needed[level] - ahead < max(ahead // 2, self.grain):
            return
        while self._flying < self.most and (want := unit.needed[level] - (unit.asked - unit.drawn)) > 0:
            room = unit.needed[-1] - (unit.asked - unit.drawn)
            draws = min(-(-want // self.grain) * self.grain, room, MAX_WAVE, max(self.most // IN_FLIGHT, 1))
            request = request_for(unit.spec, unit.decoding, first_draw=unit.asked, draws=draws)
            try:
                check_gradable(unit.spec)
                self._stream.submit((unit.key, unit.asked), request)
            except (EngineRefusal, GraderRefusal) as error:
                draws, tokens = self.drop(unit.key)
                refused.append(Progress(unit.key, [], False, str(error), draws, tokens))
                return
            self._requests[unit.key, unit.asked] = request
            unit.in_flight.add(unit.asked)
            self._flying += request.draws
            unit.asked += request.draws

    def _shrink(self, error: EngineOutOfMemory) -> None:
        """Halve what is kept in flight and ask again for all that is not complete."""
        least = min(LEAST_IN_FLIGHT, self.most)
        self._short_of_memory = self._short_of_memory + 1 if self.most == least else 0
        if self._short_of_memory == 2:
            raise error
        self.most = max(self.most // 2, least)
        log.warning("out of memory: %s draws in flight from now on (%s)", self.most, error)
        self._stream = self.engine.stream()
        self._requests.clear()
        self._flying = 0
        for unit in self._active.values():
            unit.asked = unit.drawn
            unit.early.clear()
            unit.in_flight.clear()
            self._stale[unit.key] = unit

    # --- judging ---

    def _judge(self, waves: list[tuple[Key, DrawRequest, Wave]]) -> list[DrawnUnit]:
        """Judge waves; the units that they belong to. The device's time is shared out by tokens."""
        for _, request, wave in waves:
            check_wave(request, wave)
        now = self._clock()
        elapsed, self._mark = now - self._mark, now
        total = sum(int(wave.tokens.sum()) for _, _, wave in waves)
        touched: dict[Hashable, DrawnUnit] = {}
        for (key, first), _, wave in waves:
            unit = touched[key] = self._active[key]
            seconds = elapsed * int(wave.tokens.sum()) / total if total else elapsed / len(waves)
            unit.in_flight.discard(first)
            unit.early[first] = judge(key, unit.spec, wave, seconds=seconds)
        return list(touched.values())

    def _advance(self, unit: DrawnUnit) -> Progress:
        """Hand on what is complete in draw order, and let the rule decide."""
        ready: list[Judged] = []
        while (wave := unit.early.pop(unit.drawn, None)) is not None:
            ready.append(wave)
            unit.drawn += wave.draws
            unit.passes += int(wave.passed.sum())
            self._stale[unit.key] = unit
            if unit.rule.is_done((unit.drawn, unit.passes)):
                draws, tokens = self.drop(unit.key)
                return Progress(unit.key, ready, True, "", draws, tokens)
        return Progress(unit.key, ready)

    def _give_up(self, unit: DrawnUnit) -> tuple[int, int]:
        """Abort what a unit has in flight; (draws, tokens) that were spent and are in no wave handed on."""
        keys = [(unit.key, first) for first in unit.in_flight]
        begun = sum(self._requests.pop(key).draws for key in keys)
        self._flying -= begun
        aborted = self._stream.abort(keys) if keys else 0
        early = unit.early.values()
        draws = sum(wave.draws for wave in early) + (begun if aborted else 0)
        return draws, sum(int(wave.tokens.sum()) for wave in early) + aborted
