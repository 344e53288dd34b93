"""How many seeds are worth buying, said from a pilot before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import f as f_distribution

from proxy._arrays import Floats
from proxy._checks import MOST_REPETITIONS, confidence, real, whole
from proxy.errors import ProxyError
from proxy.ranking.simulation import pair_accuracy
from proxy.scores.matrix import ScoreMatrix

#: Name of the advice on the weighted mean of the tasks.
WEIGHTED = "weighted mean"


@dataclass(frozen=True, slots=True)
class SeedAdvice:
    """How many seeds of each configuration to train, and what each number gives.

    Parameters
    ----------
    seeds : int
        The smallest number from which one more gains less than `least_gain` of decision accuracy (and no later one
        more).
    accuracy : tuple of float
        Expected decision accuracy with 1, 2, ... seeds, from 0 to 1.
    limit : float
        With endless seeds.
    low, high : float
        The accuracy at `seeds`, at the ends of the interval of the signal's share.
    reliability : float
        Share of the variance of single-seed scores that is signal, from 0 to 1.
    reliability_low, reliability_high : float
        Its interval.
    sentence : str
        The advice in words.
    """

    seeds: int
    accuracy: tuple[float, ...]
    limit: float
    low: float
    high: float
    reliability: float
    reliability_low: float
    reliability_high: float
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values.

        Returns
        -------
        dict
            The fields by name.
        """
        return {name: getattr(self, name) for name in self.__slots__} | {"accuracy": list(self.accuracy)}


def seeds_worth_buying(
    *,
    spread: float,
    noise: float,
    models: int,
    noise_runs: int,
    relevance: float = 1.0,
    seeds_had: int = 1,
    least_gain: float = 0.01,
    most: int = 20,
    level: float = 0.95,
) -> SeedAdvice:
    """Say before training how many seeds of each configuration are worth their cost.

    Parameters
    ----------
    spread : float
        Standard deviation of the score over the configurations of a pilot, each the mean of `seeds_had` seeds.
    noise : float
        Standard deviation of the score over seeds of one configuration.
    models : int
        Configurations that the spread was computed from, at least 2.
    noise_runs : int
        Runs that the noise was computed from, at least 2.
    relevance : float, optional
        Correlation of the score, free of noise, with the truth, from 0 to 1.
    seeds_had : int, optional
        Seeds of the pilot, at least 1.
    least_gain : float, optional
        Decision accuracy that one more seed must add.
    most : int, optional
        The largest number considered, at least 1.
    level : float, optional
        Confidence level of the intervals, between 0 and 1.

    Returns
    -------
    SeedAdvice
        The number, and what it gives.

    Raises
    ------
    ProxyError
        For values out of range.

    Notes
    -----
    The signal is spread^2 - noise^2 / seeds_had, at least 0; its interval comes from the F distribution of the ratio
    of the two variances. With s seeds a pair is ordered rightly with probability 1/2 + arcsin(rho) / pi,
    rho = relevance sqrt(signal / (signal + noise^2 / s)). Seeds cannot mend an irrelevant score: `limit` says what
    they can reach.

    Examples
    --------
    >>> advice = seeds_worth_buying(spread=1.5, noise=1.0, models=12, noise_runs=6)
    >>> advice.seeds, round(advice.accuracy[0], 3), round(advice.limit, 3)
    (5, 0.768, 1.0)
    """
    spread, noise = real("spread", spread, least=0), real("noise", noise, least=0)
    relevance, least_gain = (
        real("relevance", relevance, least=0, most=1),
        real("least_gain", least_gain, least=1e-6),
    )
    models, noise_runs = whole("models", models, least=2), whole("noise_runs", noise_runs, least=2)
    seeds_had, most, level = (
        whole("seeds_had", seeds_had, least=1, most=MOST_REPETITIONS),
        whole("most", most, least=1, most=MOST_REPETITIONS),
        confidence(level),
    )
    if spread == 0 and noise == 0:
        raise ProxyError("spread and noise are both 0: the score is the same everywhere and tells nothing")
    ratio = seeds_had * spread**2 / noise**2 if noise > 0 else math.inf
    free = (models - 1, noise_runs - 1)
    tail = (1 - level) / 2
    bounds = (ratio / f_distribution.isf(tail, *free), ratio, ratio / f_distribution.ppf(tail, *free))
    # In units of the noise of one seed: the variance of true scores, seeds_had of which make a ratio of 1 + that.
    signals = [max(float(bound) - 1, 0.0) / seeds_had for bound in bounds]

    def accuracies(signal: float) -> Floats:
        count = np.arange(1, most + 2)
        share = np.ones(count.size) if math.isinf(signal) else signal / (signal + 1 / count)
        return pair_accuracy(relevance * np.sqrt(share))

    central = accuracies(signals[1])
    gains = np.diff(central)
    worth = np.flatnonzero(gains >= least_gain)
    seeds = min(int(worth[-1]) + 2 if worth.size else 1, most)
    low, high = float(accuracies(signals[0])[seeds - 1]), float(accuracies(signals[2])[seeds - 1])
    limit = float(pair_accuracy(relevance if signals[1] > 0 else 0.0))
    shares = [1.0 if math.isinf(s) else s / (s + 1) for s in signals]
    if signals[1] == 0:
        sentence = (
            "the configurations differ no more than seeds do: this pilot cannot tell whether more seeds help"
        )
    else:
        one = "" if seeds == 1 else f"one seed gives {central[0]:.2f}, "
        sentence = (
            f"train {seeds} {'seed' if seeds == 1 else 'seeds'} of each configuration: the decision accuracy is then "
            f"about {central[seeds - 1]:.2f} [{low:.2f}, {high:.2f}]; {one}endless seeds would give {limit:.2f}"
        )
    return SeedAdvice(
        seeds=seeds,
        accuracy=tuple(central[:most].tolist()),
        limit=limit,
        low=low,
        high=high,
        reliability=shares[1],
        reliability_low=shares[0],
        reliability_high=shares[2],
        sentence=sentence,
    )


def study_seeds(
    pilot: ScoreMatrix,
    noise_group: ScoreMatrix,
    *,
    weights: Mapping[str, float] | None = None,
    **settings: Any,
) -> dict[str, SeedAdvice]:
    """Advise on each task of both tables, and first on the weighted mean of raw scores where weights are given.

    Parameters
    ----------
    pilot : ScoreMatrix
        Different configurations, each score the mean of `seeds_had` seeds.
    noise_group : ScoreMatrix
        Seeds of one configuration, of the same kind of model.
    weights : mapping of str to float, optional
        Of tasks that both tables have.
    **settings : float or int
        Of `seeds_worth_buying`: relevance, seeds_had, least_gain, most and level.

    Returns
    -------
    dict of str to SeedAdvice
        The advice by task. A task that no two models tell apart, or that fewer than 2 models of a group have, is left
        out.

    Raises
    ------
    ProxyError
        Where nothing is left, and for weights of unknown tasks.

    Examples
    --------
    >>> pilot = ScoreMatrix(("a", "b", "c"), ("x",), [[0.1], [0.5], [0.9]])
    >>> noise = ScoreMatrix(("s0", "s1"), ("x",), [[0.5], [0.51]])
    >>> study_seeds(pilot, noise)["x"].seeds
    1
    """
    shared = [task for task in pilot.tasks if task in noise_group.tasks]
    tables = {task: [one.column(task) for one in (pilot, noise_group)] for task in shared}
    if weights is not None:
        size = sum(abs(weight) for weight in weights.values())
        if not size > 0:
            raise ProxyError("all weights are 0: give at least one task a weight")
        chosen = [one.select(tasks=list(weights)) for one in (pilot, noise_group)]
        share = np.array(list(weights.values())) / size
        tables = {WEIGHTED: [one.scores * one.signs() @ share for one in chosen], **tables}
    advice = {}
    for name, columns in tables.items():
        known = [column[np.isfinite(column)] for column in columns]
        if min(map(len, known)) < 2 or all(np.ptp(column) == 0 for column in known):
            continue
        spread, noise = (float(column.std(ddof=1)) for column in known)
        advice[name] = seeds_worth_buying(
            spread=spread, noise=noise, models=len(known[0]), noise_runs=len(known[1]), **settings
        )
    if not advice:
        raise ProxyError(
            "no task is scored by at least 2 models of the pilot and of the noise group, and told apart by them; "
            "give the same tasks in both"
        )
    return advice
