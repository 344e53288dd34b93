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
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workers.engines.base import DrawRequest, EngineGarbage, EngineOutOfMemory, Wave
from workers.engines.reference.philox import stream_key
from workers.engines.text import first_stop
from workers.engines.torch.prompts import PromptShelf
from workers.engines.torch.room import Room
from workers.engines.torch.space import STOP_SETS, TILE

#: A look every so many steps at most: each costs a wait of the device, and ended rows idle until the next.
STEPS = 8
_FREE, _TAKEN = -1, -2


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
    slot: int = _FREE
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
    """The stream of the torch engine.

    :param room: makes the device's memory ready for what is asked for, and runs it
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._waiting: deque[_Job] = deque()
        self._jobs: dict[int, _Job] = {}
        self._by_key: dict[Hashable, _Job] = {}
        self._row_job = np.zeros(0, np.int64)
        self._row_draw = np.zeros(0, np.int64)
        self._tile_slot = np.zeros(0, np.int64)
        self._names = 0
        self._row_limit = np.zeros(0, np.int64)
        self._ended: deque[_Job] = deque()  # complete, not yet text
        self._used = 0  # rows that steps run over
        self._left = (0, 0)  # fewest and most tokens that living rows may still draw
        self._ran = 0  # steps launched since the last look
        self._longest = 0
        self._shelf: PromptShelf | None = None
        self._stop_sets: dict[tuple[str, ...], int] = {}

    # --- the contract ---

    def submit(self, key: Hashable, request: DrawRequest) -> None:
        ids = self._room.check(request)
        job = _Job(
            key,
            request,
            tuple(ids),
            time.perf_counter(),
            stream_key(request.seed, request.instance),
            np.zeros((request.draws, request.max_tokens), np.int32),
            np.zeros(request.draws, np.int32),
            request.draws,
            deque([range(request.draws)]),
        )
        self._by_key[key] = job
        self._waiting.append(job)

    def collect(self) -> list[tuple[Hashable, Wave]]:
        if not (self._ended and self._room.busy()):
            self._advance()
        while not self._ended and self._by_key:
            self._advance()
        done: list[tuple[Hashable, Wave]] = []
        # Text is made while the device runs; when it has nothing to do, it is fed first.
        while self._ended and (not done or self._room.busy()):
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
        for name, job in list(self._jobs.items()):
            if not job.wanted:
                rows = np.flatnonzero(self._row_job == name)
                if len(rows):
                    self._room.stop(rows)  # the next look frees them
                else:
                    self._forget(name)  # none of its draws runs, so no look would come upon it
        return spent

    # --- between looks ---

    def _advance(self) -> None:
        """Look at the rows, give the free ones away, and let the device run on."""
        if self._ran:
            self._look()
        try:
            self._fill()
            self._launch()
            if self._shelf is not None and self._ran:
                self._admit()  # the device runs the next prompts behind these steps, without a pause
        except torch.cuda.OutOfMemoryError:
            self._start_over()
            if not self._room.halve():
                raise EngineOutOfMemory(
                    "out of device memory with the fewest rows; free memory or lower max_tokens"
                ) from None

    def _look(self) -> None:
        """Wait for the steps launched; note the rows that ended and the jobs that are complete."""
        alive, lengths, out = self._room.read(self._used)
        self._ran = 0
        self._longest = int(lengths[alive].max(initial=0))
        left = (self._row_limit[: self._used] - lengths)[alive]
        self._left = (int(left.min()), int(left.max())) if len(left) else (0, 0)
        over = np.flatnonzero(~alive & (self._row_job[: self._used] != _FREE))
        names = self._row_job[over]
        self._row_job[over] = _FREE
        for name in np.unique(names).tolist():
            rows = over[names == name]
            job = self._jobs[name]
            draws = self._row_draw[rows]
            width = job.tokens.shape[1]
            job.tokens[draws] = out[rows, :width]
            job.lengths[draws] = lengths[rows]
            job.left -= len(rows)
            if job.left == 0 or (not job.wanted and not (self._row_job == name).any()):
                self._forget(name)
                if job.wanted:
                    self._ended.append(job)

    def _forget(self, name: int) -> None:
        job = self._jobs.pop(name)
        assert self._shelf is not None
        self._shelf.release(job.slot)
        if job.wanted:
            self._by_key.pop(job.key, None)

    def _fill(self) -> None:
        """Give free rows to draws that wait, or move the living together where most rows are free."""
        if not self._waiting and not self._jobs:
            return
        if not self._jobs:
            self._lay_out()
        living = self._row_job != _FREE
        count = int(living.sum())
        waiting = any(job.todo for job in (*self._jobs.values(), *self._waiting))
        total = len(self._row_job)
        if waiting and (total - count) * 4 >= total:
            if count and self._free_share(living) * 2 < (total - count) / total:
                self._compact()
            self._begin()
        elif not waiting and count and self._room.bucket(self._tight()) <= self._used // 2:
            self._compact()

    def _lay_out(self) -> None:
        """Nothing runs: make the space fit what waits."""
        made = self._room.prepare(
            answer=max(job.request.max_tokens for job in self._waiting),
            prompt=max(len(job.ids) for job in self._waiting),
            prompts=len({job.ids for job in self._waiting}),
        )
        if made or self._shelf is None:
            shape = self._room.shape
            self._room.stop(np.arange(shape.rows))  # an earlier stream may have left draws behind
            self._row_job = np.full(shape.rows, _FREE)
            self._row_draw = np.zeros(shape.rows, np.int64)
            self._row_limit = np.zeros(shape.rows, np.int64)
            self._tile_slot = np.full(shape.rows // TILE, _FREE)
            self._shelf = PromptShelf(shape.prompts)
            self._stop_sets = {}
        if len(self._stop_sets) >= STOP_SETS:
            self._stop_sets = {}
        self._used, self._longest = 0, 0

    def _free_share(self, living: NDArray[np.bool_]) -> float:
        """Share of the rows that lie in tiles without a living row."""
        return 1.0 - float(living.reshape(-1, TILE).any(1).mean())

    def _tight(self) -> int:
        """Rows that the living would take, moved together."""
        slots = np.repeat(self._tile_slot, TILE)[self._row_job != _FREE]
        _, counts = np.unique(slots, return_counts=True)
        return int((-(-counts // TILE) * TILE).sum())

    def _compact(self) -> None:
        """Move the living rows together, prompt by prompt."""
        living = np.flatnonzero(self._row_job != _FREE)
        slots = np.repeat(self._tile_slot, TILE)[living]
        source: list[int] = []
        tiles: list[int] = []
        for slot in np.unique(slots):
            rows = living[slots == slot].tolist()
            rows += [_FREE] * (-len(rows) % TILE)
            source += rows
            tiles += [int(slot)] * (len(rows) // TILE)
        moved = np.array(source)
        self._tile_slot[:] = _FREE
        self._tile_slot[: len(tiles)] = tiles
        jobs = np.where(moved == _FREE, _FREE, self._row_job[moved])
        self._row_draw[: len(moved)], self._row_limit[: len(moved)] = (
            self._row_draw[moved],
            self._row_limit[moved],
        )
        self._row_job[:] = _FREE
        self._row_job[: len(moved)] = jobs
        self._room.move(moved, self._tile_slot)
        self._used = self._room.bucket(len(moved))

    def _begin(self) -> None:
        """Begin draws in the rows that are free; prompts that are new are run first."""
        self._admit()
        placed = [
            (name, job, rows, job.take(len(rows)))
            for name, job in self._jobs.items()
            if job.todo
            for rows in [self._places(job)]
            if rows
        ]
        if not placed:
            return
        counts = [len(draws) for *_, draws in placed]
        jobs = [job for _, job, _, _ in placed]
        row = np.concatenate([rows[:count] for (_, _, rows, _), count in zip(placed, counts, strict=True)])
        draw = np.concatenate([draws for *_, draws in placed])
        self._row_job[row] = np.repeat([name for name, *_ in placed], counts)
        self._row_draw[row] = draw
        self._row_limit[row] = np.repeat([job.request.max_tokens for job in jobs], counts)

        def each(values: list[Any]) -> NDArray[Any]:
            return np.repeat(np.array(values), counts, axis=0)

        self._room.begin(
            row,
            self._tile_slot,
            prompts=each([job.slot for job in jobs]),
            key=each([job.words for job in jobs]),
            draws=draw + each([job.request.first_draw for job in jobs]),
            limit=self._row_limit[row],
            stop_set=each([job.stop_set for job in jobs]),
            temperature=each([job.request.temperature for job in jobs]),
            top_p=each([job.request.top_p for job in jobs]),
            nucleus=any(job.request.top_p < 1 for job in jobs),
        )
        self._longest = max(self._longest, 1)
        begun = int(self._row_limit[row].min()) - 1, int(self._row_limit[row].max()) - 1
        fewest, most = self._left
        self._left = (min(fewest, begun[0]), max(most, begun[1])) if most else begun
        self._used = self._room.bucket(int(np.flatnonzero(self._row_job != _FREE)[-1]) + 1)

    def _places(self, job: _Job) -> list[int]:
        """Free rows for the draws of a job that wait: in the tiles of its prompt first, then in whole free tiles."""
        wanted = sum(len(part) for part in job.todo)
        free = (self._row_job == _FREE).reshape(-1, TILE)
        shared = (self._tile_slot == job.slot)[:, None] & free & ~free.all(1, keepdims=True)
        places = np.flatnonzero(shared)[:wanted].tolist()
        tiles = np.flatnonzero(free.all(1))[: -(-(wanted - len(places)) // TILE)]
        self._tile_slot[tiles] = job.slot
        places += (tiles[:, None] * TILE + np.arange(TILE)).ravel().tolist()
        self._row_job[places[:wanted]] = _TAKEN
        return places[:wanted]

    def _admit(self) -> None:
        """Take waiting requests in, as long as their prompts find a place and rows are left for them."""
        assert self._shelf is not None
        shape = self._room.shape
        open_draws = sum(len(part) for job in self._jobs.values() for part in job.todo)
        fresh: list[tuple[int, tuple[int, ...]]] = []
        while self._waiting and open_draws < 2 * len(self._row_job):
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

    def _launch(self) -> None:
        """Let the device run until the next look: a few steps, or as many as no row can end before."""
        if not self._jobs or not (self._row_job != _FREE).any():
            return
        requests = [job.request for job in self._jobs.values()]
        fewest, most = self._left
        early = any(request.stop for request in requests) or bool(self._room.codec.eos)
        steps = min(most, max(2, min(STEPS, most // 3))) if early else fewest
        if steps:
            nucleus = any(request.top_p < 1 for request in requests)
            self._room.run(self._used, steps, longest=self._longest, nucleus=nucleus)
        self._ran = max(1, steps)

    def _start_over(self) -> None:
        """What was running is lost and begins anew: a draw's random numbers are its own, so it comes out the same."""
        for name, job in self._jobs.items():
            if job.wanted:
                draws = self._row_draw[self._row_job == name].tolist()
                job.todo.extendleft(range(draw, draw + 1) for draw in draws)
                job.slot = _FREE
                self._waiting.appendleft(job)
        self._jobs.clear()
        self._row_job[:] = _FREE
        self._ran = 0

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
        texts = codec.decode_many(rows)
        tokens = job.lengths.astype(np.int64)
        finish = np.where(by_end, "stop", "length").tolist()
        if request.stop:
            for draw, text in enumerate(texts):
                place = first_stop(text, request.stop)
                if place >= 0:
                    texts[draw], finish[draw] = text[:place], "stop"
                    ids = job.tokens[draw, : kept[draw]].tolist()
                    tokens[draw] = codec.tokens_to_stop(ids, text, request.stop)
        seconds = time.perf_counter() - job.began
        return job.key, Wave(request.instance, request.first_draw, texts, tokens, finish, seconds)
