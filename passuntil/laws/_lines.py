"""What the laws without a likelihood share: F of task means, lines over log N, a t interval."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import t as student

from passuntil._arrays import Floats
from passuntil.laws.base import Forecast

#: What is nearer to 0 or to 1 counts as this, so that F stays finite.
LEAST_P, MOST_P = 1e-300, 1.0 - 1e-12


def log_log(values: Floats) -> Floats:
    """F = log(-log p), with p kept off 0 and 1."""
    return np.asarray(np.log(-np.log(np.clip(values, LEAST_P, MOST_P))), dtype=np.float64)


def lines(x: Floats, y: Floats, used: Floats) -> tuple[Floats, Floats]:
    """Least-squares level at x = 0 and slope of every row of y (m, n) over x (n,), where `used` is 1."""
    count = used.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = (used * x).sum(1) / count
        mean = (used * np.where(used > 0, y, 0.0)).sum(1) / count
        off = used * (x - centre[:, None])
        slope = (off * np.where(used > 0, y, 0.0)).sum(1) / (off * off).sum(1)
    return mean - slope * centre, slope


def shrunken_lines(x: Floats, y: Floats, at: Floats) -> tuple[Floats, Floats]:
    """Empirical-Bayes lines of the rows of y (m, n) over x (n,): mean and variance of a new value at `at`.

    Row i is a_i + b_i x + noise, (a, b) normal over the rows, both fitted by moments: the rows' least-squares
    lines scatter by the covariance of (a, b) and by their own error. What a column is off as a whole belongs
    to its model, and is taken out before the noise is measured. The variance counts the line's posterior and
    one new noise. Shapes (m, len(at)).
    """
    m, n = y.shape
    centre, spread = float(x.mean()), float(x.std())
    design = np.column_stack([np.ones(n), (x - centre) / spread])
    gram = np.linalg.inv(design.T @ design)
    theta = y @ design @ gram
    left = y - theta @ design.T
    left = left - left.mean(axis=0)
    noise = float((left**2).sum()) / max((m - 1) * (n - 2), 1)
    mu, own = theta.mean(axis=0), noise * gram
    values, vectors = np.linalg.eigh(np.cov(theta.T) - own if m > 1 else np.zeros((2, 2)))
    between = vectors @ np.diag(np.maximum(values, 0.0)) @ vectors.T
    keep = between @ np.linalg.pinv(between + own)
    new_design = np.column_stack([np.ones(at.size), (at - centre) / spread])
    mean = (mu + (theta - mu) @ keep.T) @ new_design.T
    posterior = between - keep @ between
    variance = np.einsum("ki,ij,kj->k", new_design, posterior, new_design).clip(0.0) + noise
    return mean, np.broadcast_to(variance, mean.shape)


def forecast_with_scatter(
    log_sizes: Floats,
    residuals: Floats,
    size: float,
    mean: float,
    level: float,
    *,
    of_forms: float = 0.0,
) -> Forecast:
    """`mean` with the t interval of a new observation, as for a line: both on the scale of F.

    residuals: F measured less F fitted, of the task mean at each fitted size; n - 2 degrees of freedom.
    of_forms: standard deviation between the candidate forms at this size, on the scale of F.
    """
    n = residuals.size
    x = math.log(size)
    centre = float(log_sizes.mean())
    reach = 1.0 + 1.0 / n + (x - centre) ** 2 / float(((log_sizes - centre) ** 2).sum())
    variance = float((residuals**2).sum()) / (n - 2) * reach + of_forms**2
    half = float(student.ppf((1.0 + level) / 2.0, n - 2)) * math.sqrt(variance)
    f = float(log_log(np.asarray(mean)))
    low, high = (float(np.exp(-np.exp(min(f + side * half, 700.0)))) for side in (1.0, -1.0))
    return Forecast(size, mean, min(low, mean), max(high, mean), level)
