"""The variance of a task over training data against its variance over seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import f as fisher

from proxy._arrays import Floats
from proxy._checks import confidence, real, whole
from proxy._text import counted, finite
from proxy.errors import ProxyError

#: An infinite ratio counts as this much.
CAP = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceRatio:
    """Sample variance over data recipes against sample variance over seeds.

    Parameters
    ----------
    ratio : float
        Their quotient; infinite where no noise was seen, NaN where neither group moves.
    capped : float
        The ratio, at most the cap: what weights are made of.
    low : float
        Lower end of the interval of the true ratio.
    high : float
        Upper end of the interval of the true ratio.
    level : float
        Confidence level of the interval.
    p_value : float
        Of a true ratio of at most 1.
    var_data : float
        Sample variance of the data group.
    var_noise : float
        Sample variance of the noise group.
    n_data : int
        Models in the data group.
    n_noise : int
        Models in the noise group.
    signal_to_noise : float
        Largest difference between the recipes over the standard deviation of the seeds [1]_, for comparison.

    References
    ----------
    .. [1] arXiv 2508.13144, the signal-to-noise ratio of a benchmark.
    """

    ratio: float
    capped: float
    low: float
    high: float
    level: float
    p_value: float
    var_data: float
    var_noise: float
    n_data: int
    n_noise: int
    signal_to_noise: float

    @property
    def infinite(self) -> bool:
        """Whether no noise was seen, so that the ratio is infinite and was capped."""
        return math.isinf(self.ratio)

    def note(self) -> str:
        """Say what a person must know about this ratio.

        Returns
        -------
        str
            A sentence; empty where there is nothing to know.
        """
        if self.infinite:
            counts = f"the ratio is infinite and counts as {self.capped:g}"
            return f"no noise was seen, so {counts}; more seeds would bound it"
        if math.isnan(self.ratio):
            return "the same score everywhere in both groups, so robustness is undefined"
        return ""

    def as_dict(self) -> dict[str, Any]:
        """Give the ratio in the JSON shape.

        Returns
        -------
        dict
            The fields, an infinite ratio as None beside `infinite` and the capped value.
        """
        return {
            "ratio": finite(self.ratio),
            "capped": finite(self.capped),
            "infinite": self.infinite,
            "low": finite(self.low),
            "high": finite(self.high),
            "level": self.level,
            "p_value": finite(self.p_value),
            "var_data": self.var_data,
            "var_noise": self.var_noise,
            "n_data": self.n_data,
            "n_noise": self.n_noise,
            "signal_to_noise": finite(self.signal_to_noise),
        }


def variance_ratio(
    var_data: float,
    n_data: int,
    var_noise: float,
    n_noise: int,
    *,
    level: float = 0.9,
    cap: float = CAP,
    dispersion: float = math.nan,
) -> VarianceRatio:
    """Compare two sample variances (ddof 1).

    Parameters
    ----------
    var_data : float
        Sample variance of the data group, at least 0.
    n_data : int
        Its models, at least 2.
    var_noise : float
        Sample variance of the noise group, at least 0.
    n_noise : int
        Its models, at least 2; of a variance pooled over several recipes, the degrees of freedom + 1.
    level : float, optional
        Confidence level of the interval, strictly between 0 and 1.
    cap : float, optional
        What an infinite ratio counts as, and the most that any ratio counts; at least 1.
    dispersion : float, optional
        Largest difference within the data group, for the signal-to-noise measure.

    Returns
    -------
    VarianceRatio
        The ratio with its interval and p value.

    Raises
    ------
    ProxyError
        For numbers out of their range.

    Notes
    -----
    R = var_data / var_noise [1]_. With normal scores and equal variances R has the F distribution with n_data - 1 and
    n_noise - 1 degrees of freedom, which gives the p value; over its quantiles, R gives the interval.

    References
    ----------
    .. [1] B.-W. Zhang et al., "Predictable Emergent Abilities of LLMs: Proxy Tasks Are All You Need", arXiv
       2412.07111, section 3.2.

    Examples
    --------
    >>> c3 = variance_ratio(54.6974, 5, 0.9081, 3)
    >>> round(c3.ratio, 2), round(c3.p_value, 4), round(c3.low, 1), round(c3.high)
    (60.23, 0.0164, 3.1, 418)
    """
    n_data, n_noise = whole("n_data", n_data, least=2), whole("n_noise", n_noise, least=2)
    var_data, var_noise = real("var_data", var_data, least=0.0), real("var_noise", var_noise, least=0.0)
    level, cap = confidence(level), real("cap", cap, least=1.0)
    law = fisher(n_data - 1, n_noise - 1)
    if var_noise == 0.0:
        ratio = math.inf if var_data > 0 else math.nan
        low, high, p = (ratio, ratio, 0.0) if var_data > 0 else (math.nan, math.nan, math.nan)
    else:
        ratio = var_data / var_noise
        low, high = (ratio / float(law.ppf(0.5 + side * level / 2)) for side in (1, -1))
        p = float(law.sf(ratio))
    noise = math.sqrt(var_noise)
    snr = dispersion / noise if noise > 0 else (math.inf if dispersion > 0 else math.nan)
    capped = ratio if math.isnan(ratio) else min(ratio, cap)
    return VarianceRatio(
        ratio=ratio,
        capped=capped,
        low=low,
        high=high,
        level=level,
        p_value=p,
        var_data=var_data,
        var_noise=var_noise,
        n_data=n_data,
        n_noise=n_noise,
        signal_to_noise=snr,
    )


def group_ratio(data: ArrayLike, noise: ArrayLike, *, level: float = 0.9, cap: float = CAP) -> VarianceRatio:
    """Compare the variances of one task over two groups of models.

    Parameters
    ----------
    data : array_like of float
        Scores of models with different training data; gaps (NaN) are left out.
    noise : array_like of float
        Scores of models with different seeds; gaps (NaN) are left out.
    level : float, optional
        As in `variance_ratio`.
    cap : float, optional
        As in `variance_ratio`.

    Returns
    -------
    VarianceRatio
        The ratio with its interval and p value.

    Raises
    ------
    ProxyError
        For a group with fewer than 2 scores.

    Examples
    --------
    >>> group_ratio([24.75, 26.13, 25.31, 25.44, 24.53], [25.2, 24.82, 25.05]).ratio.__round__(2)
    10.79
    """
    groups = []
    for name, values in (("data", data), ("noise", noise)):
        group = np.asarray(values, dtype=np.float64).ravel()
        group = group[np.isfinite(group)]
        if len(group) < 2:
            raise ProxyError(
                f"the {name} group has {counted(len(group), 'scored model')}; a variance needs at least 2"
            )
        groups.append(group)
    first, second = groups
    return variance_ratio(
        _variance(first),
        len(first),
        _variance(second),
        len(second),
        level=level,
        cap=cap,
        dispersion=float(np.ptp(first)),
    )


def _variance(values: Floats) -> float:
    """Sample variance."""
    # Equal scores have no variance, whatever the rounding of their mean says.
    return 0.0 if np.ptp(values) == 0 else float(values.var(ddof=1))
