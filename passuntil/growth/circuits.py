"""Curves made of steps and of circuits.

An answer that needs every one of several steps has P = prod_i P_i; one that the best of several circuits
gives has P = max_i P_i. With P_i = exp(-c_i N^-alpha_i), x = log N and F_i = log c_i - alpha_i x:

    steps:         F = log sum_i exp(F_i)     convex   (Theorem 2 of [1]_: F'' = Var of alpha)
    best circuit:  F = min_i F_i              concave  (Theorem 3; it is a maximum of P, no vote)

.. [1] Hu et al., "Predicting Emergent Abilities with Infinite Resolution Evaluation", arXiv 2310.03262.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp, softmax

from passuntil._arrays import Floats
from passuntil.errors import PassUntilError

#: softmax(-F_i) weights give a concave F only while the circuits differ by less (method 1.2): the root of
#: t tanh(t / 2) = 2.
CONCAVE_WITHIN = 2.3993572805154677


def steps_curve(log_c: ArrayLike, alpha: ArrayLike, log_n: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """F of a chain of independent steps, all necessary, with F' and F'' in x = log N.

    Parameters
    ----------
    log_c : array_like of float, shape (k,)
        log c of each step.
    alpha : array_like of float, shape (k,)
        Exponent of each step.
    log_n : array_like of float, shape (n,)
        Natural logarithms of the sizes.

    Returns
    -------
    f : ndarray, shape (n,)
        F = log(-log P).
    slope : ndarray, shape (n,)
        F'.
    second : ndarray, shape (n,)
        F'', at least 0: steps can only make F convex.

    Raises
    ------
    PassUntilError
        For shapes that do not fit.

    Notes
    -----
    F = log sum_i exp(log c_i - alpha_i x); F' is minus the mean of alpha and F'' the variance of alpha, under
    weights proportional to c_i exp(-alpha_i x).

    References
    ----------
    .. [1] Hu et al., arXiv 2310.03262, Theorem 2.

    Examples
    --------
    >>> f, slope, second = steps_curve([0.0, 0.0], [0.2, 0.4], [0.0])
    >>> round(float(slope[0]), 4), round(float(second[0]), 4)
    (-0.3, 0.01)
    """
    parts, exponents = _parts(log_c, alpha, log_n)
    weights = softmax(parts, axis=1)
    mean = weights @ exponents
    variance = (weights * (exponents - mean[:, None]) ** 2).sum(axis=1)
    return np.asarray(logsumexp(parts, axis=1)), -mean, variance


def best_circuit_curve(log_c: ArrayLike, alpha: ArrayLike, log_n: ArrayLike) -> Floats:
    """F of the best of several circuits: the minimum of straight lines, concave in log N.

    Parameters
    ----------
    log_c : array_like of float, shape (k,)
        log c of each circuit.
    alpha : array_like of float, shape (k,)
        Exponent of each circuit.
    log_n : array_like of float, shape (n,)
        Natural logarithms of the sizes.

    Returns
    -------
    ndarray, shape (n,)
        F = log(-log P).

    Raises
    ------
    PassUntilError
        For shapes that do not fit.

    Notes
    -----
    P = max_i P_i, so F = min_i (log c_i - alpha_i x).

    References
    ----------
    .. [1] Hu et al., arXiv 2310.03262, Theorem 3.

    Examples
    --------
    >>> best_circuit_curve([1.0, 3.0], [0.2, 0.6], [0.0, 5.0, 10.0]).tolist()
    [1.0, 0.0, -3.0]
    """
    return np.asarray(_parts(log_c, alpha, log_n)[0].min(axis=1))


def _parts(log_c: ArrayLike, alpha: ArrayLike, log_n: ArrayLike) -> tuple[Floats, Floats]:
    heights, exponents, x = (np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in (log_c, alpha, log_n))
    if heights.shape != exponents.shape or heights.ndim != 1 or x.ndim != 1:
        raise PassUntilError(
            f"log_c {heights.shape} and alpha {exponents.shape} must have one value a step or circuit, and "
            f"log_n {x.shape} one dimension"
        )
    return heights[None, :] - exponents[None, :] * x[:, None], exponents
