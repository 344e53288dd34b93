"""What a ranking must beat: simple scores of the same candidates, none of which has seen the truth."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import kendalltau, rankdata

from proxy._arrays import Floats
from proxy.ranking.truth import TruthComparison, compare_with_truth, decision_accuracies
from proxy.weights.selectors import reliabilities, standardised

#: With more models random weights are judged by a Kendall tau computed in n log n, and by fewer draws.
MANY_MODELS = 300


@dataclass(frozen=True, slots=True)
class Control:
    """One control: its scores, how far it agrees with the ranking it stands beside, and how it meets the truth.

    what: a sentence. agreement: Kendall's tau with the ranking (None where all tie). truth: None without truth.
    """

    name: str
    what: str
    scores: tuple[float, ...]
    agreement: float | None
    truth: TruthComparison | None

    def as_dict(self) -> dict[str, Any]:
        """The control in the JSON shape: the keys of the truth (None without one), and its own."""
        return {**_truth_keys(self.truth), "agreement": self.agreement, "what": self.what}


@dataclass(frozen=True, slots=True)
class RandomWeights:
    """Weights drawn evenly from the simplex: what the choice of tasks alone gives.

    draws: how many. agreement: mean tau with the ranking. With truth: mean tau, decision accuracy and
    inversions; low, high: the central 95% of decision accuracies; share_at_least_as_good: share of random weights
    that meet the truth at least as well as the ranking. p_value of the average draw is not meaningful: None.
    """

    draws: int
    agreement: float | None
    kendall_tau: float | None = None
    decision_accuracy: float | None = None
    inversions: float | None = None
    low: float | None = None
    high: float | None = None
    share_at_least_as_good: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The distribution in the JSON shape."""
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "p_value": None,
            "what": "weights drawn evenly from the simplex",
        }


def _truth_keys(truth: TruthComparison | None) -> dict[str, Any]:
    return dict.fromkeys(TruthComparison.__slots__) if truth is None else truth.as_dict()


def control_scores(
    columns: Floats,
    tasks: Sequence[str],
    *,
    noise: Floats | None = None,
    target: Floats | None = None,
    loss: Floats | None = None,
    forecast: Floats | None = None,
    aggregate: str = "z",
) -> dict[str, tuple[Floats, str]]:
    """Scores and a sentence for each control there is data for.

    columns: candidates x proxies, higher is better, without gaps. noise: deviation over seeds of each proxy. target:
    the target's small-scale score; loss: held-out loss or perplexity (lower is better); forecast: PassUntil's.
    aggregate: "raw" or "z", as the ranking has it.
    """
    z = standardised(columns)
    found = {"uniform": ((z if aggregate == "z" else columns).mean(axis=1), "equal weights on all proxies")}
    if len(tasks) > 1:
        ranks = standardised(rankdata(columns, axis=0).astype(np.float64))
        together = (ranks.T @ ranks / columns.shape[0]).sum(axis=0) - 1
        best = int(np.argmax(np.where(columns.std(axis=0) > 0, together, -np.inf)))
        found["single_consistent"] = (columns[:, best], f"the one proxy most like the others: {tasks[best]}")
    if noise is not None and np.isfinite(noise).any():
        known = np.isfinite(noise) if noise.ndim == 1 else np.isfinite(noise).any(axis=0)
        best = int(np.argmax(np.where(known, reliabilities(columns, noise), -1.0)))
        found["single_reliable"] = (columns[:, best], f"the one proxy most above its noise: {tasks[best]}")
    if target is not None:
        found["target_small"] = (target, "the target itself at small scale")
    if loss is not None:
        found["loss"] = (-loss, "held-out loss, lower first")
    if forecast is not None:
        found["passuntil"] = (forecast, "PassUntil's forecast of the target")
    return found


def judged(
    name: str,
    scores: Floats,
    what: str,
    ranking: Floats,
    truth: Floats | None,
    budget: Sequence[Hashable] | None,
    seed: int,
) -> Control:
    """A control held beside the ranking and, where there is one, against the truth."""
    comparison = None if truth is None else compare_with_truth(scores, truth, budget=budget, seed=seed)
    return Control(name, what, tuple(scores.tolist()), _agreement(scores, ranking), comparison)


def random_weights(
    columns: Floats,
    ranking: Floats,
    truth: Floats | None,
    *,
    aggregate: str = "z",
    budget: Sequence[Hashable] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> RandomWeights:
    """Random simplex weights on the same columns (candidates x proxies, higher is better)."""
    generator = np.random.default_rng(seed)
    draws = draws if columns.shape[0] <= MANY_MODELS else min(draws, 100)
    weights = generator.dirichlet(np.ones(columns.shape[1]), draws)
    scores = (standardised(columns) if aggregate == "z" else columns) @ weights.T
    agreements = [a for a in (_agreement(s, ranking) for s in scores.T[:100]) if a is not None]
    agreement = float(np.mean(agreements)) if agreements else None
    if truth is None:
        return RandomWeights(draws, agreement)
    known = np.isfinite(truth)
    scores, ranking, truth = scores[known], ranking[known], truth[known]
    labels = None if budget is None else [b for b, k in zip(budget, known, strict=True) if k]
    if truth.size > MANY_MODELS and labels is None:
        taus = np.array([_agreement(s, truth) or 0.0 for s in (*scores.T, ranking)])
        accuracies, pairs = 0.5 + taus / 2, truth.size * (truth.size - 1) / 2
    else:
        accuracies = decision_accuracies(np.column_stack([scores, ranking]), truth, labels)
        pairs = compare_with_truth(ranking, truth, budget=labels, seed=seed, permutations=100).pairs
    own, accuracies = accuracies[-1], accuracies[:-1]
    low, high = np.quantile(accuracies, [0.025, 0.975])
    return RandomWeights(
        draws,
        agreement,
        kendall_tau=float(2 * accuracies.mean() - 1),
        decision_accuracy=float(accuracies.mean()),
        inversions=float((1 - accuracies.mean()) * pairs),
        low=float(low),
        high=float(high),
        share_at_least_as_good=float((accuracies >= own - 1e-12).mean()),
    )


def _agreement(a: Floats, b: Floats) -> float | None:
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 2 or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
        return None
    return float(kendalltau(a[both], b[both]).statistic)
