"""Which draw is in which row of a lane: begun, looked at, moved together, ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.engines.base import DrawRequest
from workers.engines.torch.lane import Lane
from workers.engines.torch.space import TILE

#: A look every so many steps at most: each costs a wait of the device, and ended rows idle until the next.
STEPS = 8
_FREE, _TAKEN = -1, -2


@dataclass(frozen=True)
class Begun:
    """Draws of one request that begin.

    name: of the request.
    places: their rows.
    draws: offsets within the request.
    slot: where its prompt is kept.
    words: key of its random numbers.
    """

    name: int
    request: DrawRequest
    places: list[int]
    draws: list[int]
    slot: int
    words: tuple[int, int]
    stop_set: int


class Rows:
    """Host side of a lane.

    ran: steps launched since the last look; 0 where the lane idles.
    """

    def __init__(self, lane: Lane) -> None:
        self.lane, self.ran = lane, 0
        self._job = np.full(lane.rows, _FREE)
        self._draw = np.zeros(lane.rows, np.int64)
        self._limit = np.zeros(lane.rows, np.int64)
        self._tile_slot = np.full(lane.rows // TILE, _FREE)
        self._used = 0  # rows that steps run over
        self._left = (0, 0)  # fewest and most tokens that living rows may still draw
        self._longest = 0
        lane.stop(np.arange(lane.rows))  # an earlier stream may have left draws behind

    def has(self, name: int) -> bool:
        """Whether a request has rows here."""
        return bool((self._job == name).any())

    def draws(self, name: int) -> list[int]:
        """Draws of a request that are here."""
        here: list[int] = self._draw[self._job == name].tolist()
        return here

    def stop(self, name: int) -> None:
        """End the rows of a request; the next look frees them."""
        rows = np.flatnonzero(self._job == name)
        if len(rows):
            self.lane.stop(rows)

    def look(self) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]]:
        """Wait for the steps launched and free the rows that ended: (request, its draws, lengths, tokens)."""
        alive, lengths, out = self.lane.read(self._used)
        self.ran = 0
        self._longest = int(lengths[alive].max(initial=0))
        left = (self._limit[: self._used] - lengths)[alive]
        self._left = (int(left.min()), int(left.max())) if len(left) else (0, 0)
        over = np.flatnonzero(~alive & (self._job[: self._used] != _FREE))
        names = self._job[over]
        self._job[over] = _FREE
        for name in np.unique(names).tolist():
            rows = over[names == name]
            yield name, self._draw[rows], lengths[rows], out[rows]

    def make_place(self, waiting: bool) -> bool:
        """Move the living together where that pays; whether draws that wait should begin now."""
        living = self._job != _FREE
        count, total = int(living.sum()), len(self._job)
        if waiting:
            if (total - count) * 4 < total:
                return False
            free_tiles = 1.0 - float(living.reshape(-1, TILE).any(1).mean())
            if count and free_tiles * 2 < (total - count) / total:
                self._compact()
            return True
        if count and self.lane.bucket(self._tight()) <= self._used // 2:
            self._compact()
        return False

    def places(self, slot: int, wanted: int) -> list[int]:
        """Free rows for draws of a prompt: in its tiles first, then in whole free tiles. They are taken."""
        free = (self._job == _FREE).reshape(-1, TILE)
        shared = (self._tile_slot == slot)[:, None] & free & ~free.all(1, keepdims=True)
        places: list[int] = np.flatnonzero(shared)[:wanted].tolist()
        tiles = np.flatnonzero(free.all(1))[: -(-(wanted - len(places)) // TILE)]
        self._tile_slot[tiles] = slot
        places += (tiles[:, None] * TILE + np.arange(TILE)).ravel().tolist()
        self._job[places[:wanted]] = _TAKEN
        return places[:wanted]

    def begin(self, begun: list[Begun]) -> None:
        """Begin draws in their places."""
        counts = [len(each.draws) for each in begun]
        requests = [each.request for each in begun]
        row = np.concatenate([each.places for each in begun])
        draw = np.concatenate([each.draws for each in begun])
        self._job[row] = np.repeat([each.name for each in begun], counts)
        self._draw[row] = draw
        self._limit[row] = np.repeat([request.max_tokens for request in requests], counts)
        self.lane.begin(
            row,
            self._tile_slot,
            prompts=np.repeat([each.slot for each in begun], counts),
            key=np.repeat([each.words for each in begun], counts, axis=0),
            draws=draw + np.repeat([request.first_draw for request in requests], counts),
            limit=self._limit[row],
            stop_set=np.repeat([each.stop_set for each in begun], counts),
            temperature=np.repeat([float(request.temperature) for request in requests], counts),
            top_p=np.repeat([float(request.top_p) for request in requests], counts),
            nucleus=any(request.top_p < 1 for request in requests),
        )
        self._longest = max(self._longest, 1)
        begun_left = int(self._limit[row].min()) - 1, int(self._limit[row].max()) - 1
        fewest, most = self._left
        self._left = (min(fewest, begun_left[0]), max(most, begun_left[1])) if most else begun_left
        self._used = self.lane.bucket(int(np.flatnonzero(self._job != _FREE)[-1]) + 1)

    def launch(self, *, early: bool, nucleus: bool) -> None:
        """Let the device run until the next look: a few steps, or as many as no row can end before.

        early: rows may end before their last token.
        """
        if not (self._job != _FREE).any():
            return
        fewest, most = self._left
        steps = min(most, max(2, min(STEPS, most // 3))) if early else fewest
        if steps:
            self.lane.run(self._used, steps, longest=self._longest, nucleus=nucleus)
        self.ran = max(1, steps)

    def _tight(self) -> int:
        """Rows that the living would take, moved together."""
        slots = np.repeat(self._tile_slot, TILE)[self._job != _FREE]
        _, counts = np.unique(slots, return_counts=True)
        return int((-(-counts // TILE) * TILE).sum())

    def _compact(self) -> None:
        """Move the living rows together, prompt by prompt."""
        living = np.flatnonzero(self._job != _FREE)
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
        jobs = np.where(moved == _FREE, _FREE, self._job[moved])
        self._draw[: len(moved)], self._limit[: len(moved)] = self._draw[moved], self._limit[moved]
        self._job[:] = _FREE
        self._job[: len(moved)] = jobs
        self.lane.move(moved, self._tile_slot)
        self._used = self.lane.bucket(len(moved))
