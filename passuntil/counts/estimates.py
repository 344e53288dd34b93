"""Estimates of a pass probability from counts, as functions of arrays.

All functions take the six columns of a `Tally` and broadcast them against each other: `draws` (n), `passes`
(s), `stopped_at` (K, the 1-based draw of the r-th pass; 0 or None where it never came), `r` (0 or None for
a fixed number of draws), `floor` and `cap` (None for none). They check nothing, so that simulations run at
NumPy's speed; `Tally` checks and then calls them.

Why three rules. The paper's r / K (arXiv 2310.03262, eq. 2) is the maximum-likelihood estimate and biased
upwards: by a factor that tends to r / (r - 1) as p falls, and like log(1 / p) for r = 1. A mean over
instances keeps that bias. The unbiased rule follows from path counting (Girshick, Mosteller and Savage
1946, Annals of Mathematical Statistics 17:13-23): the estimate at an outcome is the share of the paths to
it that begin with a pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, polygamma

from passuntil._arrays import Floats
from passuntil.counts._columns import columns_of, stopped_beyond_floor
from passuntil.errors import PassUntilError


def unbiased(
    draws: ArrayLike,
    passes: ArrayLike,
    stopped_at: ArrayLike | None = None,
    r: ArrayLike | None = None,
    floor: ArrayLike | None = None,
    cap: ArrayLike | None = None,
) -> Floats:
    """Unbiased estimate of the pass probability: its mean is p for every p, floor and cap.

    Parameters
    ----------
    draws : array_like of int
        n >= 0. All six are broadcast against each other.
    passes : array_like of int
        s, 0 <= s <= n.
    stopped_at : array_like of int, optional
        K, the 1-based draw of the r-th pass; 0 or None where it never came.
    r : array_like of int, optional
        Passes wanted; 0 or None for a fixed number of draws.
    floor, cap : array_like of int, optional
        Least and most draws; 0 or None for none.

    Returns
    -------
    ndarray
        Values in [0, 1], of the broadcast shape; NaN where there are no draws.

    Notes
    -----
    ::

        s / n                at the floor (r or more passes came by it), at the cap, for fixed draws
        (r - 1) / (K - 1)    where the r-th pass ended the run beyond the floor

    For r = 1 the only unbiased rule is "did the first draw pass" (or the mean of the floor, if there is
    one): it is returned, and it is useless; that is why `UntilPasses` refuses r = 1.

    References
    ----------
    .. [1] Girshick, Mosteller and Savage (1946), Annals of Mathematical Statistics 17:13-23.

    Examples
    --------
    >>> unbiased([100, 37], [0, 5], [0, 37], 5, None, 100).round(4).tolist()
    [0.0, 0.1111]
    """
    n, s, k, rr, _ = columns_of(draws, passes, stopped_at, r, cap)
    with np.errstate(divide="ignore", invalid="ignore"):
        at_stop = np.where(k > 1, (rr - 1) / (k - 1), 1.0)
        plain = s / n
    return np.where(stopped_beyond_floor(stopped_at, r, floor), at_stop, plain)


def paper(
    draws: ArrayLike,
    passes: ArrayLike,
    stopped_at: ArrayLike | None = None,
    r: ArrayLike | None = None,
    floor: ArrayLike | None = None,
    cap: ArrayLike | None = None,
) -> Floats:
    """Estimate by the paper's rule: r / K, and s / n where no r-th pass came. Biased upwards.

    A floor changes nothing: the paper stops at the r-th pass, and K is known in draw order even where more
    was drawn.

    Parameters
    ----------
    draws, passes, stopped_at, r, floor, cap : array_like of int, optional
        The columns of tallies, as in `unbiased`.

    Returns
    -------
    ndarray
        Values in [0, 1], of the broadcast shape; NaN where there are no draws.

    References
    ----------
    .. [1] Hu et al. (2023), arXiv 2310.03262, eq. 2.

    Examples
    --------
    >>> paper([100, 37], [0, 5], [0, 37], 5, None, 100).round(4).tolist()
    [0.0, 0.1351]
    """
    n, s, k, rr, _, _ = columns_of(draws, passes, stopped_at, r, floor, cap)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((rr > 0) & (k > 0), rr / k, s / n)


def mle(
    draws: ArrayLike,
    passes: ArrayLike,
    stopped_at: ArrayLike | None = None,
    r: ArrayLike | None = None,
    floor: ArrayLike | None = None,
    cap: ArrayLike | None = None,
) -> Floats:
    """Maximum-likelihood estimate s / n, whatever ended the run.

    Parameters
    ----------
    draws, passes, stopped_at, r, floor, cap : array_like of int, optional
        The columns of tallies, as in `unbiased`.

    Returns
    -------
    ndarray
        Values in [0, 1], of the broadcast shape; NaN where there are no draws.

    Notes
    -----
    A stopping rule that looks at outcomes only is a constant factor of the likelihood p^s (1 - p)^(n - s).
    Where passes end the run the estimate is biased upwards.
    """
    n, s, *_ = columns_of(draws, passes, stopped_at, r, floor, cap)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(s / n, dtype=np.float64)


def log_unbiased(stopped_at: ArrayLike, r: ArrayLike) -> Floats:
    """Unbiased estimate of log p for a run that stops at the r-th pass and has no cap.

    Parameters
    ----------
    stopped_at : array_like of int
        K >= r, the draw of the r-th pass.
    r : array_like of int
        Passes wanted, at least 1.

    Returns
    -------
    ndarray
        Natural logarithms, at most 0, of the broadcast shape.

    Notes
    -----
    With the digamma function psi and the trigamma function psi'::

        psi(r) - psi(K),    standard deviation below sqrt(psi'(r)): 1.28, .80, .47 at r = 1, 2, 5, at every p

    References
    ----------
    .. [1] van Opheusden, Acerbi and Ma (2020), arXiv 2001.03985.
    """
    k, rr = columns_of(stopped_at, r)
    return np.asarray(digamma(rr) - digamma(k), dtype=np.float64)


def log_variance(stopped_at: ArrayLike, r: ArrayLike) -> Floats:
    """Unbiased estimate of the variance of `log_unbiased`.

    Parameters
    ----------
    stopped_at, r : array_like of int
        As in `log_unbiased`.

    Returns
    -------
    ndarray
        At least 0, of the broadcast shape.

    Notes
    -----
    psi'(r) - psi'(K), with the trigamma function psi'. Without a floor and a cap its mean is the variance
    exactly, at every p (summed over K in the tests; for r = 1 both are the dilogarithm of 1 - p).

    Examples
    --------
    >>> float(log_variance(1000, 5).round(4))
    0.2203
    """
    k, rr = columns_of(stopped_at, r)
    return np.asarray(polygamma(1, rr) - polygamma(1, k), dtype=np.float64)


def variance(
    draws: ArrayLike,
    passes: ArrayLike,
    stopped_at: ArrayLike | None = None,
    r: ArrayLike | None = None,
    floor: ArrayLike | None = None,
    cap: ArrayLike | None = None,
) -> Floats:
    """Unbiased estimate of the variance of `unbiased`, given p.

    Parameters
    ----------
    draws, passes, stopped_at, r, floor, cap : array_like of int, optional
        The columns of tallies, as in `unbiased`.

    Returns
    -------
    ndarray
        At least 0, of the broadcast shape.

    Notes
    -----
    It is the square of the estimate less the unbiased estimate of p^2, which is, by the same path counting,
    the share of paths that begin with two passes. That leaves::

        s (n - s) / (n^2 (n - 1))                   at the floor, at the cap, for fixed draws
        (r - 1) (K - r) / ((K - 1)^2 (K - 2))       where the r-th pass ended the run beyond the floor

    One draw tells nothing of the variance: 0 there.
    """
    n, s, k, rr, _ = (c.astype(np.float64) for c in columns_of(draws, passes, stopped_at, r, cap))
    with np.errstate(divide="ignore", invalid="ignore"):
        at_stop = np.where(k > 2, (rr - 1) * (k - rr) / ((k - 1) ** 2 * (k - 2)), 0.0)
        plain = np.where(n > 1, s * (n - s) / (n**2 * (n - 1)), 0.0)
    return np.where(stopped_beyond_floor(stopped_at, r, floor), at_stop, plain)


METHODS = {"unbiased": unbiased, "paper": paper, "mle": mle}


def by_name(method: str) -> Any:
    """Look an estimate up by its name.

    Parameters
    ----------
    method : {"unbiased", "paper", "mle"}
        The name.

    Returns
    -------
    callable
        `unbiased`, `paper` or `mle`.

    Raises
    ------
    PassUntilError
        For another name; it lists the ones there are.
    """
    try:
        return METHODS[method]
    except (KeyError, TypeError):
        raise PassUntilError(f"no estimate is called {method!r}; use one of {', '.join(METHODS)}") from None
