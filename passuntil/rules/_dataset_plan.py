"""What a run under `DatasetPrecision` is expected to draw."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from passuntil._checks import whole
from passuntil.rules._counts import Counts
from passuntil.rules._planning import assemble, beliefs
from passuntil.rules._rounds import EXPLORE, LEAST, Aim, beliefs_about, unreachable
from passuntil.rules.allocation import neyman
from passuntil.rules.planning import Plan
from passuntil.rules.prior import BetaPrior


def dataset_plan(
    aim: Aim,
    least: int,
    *,
    prior: BetaPrior | None,
    pilot: Iterable[Counts] | None,
    instances: int | None,
    tokens_per_draw: float | None,
    tokens_per_second: float | None,
) -> Plan:
    """The plan of a run whose every instance gets `least` draws whatever comes; see `DatasetPrecision.plan`."""
    if pilot is None and prior is None and aim.like:
        nothing = np.zeros(len(aim.like), dtype=np.int64)
        p, v, _ = beliefs_about(nothing, nothing, aim.like)
        mean, m, n, passed = float(p.mean()), nothing.size, nothing.astype(np.float64), nothing + 1
    elif pilot is None and prior is not None:
        m = whole("instances", 1 if instances is None else instances, least=1)
        # Representative instances: the prior's quantiles.
        p, weight = prior.spread()
        edges = np.concatenate([[0.0], np.cumsum(weight)])
        place = (np.arange(m) + 0.5) / m
        p = np.interp(place, 0.5 * (edges[1:] + edges[:-1]), p)
        v, mean = p * (1.0 - p), prior.a / (prior.a + prior.b)
        n, passed = np.zeros(m), np.ones(m, dtype=np.int64)
    else:
        each, counted, passed = beliefs(prior, pilot, instances)
        a, b = np.array([belief.a for belief in each]), np.array([belief.b for belief in each])
        v, mean = a * b / ((a + b) * (a + b + 1.0)), float((a / (a + b)).mean())
        n, m = counted.astype(np.float64), counted.size
    target = aim.target * mean if aim.relative else aim.target
    begun = np.maximum(n, float(least))
    allowed = (target * m) ** 2
    room = np.maximum(aim.cap - least, 0.0) * np.ones(m)
    wanted, _ = neyman(v, allowed, least=float(LEAST), most=room)
    wanted, met = neyman(v, allowed, least=max(LEAST, EXPLORE * wanted.mean()), most=room)
    note = "" if met else unreachable(v, room, 0.0, target, aim.cap)
    if met and wanted.sum() < least * m:
        note = f"the pilot ({aim.pilot} draws an instance) is more than the target needs; lower the pilot"
    if passed.sum() == 0 and pilot is not None:
        note = "the pilot has no pass: the mean is unknown, and these draws are a guess; " + note
    return assemble(
        np.maximum(least + wanted, begun),
        float(met),
        tokens_per_draw=tokens_per_draw,
        tokens_per_second=tokens_per_second,
        reachable=met,
        note=note,
    )
