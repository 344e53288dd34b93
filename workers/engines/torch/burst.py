"""Keeps the rows of a static batch busy: requests wait, rows begin, end, and are given to other draws.

The host looks at the rows once every few steps. Between two looks the device runs on its own: it draws, finds
the tokens that end an answer and stops counting a row that ended. While it runs, the host turns the answers of the
last look into text.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from workers.engines.base import DrawRequest, EngineError, EngineGarbage, EngineOutOfMemory, Wave
from workers.engines.reference.philox import stream_key
from workers.engines.torch.prompts import PromptShelf
from workers.engines.torch.room import Room
from workers.engines.torch.rows import Begun, Rows
from workers.engines.torch.space import STOP_SETS

_NOWHERE = -1


@dataclass(eq=False)
class _Job:
    """A request in flight and what is known of its draws."""

    key: Hashable
    request: DrawRequest
    ids: tuple[int, ...]
    began: float
    words: tuple[int, int]
    tokens: NDArray[np.int32]
    lengths: NDArray[np.int32]
    left: int
    todo: deque[range] = field(default_factory=deque)
    slot: int = _NOWHERE
    stop_set: int = 0
    wanted: bool = True

    def take(self, most: int) -> list[int]:
        """Up to `most` draws (offsets) that have not begun."""
        taken: list[int] = []
        while self.todo and len(taken) < most:
            part = self.todo.popleft()
            head, tail = part[: most - len(taken)], part[most - len(taken) :]
            taken += head
            if tail:
                self.todo.appendleft(tail)
        return taken


class Burst:
    """The stream of the torch engine. The one used last owns the device's memory: one that idled meanwhile begins anew
    with its prompts, one that had draws in flight has lost them.

    room: makes the device's memory ready for what is asked for, and runs it.
    """

    def __init__(self, room: Room) -> None:
        self._room, self._mark = room, object()
        self._waiting: deque[_Job] = deque()
        self._jobs: dict[int, _Job] = {}
        self._by_key: dict[Hashable, _Job] = {}
        self._names = 0
        self._ended: deque[_Job] = deque()  # complete, not yet text
        self._lanes: deque[Rows] = deque()  # the one launched last comes last
        self._stalled = False  # what waits finds no place until a row ends
        self._shelf: PromptShelf | None = None
        self._stop_sets: dict[tuple[str, ...], int] = {}

    # --- the contract ---

    def submit(self, key: Hashable, request: DrawRequest) -> None:
        ids = self._room.check(request)
        job = _Job(
            key=key,
            request=request,
            ids=tuple(ids),
            began=time.perf_counter(),
            words=stream_key(request.seed, request.instance),
            tokens=np.zeros((request.draws, request.max_tokens), np.int32),
            lengths=np.zeros(request.draws, np.int32),
            left=request.draws,
            todo=deque([range(request.draws)]),
        )
        self._by_key[key] = job
        self._waiting.append(job)
        self._stalled = False

    def collect(self) -> list[tuple[Hashable, Wave]]:
        if not (self._ended and self._busy()):
            self._advance()
        while not self._ended and self._by_key:
            self._advance()
        done: list[tuple[Hashable, Wave]] = []
        # Text is made while the device runs; a lane that has nothing to do is fed first.
        while self._ended and (not done or self._busy()):
            done.append(self._wave(self._ended.popleft()))
        return done

    def abort(self, keys: Iterable[Hashable]) -> int:
        spent = 0
        given_up = set(keys)
        for job in [job for job in self._ended if job.key in given_up]:
            self._ended.remove(job)
            spent += int(job.lengths.sum())
        for key in given_up & self._by_key.keys():
            job = self._by_key.pop(key)
            job.wanted = False
            job.todo.clear()
            spent += int(job.lengths.sum())
            if job in self._waiting:
                self._waiting.remove(job)
        for name, job in list(self._jobs.items()) if self._room.user is self._mark else ():
            if not job.wanted:
                for rows in self._lanes:
                    rows.stop(name)
                if not self._runs(name):
                    self._forget(name)  # none of its draws runs, so no look would come upon it
        return spent

    # --- between looks ---

    def _advance(self) -> None:
        """Look at a lane, give its free rows away, and let it run on."""
        if self._jobs and self._room.user is not self._mark:
            self._drop_all()
            raise EngineError(
                "another stream of this engine was used while draws of this one were in flight; they are lost"
            )
        rows = self._next()
        if rows is not None and rows.ran:
            self._look(rows)
        try:
            if not self._jobs:
                if not self._waiting:
                    return
                self._lay_out()
                rows = self._lanes[0]
            assert rows is not None
            self._fill(rows)
            self._launch(rows)
            if rows.ran:
                self._admit()  # the device runs the next prompts beside these steps
            else:
                self._stalled = True
        except torch.cuda.OutOfMemoryError:
            self._start_over()
            if not self._room.halve():
                raise EngineOutOfMemory(
                    "out of device memory with the fewest rows; free memory or lower max_tokens"
                ) from None

    def _next(self) -> Rows | None:
        """The lane to look after: one that idles while draws wait, one that is done, the one launched first."""
        if self._draws_wait() and not self._stalled:
            for rows in self._lanes:
                if not rows.ran:
                    return rows
        running = [rows for rows in self._lanes if rows.ran]
        done = (rows for rows in running if not rows.lane.busy())
        return next(done, None) or next(iter(running or self._lanes), None)

    def _busy(self) -> bool:
        """Whether the device works on all that was launched."""
        running = [rows for rows in self._lanes if rows.ran]
        return bool(running) and all(rows.lane.busy() for rows in running)

    def _draws_wait(self) -> bool:
        return any(job.todo for job in (*self._jobs.values(), *self._waiting))

    def _runs(self, name: int) -> bool:
        return any(rows.has(name) for rows in self._lanes)

    def _look(self, rows: Rows) -> None:
        """Wait for a lane; note the draws that ended and the jobs that are complete."""
        self._stalled = False
        for name, draws, lengths, tokens in rows.look():
            job = self._jobs[name]
            job.tokens[draws] = tokens[:, : job.tokens.shape[1]]
            job.lengths[draws] = lengths
            job.left -= len(draws)
            if job.left == 0 or (not job.wanted and not self._runs(name)):
                self._forget(name)
                if job.wanted:
                    self._ended.append(job)

    def _forget(self, name: int) -> None:
        job = self._jobs.pop(name)
        assert self._shelf is not None
        self._shelf.release(job.slot)
        if job.wanted:
            self._by_key.pop(job.key, None)

    def _lay_out(self) -> None:
        """Nothing runs: make the space fit what waits, and know what is in it."""
        taken = self._room.user is not self._mark
        self._room.user = self._mark
        anew = self._room.prepare(
            answer=max(job.request.max_tokens for job in self._waiting),
            prompt=max(len(job.ids) for job in self._waiting),
            prompts=len({job.ids for job in self._waiting}),
        )
        if anew or taken or self._shelf is None:
            self._lanes = deque(Rows(lane) for lane in self._room.lanes)
            self._shelf = PromptShelf(self._room.shape.prompts)
            self._stop_sets = {}
        if len(self._stop_sets) >= STOP_SETS:
            self._stop_sets = {}

    def _fill(self, rows: Rows) -> None:
        """Begin draws in the rows that are free; prompts that are new are run first."""
        if not rows.make_place(self._draws_wait()):
            return
        self._admit()
        begun: list[Begun] = []
        for name, job in self._jobs.items():
            places = rows.places(job.slot, sum(map(len, job.todo))) if job.todo else []
            if places:
                draws = job.take(len(places))
                begun.append(
                    Begun(
                        name=name,
                        request=job.request,
                        places=places,
                        draws=draws,
                        slot=job.slot,
                        words=job.words,
                        stop_set=job.stop_set,
                    )
                )
        if begun:
            rows.begin(begun)

    def _launch(self, rows: Rows) -> None:
        requests = [job.request for job in self._jobs.values()]
        early = any(request.stop for request in requests) or bool(self._room.codec.eos)
        rows.launch(early=early, nucleus=any(request.top_p < 1 for request in requests))
        self._lanes.remove(rows)
        self._lanes.append(rows)

    def _admit(self) -> None:
        """Take waiting requests in, as long as their prompts find a place and rows are left for them."""
        assert self._shelf is not None
        shape = self._room.shape
        open_draws = sum(len(part) for job in self._jobs.values() for part in job.todo)
        fresh: list[tuple[int, tuple[int, ...]]] = []
        while self._waiting and open_draws < 2 * shape.rows:
            job = self._waiting[0]
            if job.request.max_tokens > shape.answer or len(job.ids) > shape.prompt:
                break  # it needs another layout: first come, first served
            job.stop_set = self._stop_set(job.request.stop)
            if job.stop_set < 0:
                break
            slot, new = self._shelf.place(job.ids)
            if slot is None:
                break
            if new:
                fresh.append((slot, job.ids))
            job.slot = slot
            self._waiting.popleft()
            self._names += 1
            self._jobs[self._names] = job
            open_draws += job.left
        if fresh:
            self._room.run_prompts(fresh)

    def _stop_set(self, stop: tuple[str, ...]) -> int:
        """The number of a set of ending tokens, or -1 while no place is free."""
        if stop not in self._stop_sets:
            number = len(self._stop_sets)
            if not self._room.set_ends(number, stop):
                return -1
            self._stop_sets[stop] = number
        return self._stop_sets[stop]

    def _start_over(self) -> None:
        """What was running is lost and begins anew: a draw's random numbers are its own, so it comes out the same."""
        for name, job in self._jobs.items():
            if job.wanted:
                draws = [draw for rows in self._lanes for draw in rows.draws(name)]
                job.todo.extendleft(range(draw, draw + 1) for draw in draws)
                job.slot = _NOWHERE
                self._waiting.appendleft(job)
        self._jobs.clear()
        self._lanes.clear()
        self._shelf, self._stalled = None, False

    def _drop_all(self) -> None:
        """The device's memory belongs to another stream, with all that was in flight here."""
        for requests in (self._jobs, self._by_key, self._waiting, self._lanes):
            requests.clear()

    def _wave(self, job: _Job) -> tuple[Hashable, Wave]:
        request, codec = job.request, self._room.codec
        last = job.tokens[np.arange(len(job.lengths)), job.lengths - 1]
        if (job.lengths < 1).any() or (last < 0).any():
            raise EngineGarbage(
                f"instance {request.instance!r}: the logits are not finite; the weights are damaged or "
                "overflow in this precision"
            )
        by_end = np.isin(last, list(codec.eos))
        kept = job.lengths - by_end
        rows = job.tokens[:, : kept.max()].tolist()
        if kept.min() < kept.max():
            rows = [row[:size] for row, size in zip(rows, kept.tolist(), strict=True)]
        texts, took = codec.endings(rows, job.ids, request.stop)
        tokens = job.lengths.astype(np.int64)
        finish = np.where(by_end, "stop", "length").tolist()
        for draw, count in took.items():
            finish[draw], tokens[draw] = "stop", count
        seconds = time.perf_counter() - job.began
        return job.key, Wave(
            instance=request.instance,
            first_draw=request.first_draw,
            texts=texts,
            tokens=tokens,
            finish=finish,
            seconds=seconds,
        )
