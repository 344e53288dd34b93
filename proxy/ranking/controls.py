"""What a ranking must beat: simple scores of the same candidates, none of which has seen the truth."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import kendalltau, rankdata

from proxy._arrays import Floats
from proxy.ranking.truth import TruthComparison, compare_with_truth, decision_accuracies
from proxy.weights.base import reliabilities, standardised

#: With more models random weights are judged by a Kendall tau computed in n log n, and by fewer draws.
MANY_MODELS = 300


@dataclass(frozen=True, slots=True)
class Control:
    """One control: its scores, how far it agrees with the ranking it stands beside, and how it meets the truth.

    Parameters
    ----------
    name : str
        What it is called.
    what : str
        What it is, for people.
    scores : tuple of float
        One score a model, higher is better.
    agreement : float or None
        Kendall's tau with the ranking; None where either ties all.
    truth : TruthComparison or None
        How it meets the truth, where there is one.
    """

    name: str
    what: str
    scores: tuple[float, ...]
    agreement: float | None
    truth: TruthComparison | None

    def as_dict(self) -> dict[str, Any]:
        """The control in the JSON shape.

        Returns
        -------
        dict
            The keys of `TruthComparison` (None without a truth), and `agreement` and `what`.
        """
        return {**_truth_keys(self.truth), "agreement": self.agreement, "what": self.what}


@dataclass(frozen=True, slots=True)
class RandomWeights:
    """Weights drawn evenly from the simplex: what the choice of tasks alone gives.

    Parameters
    ----------
    draws : int
        How many were drawn.
    agreement : float or None
        Mean of Kendall's tau with the ranking; None where all tie.
    kendall_tau, decision_accuracy, inversions : float or None, optional
        Means over the draws, where there is a truth.
    low, high : float or None, optional
        The central 95% of decision accuracies.
    share_at_least_as_good : float or None, optional
        Share of random weights that meet the truth at least as well as the ranking.
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
        """The distribution in the JSON shape.

        Returns
        -------
        dict
            The fields by name, `what`, and a `p_value` of None: that of an average draw has no meaning.
        """
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "p_value": None,
            "what": "weights drawn evenly from the simplex",
        }


def _truth_keys(truth: TruthComparison | None) -> dict[str, Any]:
    """The keys of a comparison; None throughout without one."""
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
    """Scores of each control there is data for.

    Parameters
    ----------
    columns : numpy.ndarray of float, shape (candidates, proxies)
        Scores, higher is better, without gaps.
    tasks : sequence of str
        Names of the proxies.
    noise : numpy.ndarray of float, shape (proxies,) or (candidates, proxies), optional
        Standard deviation over seeds of each proxy, or of each score; NaN where unknown.
    target : numpy.ndarray of float, shape (candidates,), optional
        The target's small-scale score.
    loss : numpy.ndarray of float, shape (candidates,), optional
        Held-out loss or perplexity, lower is better.
    forecast : numpy.ndarray of float, shape (candidates,), optional
        PassUntil's forecast of the target.
    aggregate : {"raw", "z"}, optional
        What equal weights average, as the ranking does.

    Returns
    -------
    dict of str to tuple
        For each control its scores, higher is better, and a sentence that says what it is.

    Examples
    --------
    >>> scores = np.array([[0.1, 0.3], [0.4, 0.5], [0.2, 0.9]])
    >>> list(control_scores(scores, ["a", "b"], loss=np.array([3.0, 2.0, 1.0])))
    ['uniform', 'single_consistent', 'loss']
    """
    z = standardised(columns)
    controls = {
        "uniform": ((z if aggregate == "z" else columns).mean(axis=1), "equal weights on all proxies")
    }
    if len(tasks) > 1:
        ranks = standardised(rankdata(columns, axis=0).astype(np.float64))
        together = (ranks.T @ ranks / columns.shape[0]).sum(axis=0) - 1
        best = int(np.argmax(np.where(columns.std(axis=0) > 0, together, -np.inf)))
        controls["single_consistent"] = (
            columns[:, best],
            f"the one proxy most like the others: {tasks[best]}",
        )
    if noise is not None and np.isfinite(noise).any():
        known = np.isfinite(noise) if noise.ndim == 1 else np.isfinite(noise).any(axis=0)
        best = int(np.argmax(np.where(known, reliabilities(columns, noise), -1.0)))
        controls["single_reliable"] = (columns[:, best], f"the one proxy most above its noise: {tasks[best]}")
    if target is not None:
        controls["target_small"] = (target, "the target itself at small scale")
    if loss is not None:
        controls["loss"] = (-loss, "held-out loss, lower first")
    if forecast is not None:
        controls["passuntil"] = (forecast, "PassUntil's forecast of the target")
    return controls


def judged(
    name: str,
    scores: Floats,
    what: str,
    *,
    ranking: Floats,
    truth: Floats | None = None,
    budget: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> Control:
    """Hold a control beside the ranking and, where there is one, against the truth.

    Parameters
    ----------
    name : str
        What the control is called.
    scores : numpy.ndarray of float, shape (models,)
        Its scores, higher is better.
    what : str
        What it is, for people.
    ranking : numpy.ndarray of float, shape (models,)
        The scores that models are ranked by.
    truth : numpy.ndarray of float, shape (models,), optional
        The true value of each model, higher is better; NaN where unknown.
    budget : sequence of labels, optional
        A label a model; only models of one label are compared.
    seed : int, optional
        Of the permutation test.

    Returns
    -------
    Control
        The control with its agreements.

    Raises
    ------
    ProxyError
        Where no two models of one budget differ in truth.
    """
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
    """Draw weights evenly from the simplex, and hold them beside the ranking and against the truth.

    Parameters
    ----------
    columns : numpy.ndarray of float, shape (models, proxies)
        Scores, higher is better, without gaps.
    ranking : numpy.ndarray of float, shape (models,)
        The scores that models are ranked by.
    truth : numpy.ndarray of float, shape (models,), or None
        The true value of each model, higher is better; NaN where unknown.
    aggregate : {"raw", "z"}, optional
        What is averaged, as the ranking does.
    budget : sequence of labels, optional
        A label a model; only models of one label are compared.
    draws : int, optional
        How many; with more than 300 models at most 100.
    seed : int, optional
        Of the draws.

    Returns
    -------
    RandomWeights
        The mean over the draws, and the share that does as well as the ranking.

    Raises
    ------
    ProxyError
        Where no two models of one budget differ in truth.
    """
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
    """Kendall's tau over the models that have both; None where either ties all."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 2 or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
        return None
    return float(kendalltau(a[both], b[both]).statistic)
