"""What the plans of all rules are made with: beliefs about instances, and the sum of their draws."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from passuntil._checks import positive, whole
from passuntil.counts._columns import whole_columns
from passuntil.counts.tally import Tally
from passuntil.errors import PassUntilError
from passuntil.rules.planning import Plan
from passuntil.rules.prior import BetaPrior


def assemble(
    per_instance: ArrayLike,
    reached: float,
    *,
    tokens_per_draw: float | None,
    tokens_per_second: float | None,
    reachable: bool = True,
    note: str = "",
) -> Plan:
    """A plan from the draws of each instance. Tokens a draw and tokens a second above 0, or None."""
    each = np.atleast_1d(np.asarray(per_instance, dtype=np.float64))
    draws = float(each.sum())
    tokens = None if tokens_per_draw is None else draws * positive("tokens_per_draw", tokens_per_draw)
    rate = None if tokens_per_second is None else positive("tokens_per_second", tokens_per_second)
    if rate is not None and tokens is None:
        raise PassUntilError("hours need tokens_per_draw as well as tokens_per_second")
    hours = None if rate is None or tokens is None else tokens / rate / 3600.0
    return Plan(draws, tuple(each.tolist()), float(reached), tokens, hours, reachable, note)


def beliefs(
    prior: BetaPrior | None, pilot: Iterable[Tally | tuple[int, int]] | None, instances: int | None
) -> tuple[list[BetaPrior], NDArray[np.int64], NDArray[np.int64]]:
    """(belief, draws so far, passes so far) of each instance, from a prior, a pilot, or both.

    A pilot without a prior fits its own. A prior alone needs `instances`. Raises PassUntilError where
    neither is given, or instances is below 1, or differs from the pilot's.
    """
    if pilot is None:
        if prior is None:
            raise PassUntilError("give a prior (such as BetaPrior.of_mean(0.01)) or a pilot's counts")
        m = whole("instances", 1 if instances is None else instances, least=1)
        zeros = np.zeros(m, dtype=np.int64)
        return [prior] * m, zeros, zeros
    draws, passes = columns(pilot)
    if instances is not None and instances != draws.size:
        raise PassUntilError(f"instances ({instances}) differs from the pilot's {draws.size}; leave it out")
    common = prior or BetaPrior.fit(draws, passes)
    return [common.after(int(n), int(s)) for n, s in zip(draws, passes, strict=True)], draws, passes


def columns(counts: Iterable[Tally | tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(draws, passes) as arrays, from tallies or pairs; PassUntilError for none at all or impossible ones."""
    pairs: list[Sequence[int]] = []
    for item in counts:
        pair = (item.draws, item.passes) if isinstance(item, Tally) else item
        try:
            first, second = pair
        except (TypeError, ValueError):
            raise PassUntilError(f"counts must be tallies or (draws, passes), not {item!r:.60}") from None
        pairs.append((whole("draws", first), whole("passes", second)))
    if not pairs:
        raise PassUntilError("no instances were given; a plan needs at least one")
    return whole_columns([n for n, _ in pairs], [s for _, s in pairs])
