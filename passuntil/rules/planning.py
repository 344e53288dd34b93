"""What a stopping rule will cost before it is run: draws, tokens and hours, from a prior or a pilot."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import betaincinv, betaln, expit, logit
from scipy.stats import binom

from passuntil._arrays import Floats
from passuntil._checks import positive, whole
from passuntil._text import grid
from passuntil.counts.sequences import whole_columns
from passuntil.counts.tally import Tally
from passuntil.errors import PassUntilError

#: Nodes of the midpoint rule over a Beta distribution's quantiles.
NODES = 256
#: A Beta(a, b) is fitted within these: between "every instance alike" and "each passes always or never".
_LEAST_SHAPE, _MOST_SHAPE = 1e-3, 1e7


@dataclass(frozen=True, slots=True)
class BetaPrior:
    """How the pass probabilities of a task's instances spread: Beta(a, b), mean a / (a + b); both above 0.

    >>> BetaPrior.of_mean(0.02, like_draws=25)
    BetaPrior(a=0.5, b=24.5)
    """

    a: float
    b: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "a", positive("a", self.a))
        object.__setattr__(self, "b", positive("b", self.b))

    @classmethod
    def of_mean(cls, mean: float, *, like_draws: float = 10.0) -> BetaPrior:
        """The prior with this mean (in (0, 1)), worth as much as `like_draws` draws (above 0)."""
        mean, size = positive("mean", mean), positive("like_draws", like_draws)
        if mean >= 1.0:
            raise PassUntilError(f"mean must be below 1, not {mean:g}")
        return cls(mean * size, (1.0 - mean) * size)

    @classmethod
    def fit(cls, draws: ArrayLike, passes: ArrayLike) -> BetaPrior:
        """The Beta distribution under which a pilot's counts are likeliest (beta-binomial likelihood).

        draws, passes: shape (instances,), with at least one draw in all. Instances without a pass stay in.
        Two weak terms keep the fit finite where the counts say nothing: half a pass and half a failure over
        all instances together, and log(a + b) normal around log 10 with an SD of 3.

        Raises PassUntilError for counts that cannot be, and where nothing was drawn.
        """
        n, s = (column.ravel().astype(np.float64) for column in whole_columns(draws, passes))
        if n.sum() == 0:
            raise PassUntilError("the pilot has no draws; draw first, or give a prior")
        return cls(*_likeliest(n.tobytes(), s.tobytes()))

    def spread(self) -> tuple[Floats, Floats]:
        """Nodes and weights of a midpoint rule over p, finer in both tails; weights sum to 1.

        For averages of bounded functions of p: an expected number of draws under a cap.
        """
        edges = expit(np.linspace(-16.0, 16.0, NODES + 1))
        edges[0], edges[-1] = 0.0, 1.0
        nodes = betaincinv(self.a, self.b, 0.5 * (edges[1:] + edges[:-1]))
        return np.asarray(nodes, dtype=np.float64), np.diff(edges)

    def after(self, draws: int, passes: int) -> BetaPrior:
        """The posterior of an instance with these counts."""
        return BetaPrior(self.a + passes, self.b + draws - passes)


@lru_cache(maxsize=256)
def _likeliest(draws: bytes, passes: bytes) -> tuple[float, float]:
    """(a, b) of the fit, from float64 counts as bytes; remembered, since a run asks again at every wave."""
    n, s = np.frombuffer(draws), np.frombuffer(passes)
    pairs, times = np.unique(np.stack([n, s]), axis=1, return_counts=True)
    n, s = pairs

    def cost(x: NDArray[np.float64]) -> float:
        mean, size = expit(x[0]), math.exp(x[1])
        a, b = mean * size, max(1.0 - mean, 1e-300) * size
        fit = float((times * (betaln(s + a, n - s + b) - betaln(a, b))).sum())
        weak = 0.5 * (math.log(mean) + math.log(max(1.0 - mean, 1e-300)))
        return -(fit + weak - 0.5 * ((x[1] - math.log(10.0)) / 3.0) ** 2)

    total, passed = float((n * times).sum()), float((s * times).sum())
    start = logit((passed + 0.5) / (total + 1.0))
    found = minimize(
        cost, [start, math.log(10.0)], method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-5}
    )
    mean, size = float(expit(found.x[0])), math.exp(float(found.x[1]))
    a, b = (float(np.clip(v * size, _LEAST_SHAPE, _MOST_SHAPE)) for v in (mean, 1.0 - mean))
    return a, b


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rule is expected to cost. Expectations over the prior (or the pilot's posterior) and the draws.

    draws: expected draws, all instances together, those of the pilot included. per_instance: shape
    (instances,), the same for each. reached: expected share of instances that get what the rule wants (r
    passes; the target) under the cap. tokens, hours: None where tokens a draw, or their rate, were not given.
    reachable: False where the target cannot be met under the cap. note: what to know, "" if nothing.
    """

    draws: float
    per_instance: tuple[float, ...]
    reached: float
    tokens: float | None
    hours: float | None
    reachable: bool = True
    note: str = ""

    def __str__(self) -> str:
        return self.table()

    def table(self) -> str:
        """The plan as text: what it costs, what it reaches, what to know."""
        header = ("instances", "draws", "most of one", "tokens", "hours", "reached")
        tokens, hours = ("-" if v is None else v for v in (self.tokens, self.hours))
        most = max(self.per_instance)
        row = (str(len(self.per_instance)), self.draws, most, tokens, hours, f"{self.reached:.0%}")
        return "\n".join([*grid(header, [row]), *([self.note] if self.note else [])])


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


def expected_draws(p: ArrayLike, *, r: int, floor: int = 0, cap: int) -> Floats:
    """Expected draws at pass probability p until the r-th pass, at least `floor`, at most `cap`; exact.

    E[min(K, c)] = (r / p) P(Bin(c + 1, p) > r) + c P(Bin(c, p) < r); and a floor f adds f - E[min(K, f)].

    >>> expected_draws([0.0, 0.01, 1.0], r=5, cap=10_000).round(6).tolist()
    [10000.0, 500.0, 5.0]
    """
    q = np.asarray(p, dtype=np.float64)
    # Nothing this rare passes under any cap, and r / p would overflow.
    some = q > 1e-200
    safe = np.where(some, q, 1.0)

    def until(c: int) -> Floats:
        met = r / safe * binom.sf(r, c + 1, q) if c > 0 else 0.0
        return np.asarray(np.where(some, met, 0.0) + c * binom.cdf(r - 1, c, q), dtype=np.float64)

    return until(cap) + floor - until(floor)


def reach_probability(p: ArrayLike, *, r: int, cap: int) -> Floats:
    """Probability of r passes within `cap` draws at pass probability p."""
    return np.asarray(binom.sf(r - 1, cap, np.asarray(p, dtype=np.float64)), dtype=np.float64)
