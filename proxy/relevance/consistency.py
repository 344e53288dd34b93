"""Algorithm 1 of arXiv 2412.07111: which correlation picks the same proxies again on other models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy._arrays import Floats
from proxy._checks import MOST_REPETITIONS, whole
from proxy._text import counted
from proxy.choices import METRICS
from proxy.errors import ProxyError
from proxy.relevance._rounds import (
    default_subset,
    default_top,
    draw_subsets,
    renormalised_correlations,
    top_tasks,
)
from proxy.relevance.correlation import set_correlations


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricConsistency:
    """How often the top tasks of one metric come again, with Monte Carlo standard errors.

    Parameters
    ----------
    metric : str
        Its name.
    baseline : float
        BC, from 0 to 1: mean overlap of the top k of the samples with the top k of all models.
    baseline_se : float
        Standard error of `baseline`.
    sampling : float
        SC, from 0 to 1: mean overlap of the top k between pairs of samples.
    sampling_se : float
        Standard error of `sampling`.
    undefined : float, optional
        Share of the sampled correlations that did not exist (a constant task or target), from 0 to 1.
    """

    metric: str
    baseline: float
    baseline_se: float
    sampling: float
    sampling_se: float
    undefined: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Give the metric in the JSON shape.

        Returns
        -------
        dict
            The fields but the name.
        """
        return {
            "baseline": self.baseline,
            "baseline_se": self.baseline_se,
            "sampling": self.sampling,
            "sampling_se": self.sampling_se,
            "undefined": self.undefined,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """What Algorithm 1 says of several metrics.

    Parameters
    ----------
    metric : str
        The chosen one.
    strict : bool
        Whether it is above every other in both consistencies, which is the paper's condition; where no metric is, the
        one with the largest sum is chosen.
    decisive : bool
        Whether it leads by more than 2 standard errors of the paired difference of the sums, so that another seed
        would choose it too.
    metrics : dict of str to MetricConsistency
        Metric -> how consistent it is.
    subset : int
        m', models drawn in a round.
    top : int
        k, tasks compared.
    rounds : int
        N, rounds.
    seed : int
        Seed of the rounds.
    chance : float
        Overlap of k tasks drawn blindly: k over the number of candidates.
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
        """Give the result in the JSON shape.

        Returns
        -------
        dict
            The fields.
        """
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
    r"""Run Algorithm 1: baseline and sampling consistency of each metric, and the metric that they choose.

    A round's tasks are ordered by their signed correlation; ties at the edge of the top k go to the task with the
    better mean rank over all metrics, then to the earlier one. Undefined correlations come last. Both consistencies
    use the same rounds for all metrics, so their differences are paired.

    Parameters
    ----------
    candidates : array_like of float, shape (m, t)
        Scores of m models on t tasks; NaN is a gap.
    target : array_like of float, shape (m,)
        Scores on the target, complete.
    metrics : sequence of str, optional
        The metrics to choose among.
    subset : int, optional
        m', models drawn without replacement in a round, from 3 to m - 1; by default 6 of 10, at most 100.
    top : int, optional
        k, tasks compared, from 1 to t - 1; by default a third of them, at most 5.
    rounds : int, optional
        N, at least 2.
    seed : int, optional
        Seed of the rounds.
    renormalise : bool, optional
        Apply the two-way normalisation anew within each round's models (give raw scores then); the paper does not
        say which it did.

    Returns
    -------
    Consistency
        The chosen metric, and how consistent each is.

    Raises
    ------
    ProxyError
        For fewer than 4 models or 2 candidates, and for sizes that do not fit.

    Notes
    -----
    With A_0 the top k tasks over all models and A_1, ..., A_N those of the rounds [1]_,

    .. math::

        BC = \frac{1}{N} \sum_l |A_l \cap A_0| / k, \qquad
        SC = \frac{2}{N (N - 1)} \sum_{l < l'} |A_l \cap A_{l'}| / k.

    References
    ----------
    .. [1] B.-W. Zhang et al., "Predictable Emergent Abilities of LLMs: Proxy Tasks Are All You Need", arXiv
       2412.07111, Algorithm 1.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> ability = rng.normal(size=20)
    >>> scores = ability[:, None] * [1.0, 0.9, 0.1, 0.0] + rng.normal(scale=0.3, size=(20, 4))
    >>> consistency = choose_metric(scores, ability, top=2, rounds=200)
    >>> consistency.metrics["pearson"].baseline
    1.0
    """
    x, y = np.asarray(candidates, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise ProxyError(
            f"scores of shape {x.shape} with a target of shape {y.shape}; give both for each model"
        )
    models, tasks = x.shape
    if models < 4:
        raise ProxyError(
            f"{counted(models, 'model has', 'models have')} the target; at least 4 are needed to choose a metric"
        )
    if tasks < 2:
        raise ProxyError("one candidate task is always on top; Algorithm 1 needs at least 2")
    subset = whole("subset", default_subset(models) if subset is None else subset, least=3, most=models - 1)
    top = whole("top", default_top(tasks) if top is None else top, least=1, most=tasks - 1)
    rounds = whole("rounds", rounds, least=2, most=MOST_REPETITIONS)
    metrics = tuple(metrics)
    drawn = draw_subsets(models, subset, rounds, np.random.default_rng(whole("seed", seed)))
    # All models are one more set, the last.
    sets = np.zeros((rounds + 1, models), dtype=np.float32)
    np.put_along_axis(sets[:-1], drawn, 1.0, axis=1)
    sets[-1] = 1.0
    correlate = renormalised_correlations if renormalise else set_correlations
    values = correlate(x, y, sets, metrics)
    tops = top_tasks({name: values[name].T for name in metrics}, top)
    per_round = {name: _overlaps(tops[name][:-1], tops[name][-1]) for name in metrics}
    each = {
        name: _metric(name, *per_round[name], undefined=float(np.isnan(values[name][:, :-1]).mean()))
        for name in metrics
    }
    best, strict, decisive = _winner(each, per_round)
    return Consistency(
        metric=best,
        strict=strict,
        decisive=decisive,
        metrics=each,
        subset=subset,
        top=top,
        rounds=rounds,
        seed=seed,
        chance=top / tasks,
    )


def _overlaps(tops: NDArray[np.bool_], reference: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """For each round: its overlap with the reference, and its mean overlap with the other rounds."""
    member, k, others = tops.astype(np.float64), reference.sum(), len(tops) - 1
    # Sum over pairs of |A and B| = sum over tasks of the pairs that hold it: no loop over pairs.
    return member @ reference / k, member @ (member.sum(axis=0) - 1.0) / (k * others)


def _metric(name: str, baseline: Floats, others: Floats, *, undefined: float) -> MetricConsistency:
    """Means over the rounds, with their standard errors."""
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
    each: dict[str, MetricConsistency], per_round: dict[str, tuple[Floats, Floats]]
) -> tuple[str, bool, bool]:
    """The metric with the largest sum, whether it wins both consistencies, and whether it leads surely."""
    best = max(each, key=lambda name: each[name].baseline + each[name].sampling)
    others = [name for name in each if name != best]
    strict = all(
        each[best].baseline > each[name].baseline and each[best].sampling > each[name].sampling
        for name in others
    )

    def leads(name: str) -> bool:
        difference = per_round[best][0] - per_round[name][0] + 2.0 * (per_round[best][1] - per_round[name][1])
        ahead = each[best].baseline + each[best].sampling - each[name].baseline - each[name].sampling
        return bool(ahead > 1e-12 + 2.0 * difference.std(ddof=1) / math.sqrt(len(difference)))

    return best, strict, all(leads(name) for name in others)
