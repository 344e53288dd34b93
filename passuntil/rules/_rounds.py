"""How `DatasetPrecision` plans its rounds: functions of the closed rounds alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy  # a part of it loads at its first use, and no error waits for that
from scipy.special import betaln, expit, logit

from passuntil._arrays import Floats, Ints
from passuntil.rules.allocation import neyman
from passuntil.rules.prior import BetaPrior

#: Rounds have no weight in the estimate until so many passes (and failures) came before. A round that can
#: hardly see a pass would add a rare, huge jump: unbiased, with an error that nobody sees coming.
ENOUGH = 10
#: A round draws at most so many times what was drawn before it.
GROWTH = 2.0
#: Every instance gets at least this share of the average draws of each round.
EXPLORE = 0.1
#: What a pass rate of another model is believed to be worth, in draws of this one, before any of its own.
LIKE_DRAWS = 20.0
LIKE_SLOPE = 0.7
#: The fewest draws of an instance in a round: two, so that its variance can be estimated.
LEAST = 2


@dataclass(frozen=True, slots=True)
class Aim:
    """What the rounds are to reach: the rule's numbers."""

    target: float
    relative: bool
    pilot: int
    cap: int
    #: (draws, passes) of every instance at a model that is expected to be like this one.
    like: tuple[tuple[int, int], ...] = ()


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
    if not draws and not aim.like:
        return Step(0, np.full(m, aim.pilot, dtype=np.int64), np.zeros(m), last=False)
    nothing: Ints = np.zeros(m, dtype=np.int64)
    n, s = (np.sum([nothing, *counts], axis=0) for counts in (draws, passes))
    p, v, later = beliefs_about(n, s, aim.like)
    target = aim.target * float(p.mean()) if aim.relative else aim.target
    left = 1.0 - np.sum([np.zeros(m), *(step.weight for step in steps)], axis=0)
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
    # A first round that is planned from another model costs no more than the pilot in whose place it stands.
    whole = float((total * cost).sum())
    first = min(whole / (1.0 + GROWTH), aim.pilot * float(cost.sum()))
    affordable = GROWTH * float((n * cost).sum()) if draws else first
    if whole <= affordable:
        return Step(len(draws), total.astype(np.int64), left, last=True, note=note)
    share = affordable / whole
    now = np.minimum(np.maximum(np.ceil(total * share), np.minimum(least, total)), total)
    # What is left for later is nothing or at least two draws.
    now = np.where((total - now > 0) & (total - now < LEAST), total, now)
    with np.errstate(divide="ignore", invalid="ignore"):
        # What is left will be drawn in proportion to a root of v that is better known by then: E[v] /
        # E[root v] is what it is worth, more than the draws that are planned for it today.
        rest = (total - now) * later
        weight = np.where(total > 0, left * now / (now + rest), 0.0)
    if _seen(n, s, now, p, bool(draws)) < ENOUGH:
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


def _seen(n: Ints, s: Ints, now: Floats, p: Floats, begun: bool) -> float:
    """Passes or failures that came before, the fewer; of a first round a quarter of those it should see."""
    if begun:
        return float(min(s.sum(), (n - s).sum()))
    return 0.25 * float(min((now * p).sum(), (now * (1.0 - p)).sum()))


def beliefs_about(
    draws: Ints, passes: Ints, like: tuple[tuple[int, int], ...]
) -> tuple[Floats, Floats, Floats]:
    """Posterior means of p and of v = p (1 - p), and E[v] / E[root v]^2, under fitted Beta distributions."""
    if like:
        at, size = _shifted(like, draws.tobytes(), passes.tobytes())
        first, second = at * size, (1.0 - at) * size
    else:
        prior = BetaPrior.fit(draws, passes)
        first, second = np.full(draws.shape, prior.a), np.full(draws.shape, prior.b)
    a, b = first + passes, second + draws - passes
    v = a * b / ((a + b) * (a + b + 1.0))
    # E[root v] = B(a + 1/2, b + 1/2) / B(a, b).
    root = np.exp(betaln(a + 0.5, b + 0.5) - betaln(a, b))
    return a / (a + b), v, np.sqrt(v) / root


@lru_cache(maxsize=256)
def _shifted(like: tuple[tuple[int, int], ...], draws: bytes, passes: bytes) -> tuple[Floats, float]:
    """Means and common size of Beta distributions of the p of a model that is like another one.

    Their logits are a line in the logits of the other model's posterior means. Its level and slope and the
    size are the likeliest ones given this model's counts, with weak terms that keep them near (no shift,
    `LIKE_SLOPE`, `LIKE_DRAWS`): with slope 0 the other model says nothing, and all instances are alike.
    """
    n, s = np.frombuffer(draws, dtype=np.int64), np.frombuffer(passes, dtype=np.int64)
    other_n, other_s = np.array(like, dtype=np.int64).T
    prior = BetaPrior.fit(other_n, other_s)
    base = logit((other_s + prior.a) / (other_n + prior.a + prior.b))
    centre = float(logit(expit(base).mean()))

    def means(level: float, slope: float) -> Floats:
        return np.asarray(expit(centre + level + slope * (base - centre)))

    def cost(x: Floats) -> float:
        at, size = means(x[0], x[1]), math.exp(x[2])
        a, b = at * size, np.maximum(1.0 - at, 1e-12) * size
        fit = float((betaln(s + a, n - s + b) - betaln(a, b)).sum())
        off = x[0] / 1.5, (x[1] - LIKE_SLOPE) / 0.3, (x[2] - math.log(LIKE_DRAWS)) / 1.5
        return 0.5 * float(np.square(off).sum()) - fit

    start = [0.0, LIKE_SLOPE, math.log(LIKE_DRAWS)]
    optimum = scipy.optimize.minimize(
        cost, start, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-4}
    )
    return means(optimum.x[0], optimum.x[1]), math.exp(float(np.clip(optimum.x[2], -3.0, 15.0)))
