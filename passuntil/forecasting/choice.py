"""Which method to trust on this series, by how it did in the back-tests."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from passuntil._text import counted
from passuntil.errors import PassUntilError
from passuntil.forecasting._scoring import excess_squares, score
from passuntil.forecasting.methods import METHODS
from passuntil.forecasting.per_model import HeldOut

#: Without evidence: the fit that keeps zeros and counts the models' deviations, then the simplest one.
PREFERENCE = ("instance_likelihood", "dataset_ols", "loss_assisted", "instance_ols")
#: With fewer left-out forecasts than this, chance decides more than the methods do.
LEAST_HELD_OUT = 2
#: Three left-out forecasts, two of them of one model, say little: another method must beat the preferred
#: one's score by this factor.
MARGIN = 0.8
#: And by this much in F, below which all methods are as good as the measurement.
LEAST_GAIN = 0.01


@dataclass(frozen=True, slots=True)
class Choice:
    """The recommended method, and why.

    Parameters
    ----------
    method : str
        Its name in `passuntil.forecasting.METHODS`.
    reason : str
        In words.
    scores : dict of str to float
        Each method's mean score over the back-tests; lower is better.
    excess : dict of str to float
        What each method was off beyond its own intervals, as a standard deviation of F.
    """

    method: str
    reason: str
    scores: dict[str, float]
    excess: dict[str, float]


def choose(methods: Collection[str], backtests: Sequence[HeldOut]) -> Choice:
    """Choose the preferred method, unless another one's mean score is clearly below its own.

    A method must have forecast every left-out model to be compared; with fewer than two left-out forecasts
    the preferred one stays.

    Parameters
    ----------
    methods : collection of str
        The fitted methods, by name.
    backtests : sequence of HeldOut
        What they said of models left out.

    Returns
    -------
    Choice
        The method with the reason and all scores.

    Raises
    ------
    PassUntilError
        Where no method was fitted.

    Notes
    -----
    The score is the continuous ranked probability score of a normal distribution on the scale of
    F = log(-log p) with the forecast's centre and width: it asks for a small error and for a width that fits
    it. With z = (F - centre) / sd,

        score = sd (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)).

    References
    ----------
    .. [1] Gneiting and Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 102 (2007).
    """
    if not methods:
        raise PassUntilError("no method could be fitted to these data")
    complete = [name for name in methods if backtests and all(name in held.methods for held in backtests)]
    scores = {
        name: sum(score(held.methods[name], held.measured.mean) for held in backtests) / len(backtests)
        for name in complete
    }
    excess = {name: _excess(name, backtests) for name in complete}
    if len(backtests) < LEAST_HELD_OUT or not complete:
        first = next(name for name in PREFERENCE if name in methods)
        reason = (
            f"{counted(len(backtests), 'left-out forecast is', 'left-out forecasts are')} too few to compare "
            f"methods; {METHODS[first]} comes first"
        )
        return Choice(first, reason, scores, excess)
    first = next(name for name in PREFERENCE if name in complete)
    best = min(complete, key=lambda name: (scores[name], PREFERENCE.index(name)))
    listed = ", ".join(f"{METHODS[name]} {scores[name]:.3f}" for name in METHODS if name in scores)
    means = f"mean scores over {len(backtests)} left-out forecasts (lower is better): {listed}"
    if scores[best] < min(MARGIN * scores[first], scores[first] - LEAST_GAIN):
        return Choice(best, f"clearly better than {METHODS[first]}; {means}", scores, excess)
    return Choice(first, f"no other method is clearly better; {means}", scores, excess)


def _excess(name: str, backtests: Sequence[HeldOut]) -> float:
    """Root of the mean squared error beyond the forecasts' own variance, shrunk as from n of n + 1 points."""
    beyond = 0.0
    for held in backtests:
        beyond += excess_squares(held.methods[name], held.measured.mean)
    return math.sqrt(max(beyond, 0.0) / (len(backtests) + 1))
