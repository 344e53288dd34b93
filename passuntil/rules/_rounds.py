"""How `DatasetPrecision` plans its rounds: functions of the closed rounds alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import betaln

from passuntil.allocation import Ints, neyman
from passuntil.estimates import Floats
from passuntil.planning import BetaPrior

#: Rounds have no weight in the estimate until so many passes (and failures) came before. A round that can
#: hardly see a pass would add a rare, huge jump: unbiased, with an error that nobody sees coming.
ENOUGH = 10
#: A round draws at most so many times what was drawn before it.
GROWTH = 2.0
#: Every instance gets at least this share of the average draws of each round.
EXPLORE = 0.1
#: The fewest draws of an instance in a round: two, so that its variance can be estimated.
LEAST = 2


@dataclass(frozen=True, slots=True)
class Aim:
    """What the rounds are to reach: the rule's numbers."""

    target: float
    relative: bool
    pilot: int
    cap: int


@dataclass(frozen=True, slots=True)
class Step:
    """One planned round."""

    number: int
    target: Ints
    weight: Floats
    last: bool
    note: str = ""


def next_step(aim: Aim, draws: list[Ints], passes: list[Ints], steps: list[Step], cost: Floats) -> Step:
    """Plan the next round from the closed ones."""
    m = cost.size
    if not draws:
        return Step(0, np.full(m, aim.pilot, dtype=np.int64), np.zeros(m), last=False)
    n, s = np.sum(draws, axis=0), np.sum(passes, axis=0)
    p, v, later = _beliefs_about(n, s)
    target = aim.target * float(p.mean()) if aim.relative else aim.target
    left = 1.0 - np.sum([step.weight for step in steps], axis=0)
    spent = sum(
        float((st.weight**2 * v / np.maximum(d, 1)).sum()) for st, d in zip(steps, draws, strict=True)
    )
    # At least a twentieth of the variance is left to the future: otherwise no number of draws would do.
    allowed = max((target * m) ** 2 - spent, 0.05 * (target * m) ** 2)
    room = (aim.cap - n).astype(np.float64)
    need = np.where(left > 1e-12, left**2 * v, 0.0)
    least = np.where(need > 0, float(LEAST), 0.0)
    wanted, met = neyman(need, allowed, costs=cost, least=least, most=room)
    explore = np.where(need > 0, np.maximum(least, EXPLORE * wanted.mean()), 0.0)
    wanted, met = neyman(need, allowed, costs=cost, least=explore, most=room)
    total = np.minimum(np.ceil(wanted), room)
    note = "" if met else unreachable(need, room, spent, target, aim.cap)
    affordable = GROWTH * float((n * cost).sum())
    if float((total * cost).sum()) <= affordable:
        return Step(len(draws), total.astype(np.int64), left, last=True, note=note)
    share = affordable / float((total * cost).sum())
    now = np.minimum(np.maximum(np.ceil(total * share), np.minimum(least, total)), total)
    # What is left for later is nothing or at least two draws.
    now = np.where((total - now > 0) & (total - now < LEAST), total, now)
    with np.errstate(divide="ignore", invalid="ignore"):
        # What is left will be drawn in proportion to a root of v that is better known by then: E[v] /
        # E[root v] is what it is worth, more than the draws that are planned for it today.
        rest = (total - now) * later
        weight = np.where(total > 0, left * now / (now + rest), 0.0)
    if min(int(s.sum()), int((n - s).sum())) < ENOUGH:
        # Exploring: it keeps two draws at least for the rounds that count.
        now, weight = np.minimum(now, np.maximum(room - LEAST, 0.0)), np.zeros(m)
        if not now.any():
            return Step(len(draws), total.astype(np.int64), left, last=True, note=note)
    last = bool((now == total).all() and (weight > 0).any())
    return Step(len(draws), now.astype(np.int64), left if last else weight, last=last, note=note)


def unreachable(need: Floats, room: Floats, spent: float, target: float, cap: int) -> str:
    """What can be had in place of the target, in words."""
    with np.errstate(divide="ignore", invalid="ignore"):
        best = math.sqrt(spent + float(np.where(need > 0, need / room, 0.0).sum())) / need.size
    return (
        f"a standard error of {target:.3g} cannot be reached with at most {cap} draws an instance: "
        f"about {best:.3g} can; raise the cap or the target"
    )


def _beliefs_about(draws: Ints, passes: Ints) -> tuple[Floats, Floats, Floats]:
    """Posterior means of p and of v = p (1 - p), and E[v] / E[root v]^2, under a fitted Beta distribution."""
    prior = BetaPrior.fit(draws, passes)
    a, b = prior.a + passes, prior.b + draws - passes
    v = a * b / ((a + b) * (a + b + 1.0))
    # E[root v] = B(a + 1/2, b + 1/2) / B(a, b).
    root = np.exp(betaln(a + 0.5, b + 0.5) - betaln(a, b))
    return a / (a + b), v, np.sqrt(v) / root
