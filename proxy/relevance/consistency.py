"""Algorithm 1 of arXiv 2412.07111: which correlation picks the same proxies again on other models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy._arrays import Floats
from proxy._checks import whole
from proxy.errors import ProxyError
from proxy.relevance.kernels import METRICS, correlations, set_correlations
from proxy.relevance.normalisation import TwoWayNormaliser

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class MetricConsistency:
    """One metric: how often its top tasks come again (0 to 1), with Monte Carlo standard errors.

    baseline: mean overlap of the sampled top k with the top k of all models (BC). sampling: mean overlap between
    pairs of samples (SC). undefined: share of sampled correlations that did not exist (a constant task or target).
    """

    metric: str
    baseline: float
    baseline_se: float
    sampling: float
    sampling_se: float
    undefined: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The metric in the JSON shape."""
        return {
            "baseline": self.baseline,
            "baseline_se": self.baseline_se,
            "sampling": self.sampling,
            "sampling_se": self.sampling_se,
            "undefined": self.undefined,
        }


@dataclass(frozen=True, slots=True)
class Consistency:
    """What Algorithm 1 found.

    metric: the chosen one. strict: it is above every other in both consistencies (the paper's condition); where
    none is, the largest sum is taken. decisive: it is so by more than 2 standard errors of the paired difference of
    the sums, so that another seed would choose it too. chance: overlap of k tasks drawn blindly.
    """

    metric: str
    strict: bool
    decisive: bool
    metrics: dict[str, MetricConsistency]
    subset: int
    top: int
    rounds: int
    seed: int
    chance: float

    def as_dict(self) -> dict[str, Any]:
        """The result in the JSON shape."""
        return {
            "metric": self.metric,
            "strict": self.strict,
            "decisive": self.decisive,
            "metrics": {name: one.as_dict() for name, one in self.metrics.items()},
            "subset": self.subset,
            "top": self.top,
            "rounds": self.rounds,
            "seed": self.seed,
            "chance": self.chance,
        }


def choose_metric(
    candidates: ArrayLike,
    target: ArrayLike,
    *,
    metrics: Sequence[str] = METRICS,
    subset: int | None = None,
    top: int | None = None,
    rounds: int = 1000,
    seed: int = 0,
    renormalise: bool = False,
) -> Consistency:
    """Algorithm 1: baseline and sampling consistency of each metric, and the metric that they choose.

    candidates: models x tasks, NaN is a gap. target: models, complete. subset: m', models drawn without
    replacement in a round (default: 6 of 10, at most 100). top: k, tasks compared (default: a third, at most 5).
    rounds: N.
    renormalise: apply the two-way normalisation anew within each round's models (give raw scores then); the paper
    does not say which it did.

    A round's tasks are ordered by their signed correlation; ties at the edge of the top k go to the task with the
    better mean rank over all metrics, then to the earlier one. Undefined correlations come last. Both consistencies
    use the same rounds for all metrics, so their differences are paired.

    Raises ProxyError for fewer than 4 models or 2 candidates, and for sizes that do not fit.

    >>> rng = np.random.default_rng(1)
    >>> ability = rng.normal(size=20)
    >>> scores = ability[:, None] * [1.0, 0.9, 0.1, 0.0] + rng.normal(scale=0.3, size=(20, 4))
    >>> found = choose_metric(scores, ability, top=2, rounds=200)
    >>> found.metrics["pearson"].baseline
    1.0
    """
    x, y = np.asarray(candidates, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise ProxyError(
            f"scores of shape {x.shape} with a target of shape {y.shape}: give both for each model"
        )
    models, tasks = x.shape
    if models < 4:
        raise ProxyError(f"{models} models have the target; at least 4 are needed to choose a metric")
    if tasks < 2:
        raise ProxyError("one candidate task is always on top: Algorithm 1 needs at least 2")
    subset = whole("subset", default_subset(models) if subset is None else subset, least=3, most=models - 1)
    top = whole("top", default_top(tasks) if top is None else top, least=1, most=tasks - 1)
    rounds = whole("rounds", rounds, least=2)
    metrics = tuple(metrics)
    chosen = draw_subsets(models, subset, rounds, np.random.default_rng(whole("seed", seed)))
    # All models are one more set, the last.
    sets = np.zeros((rounds + 1, models), dtype=np.float32)
    np.put_along_axis(sets[:-1], chosen, 1.0, axis=1)
    sets[-1] = 1.0
    found_in = _renormalised(x, y, sets, metrics) if renormalise else set_correlations(x, y, sets, metrics)
    tops = top_tasks({name: found_in[name].T for name in metrics}, top)
    per_round = {name: _overlaps(tops[name][:-1], tops[name][-1]) for name in metrics}
    found = {
        name: _metric(name, *per_round[name], undefined=float(np.isnan(found_in[name][:, :-1]).mean()))
        for name in metrics
    }
    best, strict, decisive = _winner(found, per_round)
    return Consistency(best, strict, decisive, found, subset, top, rounds, seed, top / tasks)


def default_subset(models: int) -> int:
    """m' where none is given: 6 of 10 models, at least 4 where that leaves one out, at most 100."""
    return max(min(4, models - 1), min(models - 1, round(0.6 * models), 100))


def default_top(tasks: int) -> int:
    """k where none is given: a third of the candidates, at most 5."""
    return max(1, min(5, tasks // 3))


def draw_subsets(models: int, subset: int, rounds: int, rng: np.random.Generator) -> Places:
    """rounds x subset: models drawn without replacement, every set equally likely."""
    # The smallest of independent uniform keys belong to a uniformly random subset.
    keys = rng.random((rounds, models))
    return np.asarray(np.argpartition(keys, subset - 1, axis=1)[:, :subset])


def top_tasks(values: dict[str, Floats], top: int) -> dict[str, NDArray[np.bool_]]:
    """Which tasks are the top k of each row (rows x tasks) by each metric, ties as in `choose_metric`."""
    # Equal Kendall values can differ in their last bit, and must tie.
    filled = {name: np.round(np.where(np.isnan(v), -2.0, v), 12) for name, v in values.items()}
    tops = {}
    for name, v in filled.items():
        edge = -np.partition(-v, top - 1, axis=1)[:, top - 1 : top]
        inside, at_edge = v > edge, v == edge
        left = top - inside.sum(axis=1)
        tied = at_edge.sum(axis=1) > left
        inside |= at_edge & ~tied[:, None]
        rows, tasks = np.nonzero(at_edge & tied[:, None])
        # Ordered by mean rank: how many tasks are above a task, less how many are below, over all metrics.
        rank = np.zeros(len(rows), dtype=np.int64)
        for other in filled.values():
            some, own = other[rows], other[rows, tasks][:, None]
            rank += (some > own).sum(axis=1) - (some < own).sum(axis=1)
        order = np.lexsort((tasks, rank, rows))
        rows, tasks = rows[order], tasks[order]
        place = np.arange(len(rows)) - np.searchsorted(rows, rows)
        taken = place < left[rows]
        inside[rows[taken], tasks[taken]] = True
        tops[name] = inside
    return tops


def _overlaps(tops: NDArray[np.bool_], reference: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """For each round: its overlap with the reference, and its mean overlap with the other rounds."""
    member, k, others = tops.astype(np.float64), reference.sum(), len(tops) - 1
    # Sum over pairs of |A and B| = sum over tasks of the pairs that hold it: no loop over pairs.
    return member @ reference / k, member @ (member.sum(axis=0) - 1.0) / (k * others)


def _metric(name: str, baseline: Floats, others: Floats, *, undefined: float) -> MetricConsistency:
    root = math.sqrt(len(baseline))
    return MetricConsistency(
        metric=name,
        baseline=float(baseline.mean()),
        baseline_se=float(baseline.std(ddof=1)) / root,
        sampling=float(others.mean()),
        # A mean over pairs varies as a mean of projections does, with twice the deviation (Hoeffding 1948).
        sampling_se=2.0 * float(others.std(ddof=1)) / root,
        undefined=undefined,
    )


def _winner(
    found: dict[str, MetricConsistency], per_round: dict[str, tuple[Floats, Floats]]
) -> tuple[str, bool, bool]:
    best = max(found, key=lambda name: found[name].baseline + found[name].sampling)
    others = [name for name in found if name != best]
    strict = all(
        found[best].baseline > found[name].baseline and found[best].sampling > found[name].sampling
        for name in others
    )

    def gap(name: str) -> bool:
        difference = per_round[best][0] - per_round[name][0] + 2.0 * (per_round[best][1] - per_round[name][1])
        ahead = found[best].baseline + found[best].sampling - found[name].baseline - found[name].sampling
        return bool(ahead > 1e-12 + 2.0 * difference.std(ddof=1) / math.sqrt(len(difference)))

    return best, strict, all(gap(name) for name in others)


def _renormalised(x: Floats, y: Floats, sets: NDArray[Any], metrics: tuple[str, ...]) -> dict[str, Floats]:
    """Correlations with the two-way normalisation redone in each set; tasks constant there are undefined."""

    def once(rows: NDArray[np.bool_]) -> dict[str, Floats]:
        a, b = x[rows], y[rows]
        out = {metric: np.full(x.shape[1], np.nan) for metric in metrics}
        with np.errstate(invalid="ignore"):
            varied = np.array([np.unique(column[np.isfinite(column)]).size > 1 for column in a.T])
        if varied.sum() < 2 or np.ptp(b) == 0:
            return out
        try:
            normaliser = TwoWayNormaliser().fit(a[:, varied], b)
            u, v = normaliser.transform(a[:, varied]), normaliser.transform_target(a[:, varied], b)
        except ProxyError:
            return out
        for metric, values in correlations(u, v, metrics).items():
            out[metric][varied] = values
        return out

    found = [once(row > 0) for row in sets]
    return {metric: np.stack([one[metric] for one in found], axis=1) for metric in metrics}
