"""Plain maximum likelihood of each instance on its own, with the test of whether it obeys the law at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy
from scipy.stats import chi2

from passuntil._arrays import Floats, Ints
from passuntil.laws._cells import log_likelihood, pass_probability, score_and_weight
from passuntil.laws._inputs import check_cells

ROUNDS, LONGEST_STEP, FLAT = 200, 1.0, 1e-10


@dataclass(frozen=True, slots=True)
class InstanceML:
    """Fits of m instances, each by itself; NaN where the likelihood has no maximum (such as no pass at all).

    A law with models' own deviations can hold where single instances reject this one.

    Parameters
    ----------
    log_c, alpha : ndarray, shape (m,)
        Of each instance, in the unit of the sizes.
    deviance : ndarray, shape (m,)
        Twice the log-likelihood that the law loses against a pass probability of each cell's own.
    df : ndarray of int, shape (m,)
        Measured cells less 2.
    p_value : ndarray, shape (m,)
        Probability of that loss by chance (chi-squared, asymptotic).
    """

    log_c: Floats
    alpha: Floats
    deviance: Floats
    df: Ints
    p_value: Floats

    def predict(self, n_params: float) -> Floats:
        """Pass probability of each instance on its own law.

        Parameters
        ----------
        n_params : float
            A size above 0.

        Returns
        -------
        ndarray, shape (m,)
            In [0, 1]; NaN without a fit.
        """
        return pass_probability(self.log_c - self.alpha * np.log(n_params))


def instance_ml(n_params: ArrayLike, draws: ArrayLike, passes: ArrayLike) -> InstanceML:
    """Fit every instance by itself by maximum likelihood, zeros kept, all instances at once.

    Parameters
    ----------
    n_params : array_like of float, shape (n,)
        Sizes above 0, at least three of them distinct.
    draws, passes : array_like of int, shape (m, n)
        Counts, 0 <= passes <= draws; a cell without draws was not measured.

    Returns
    -------
    InstanceML
        The fits and their tests.

    Raises
    ------
    PassUntilError
        As `InstanceLikelihood.fit`.

    Notes
    -----
    Each maximises prod p_j^s (1 - p_j)^(n - s) over (log c, alpha), log(-log p_j) = log c - alpha log N_j.

    Examples
    --------
    >>> sizes = [0.036, 0.109, 0.241, 0.499, 0.892, 1.542]
    >>> fit = instance_ml(sizes, [[1600] * 6], [[0, 0, 0, 1, 3, 13]])
    >>> np.exp(fit.log_c).round(3).tolist(), fit.alpha.round(3).tolist()
    ([5.806], [0.421])
    """
    cells = check_cells(n_params, draws, passes)
    z, n, s = cells.z, cells.draws, cells.passes
    share = np.clip((s.sum(1) + 0.5) / (n.sum(1) + 1.0), 1e-9, 1.0 - 1e-9)
    a, b = np.log(-np.log(share)), np.zeros(n.shape[0])
    step0 = step1 = np.ones_like(a)
    for _ in range(ROUNDS):
        score, weight = score_and_weight(a[:, None] - b[:, None] * z, n, s)
        h00, h01, h11 = weight.sum(1) + FLAT, -(weight @ z), weight @ (z * z) + FLAT
        g0, g1 = score.sum(1), -(score @ z)
        determinant = h00 * h11 - h01 * h01
        step0, step1 = (h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant
        long = np.maximum(np.abs(step0), np.abs(step1))
        shorten = np.minimum(1.0, LONGEST_STEP / np.maximum(long, 1e-300))
        a, b = a + shorten * step0, b + shorten * step1
        if (long < 1e-9).all():
            break
    # Where no maximum exists, Newton walks away for ever.
    settled = np.maximum(np.abs(step0), np.abs(step1)) < 1e-6
    settled &= (s.sum(1) > 0) & (s.sum(1) < n.sum(1))
    fitted = log_likelihood(a[:, None] - b[:, None] * z, n, s).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        best = (xlogy(s, np.where(n > 0, s / n, 1.0)) + xlogy(n - s, np.where(n > 0, 1.0 - s / n, 1.0))).sum(
            1
        )
    deviance = np.where(settled, np.maximum(2.0 * (best - fitted), 0.0), np.nan)
    df = (n > 0).sum(1) - 2
    slope = np.where(settled, b / cells.spread, np.nan)
    return InstanceML(
        log_c=a + slope * cells.centre,
        alpha=slope,
        deviance=deviance,
        df=df,
        p_value=np.asarray(chi2.sf(deviance, np.maximum(df, 1))),
    )
