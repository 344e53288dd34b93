"""Draws spread over instances so that the mean gets the precision asked for at the least cost.

The mean over m instances has the variance sum(v_i / n_i) / m^2 from its draws, v_i = p_i (1 - p_i). At a
cost c_i a draw it is bought cheapest with n_i proportional to sqrt(v_i / c_i) (Neyman 1934, Journal of the
Royal Statistical Society 97:558-625). The v_i are not known, so the draws come in rounds, each planned from
the rounds before.

Planning from what was seen biases the plain s / n: an instance that happened to pass gets more draws and is
corrected downwards, one that happened not to pass gets few and stays at 0. So the estimate is not s / n. It
weighs the pass rates of the rounds with weights that are set before the round is drawn and sum to 1:

    p_i = sum over rounds t of w_it s_it / n_it.

Every s_it / n_it has mean p_i given all that came before, hence so has p_i, without bias, whatever the
rounds were planned from and whenever the planning decides to end. sum of w_it^2 s_it (n_it - s_it) / (n_it^2
(n_it - 1)) is its variance, itself without bias.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from passuntil._arrays import Floats, Ints
from passuntil.counts._columns import whole_columns
from passuntil.counts._outcomes import outcomes_of
from passuntil.errors import PassUntilError


def neyman(
    spread: ArrayLike, variance: float, *, costs: ArrayLike = 1.0, least: ArrayLike = 0.0, most: ArrayLike
) -> tuple[Floats, bool]:
    """Find the cheapest draws x with sum(spread / x) <= variance and least <= x <= most.

    Parameters
    ----------
    spread : array_like of float, shape (m,)
        The variance of one draw of each instance, times its squared weight; at least 0.
    variance : float
        What the sum may be; above 0.
    costs : array_like of float, shape (m,), optional
        Cost of one draw of each; above 0.
    least, most : array_like of float, shape (m,)
        Bounds of the draws of each.

    Returns
    -------
    draws : ndarray of float, shape (m,)
        Real numbers: round them up. Where even `most` does not meet the variance, `most` wherever there is any
        spread.
    met : bool
        Whether the variance is met.

    References
    ----------
    .. [1] J. Neyman, "On the two different aspects of the representative method", Journal of the Royal Statistical
       Society 97 (1934), 558-625.

    Examples
    --------
    >>> x, met = neyman([0.25, 0.01], 0.001, most=10_000)
    >>> x.round(1).tolist(), met
    ([300.0, 60.0], True)
    """
    v, c, low, high = (
        np.asarray(a, dtype=np.float64) for a in np.broadcast_arrays(spread, costs, least, most)
    )
    low = np.minimum(low, high)
    root = np.sqrt(v / c)

    def at(scale: float) -> Floats:
        return np.asarray(np.clip(root * scale, low, high), dtype=np.float64)

    def left(x: Floats) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.where(v > 0, v / x, 0.0).sum())

    full = np.where(v > 0, high, low)
    if left(full) > variance:
        return full, False
    if left(low) <= variance:
        return low.copy(), True
    # The variance falls in the scale; between 0 and the scale at which every instance has its most.
    bottom, top = 0.0, float((high[v > 0] / root[v > 0]).max())
    for _ in range(200):
        middle = 0.5 * (bottom + top)
        bottom, top = (bottom, middle) if left(at(middle)) <= variance else (middle, top)
        if top - bottom <= 1e-12 * top:
            break
    return at(top), True


@dataclass(frozen=True, slots=True)
class Rounds:
    """What was drawn in each round, not cumulated. The last round may be open.

    Parameters
    ----------
    draws, passes : ndarray of int, shape (rounds, instances)
        Counts of each round.

    Raises
    ------
    PassUntilError
        For counts that cannot be, and for no rounds or no instances.

    Examples
    --------
    >>> Rounds.none(3).draws.tolist()
    [[0, 0, 0]]
    """

    draws: Ints
    passes: Ints

    def __post_init__(self) -> None:
        draws, passes = whole_columns(self.draws, self.passes)
        if draws.ndim != 2 or draws.shape[0] == 0 or draws.shape[1] == 0:
            raise PassUntilError(
                f"rounds must have the shape (rounds, instances), at least one of each, not {draws.shape}"
            )
        object.__setattr__(self, "draws", draws)
        object.__setattr__(self, "passes", passes)

    @classmethod
    def none(cls, instances: int) -> Rounds:
        """Return rounds in which nothing is drawn yet.

        Parameters
        ----------
        instances : int
            How many instances there are, at least 1.

        Returns
        -------
        Rounds
            One open round.

        Raises
        ------
        PassUntilError
            For fewer than one instance.
        """
        if not isinstance(instances, int) or instances < 1:
            raise PassUntilError(f"instances must be at least 1, not {instances!r}")
        empty = np.zeros((1, instances), dtype=np.int64)
        return cls(empty, empty)

    @property
    def totals(self) -> tuple[Ints, Ints]:
        """(draws, passes) of each instance over all rounds."""
        return self.draws.sum(axis=0), self.passes.sum(axis=0)

    def first(self, count: int) -> Rounds:
        """Return the first rounds.

        Parameters
        ----------
        count : int
            How many.

        Returns
        -------
        Rounds
            Those rounds.
        """
        return Rounds(self.draws[:count], self.passes[:count])


@dataclass(frozen=True, slots=True)
class Allocation:
    """What to draw of each instance now.

    Parameters
    ----------
    draws : ndarray of int, shape (instances,)
        Draws to ask for now, 0 for instances that have theirs.
    round : int
        The round that they belong to, from 0.
    target : ndarray of int, shape (instances,)
        Draws of the whole round.
    weight : ndarray of float, shape (instances,)
        The weight that the round's pass rate has in the estimate.
    last : bool
        Whether no round follows.
    done : bool
        Whether nothing is left to draw.
    reachable : bool, optional
        False where the target cannot be met under the cap, by what is known so far.
    note : str, optional
        Says so in words; empty otherwise.
    """

    draws: Ints
    round: int
    target: Ints
    weight: Floats
    last: bool
    done: bool
    reachable: bool = True
    note: str = ""


def weighted_estimates(rounds: Rounds, weights: Floats) -> tuple[Floats, Floats]:
    """Estimate the pass probability of each instance from weighted rounds.

    Parameters
    ----------
    rounds : Rounds
        Closed rounds.
    weights : ndarray of float, shape (rounds, instances)
        The weight of each round's pass rate, set before it was drawn; 0 for a round without draws. Weights that do
        not sum to 1, because rounds are still to come, are scaled up: then the estimate is provisional and not free
        of bias.

    Returns
    -------
    estimates, variances : ndarray of float, shape (instances,)
        Both without bias where the weights sum to 1.

    Notes
    -----
    With the weights w_it, draws n_it and passes s_it of round t, the estimate is the sum of w_it s_it / n_it, and
    its variance that of w_it^2 s_it (n_it - s_it) / (n_it^2 (n_it - 1)).
    """
    n, s = rounds.draws.astype(np.float64), rounds.passes.astype(np.float64)
    total = weights.sum(axis=0)
    # Before any round has weight the draws weigh alike.
    weights = np.where(total > 0, weights, n)
    share = weights / weights.sum(axis=0)
    safe = np.where(n > 0, n, 1.0)
    rates = s / safe
    noise = np.where(n > 1, rates * (1.0 - rates) / np.maximum(n - 1.0, 1.0), 0.0)
    return (share * rates).sum(axis=0), (share**2 * noise).sum(axis=0)


def outcome_arrays(outcomes: Iterable[Any]) -> list[NDArray[np.int64]]:
    """Cumulate the passes of each instance's outcomes.

    Parameters
    ----------
    outcomes : iterable of sequences of bool
        Outcomes of each instance in draw order.

    Returns
    -------
    list of ndarray of int, shape (draws + 1,)
        Passes among the first 0, 1, 2, ... draws.
    """

    return [
        np.concatenate([[0], np.cumsum(outcomes_of(bits), dtype=np.int64)]).astype(np.int64)
        for bits in outcomes
    ]
