"""Tallies that grow: more outcomes added to the counts of those before, which need not be read again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from passuntil.counts.tally import Tally, _as_outcomes
from passuntil.errors import PassUntilError


def continued(tally: Tally, bits: Iterable[Any] | NDArray[Any]) -> Tally:
    """The tally of the outcomes that `tally` has counted and of `bits` after them, cut where its design stops.

    tally: not finished, so that it has counted every outcome before `bits`. It equals `Tally.from_bits` over
    all of them. bits: in draw order, as in `Tally.from_bits`. Raises PassUntilError for a finished tally.

    >>> continued(Tally(draws=2, passes=1, r=2, cap=9), [0, 1, 1])
    Tally(draws=4, passes=2, stopped_at=4, r=2, floor=None, cap=9, extended=False)
    """
    outcomes = _as_outcomes(bits)
    if tally.finished and tally.draws and (tally.r is not None or tally.cap is not None):
        raise PassUntilError(
            f"the tally is finished after {tally.draws} draws; what comes after it is overshoot"
        )
    n, stopped_at = tally.draws, tally.stopped_at
    if tally.cap is not None:
        outcomes = outcomes[: tally.cap - n]
    if tally.r is not None:
        if stopped_at is None:
            places = np.flatnonzero(outcomes)
            missing = tally.r - tally.passes
            if places.size >= missing:
                stopped_at = n + int(places[missing - 1]) + 1
        if stopped_at is not None:
            outcomes = outcomes[: max(stopped_at, tally.floor or 0) - n]
    return replace(
        tally,
        draws=n + int(outcomes.size),
        passes=tally.passes + int(outcomes.sum()),
        stopped_at=stopped_at,
    )
