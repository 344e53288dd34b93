"""Robustness of a task: does it move with the training data by more than with the seed?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit
from scipy.stats import f as fisher

from proxy._arrays import Floats
from proxy._checks import confidence, one_of, real, whole
from proxy._text import finite
from proxy.errors import ProxyError
from proxy.scores.matrix import ScoreMatrix

#: Transformations of the ratio R that a score may weigh with; "sigmoid" is the paper's example.
PHI = ("ratio", "sigmoid", "none")
#: An infinite ratio counts as this much.
CAP = 1000.0


@dataclass(frozen=True, slots=True)
class VarianceRatio:
    """Sample variance over data recipes against sample variance over seeds.

    ratio: their quotient; infinite where no noise was seen, NaN where neither group moves. capped: the ratio, at
    most the cap: what weights are made of. low, high: interval of the true ratio at `level`, p_value: of a true
    ratio of at most 1; both by the F distribution, which assumes normal scores. signal_to_noise: largest difference
    between the recipes over the standard deviation of the seeds, the measure of arXiv 2508.13144, for comparison.
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
        """What a person must know about this ratio, or nothing."""
        if self.infinite:
            return f"noise variance 0: the ratio is infinite and counts as {self.capped:g}; more seeds would bound it"
        if math.isnan(self.ratio):
            return "the same score in both groups: robustness is undefined"
        return ""

    def as_dict(self) -> dict[str, Any]:
        """The ratio in the JSON shape: an infinite one as null, beside `infinite` and the capped value."""
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
    """The ratio of two sample variances (ddof 1) of groups of n_data and n_noise models, each at least 2.

    n_noise may be the degrees of freedom + 1 of a variance pooled over several recipes. dispersion: largest
    difference within the data group, for the signal-to-noise measure. cap: what an infinite ratio counts as, and the
    most that any ratio counts.

    >>> found = variance_ratio(54.6974, 5, 0.9081, 3)
    >>> round(found.ratio, 2), round(found.p_value, 4), round(found.low, 1), round(found.high)
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
    return VarianceRatio(ratio, capped, low, high, level, p, var_data, var_noise, n_data, n_noise, snr)


def group_ratio(data: ArrayLike, noise: ArrayLike, *, level: float = 0.9, cap: float = CAP) -> VarianceRatio:
    """The variance ratio of one task from the scores of both groups; gaps (NaN) are left out.

    Raises ProxyError for a group with fewer than 2 scores.

    >>> group_ratio([24.75, 26.13, 25.31, 25.44, 24.53], [25.2, 24.82, 25.05]).ratio.__round__(2)
    10.79
    """
    groups = []
    for name, values in (("data", data), ("noise", noise)):
        group = np.asarray(values, dtype=np.float64).ravel()
        group = group[np.isfinite(group)]
        if len(group) < 2:
            raise ProxyError(
                f"the {name} group has {len(group)} scored model{'s' * (len(group) != 1)}; a variance needs at least 2"
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


def study_robustness(
    data_group: ScoreMatrix,
    noise_group: ScoreMatrix,
    *,
    tasks: Sequence[str] | None = None,
    level: float = 0.9,
    cap: float = CAP,
) -> dict[str, VarianceRatio]:
    """Task -> variance ratio, for the tasks that both groups have.

    A task may have several metrics, as columns "task:metric": if `tasks` asks for "task" and there is no such
    column, the metric with the median ratio answers for it (of an even number, the lower middle one).

    Raises ProxyError where a group has one model, or no task is in both.
    """
    for name, group in (("data", data_group), ("noise", noise_group)):
        if len(group.models) < 2:
            raise ProxyError(
                f"the {name} group has 1 model ({group.models[0]}); a variance needs at least 2, better 5"
            )
    shared = [task for task in data_group.tasks if task in noise_group.tasks]
    if not shared:
        raise ProxyError(
            f"the groups share no task: the data group has {', '.join(data_group.tasks[:5])}, "
            f"the noise group {', '.join(noise_group.tasks[:5])}"
        )
    found: dict[str, VarianceRatio] = {}
    for task in tasks if tasks is not None else shared:
        columns = [task] if task in shared else [name for name in shared if name.startswith(f"{task}:")]
        ratios = []
        for column in columns:
            a, b = data_group.column(column), noise_group.column(column)
            if min(np.isfinite(a).sum(), np.isfinite(b).sum()) >= 2:
                ratios.append(group_ratio(a, b, level=level, cap=cap))
        if ratios:
            ratios.sort(key=lambda one: -1.0 if math.isnan(one.ratio) else one.ratio)
            found[task] = ratios[(len(ratios) - 1) // 2]
    return found


def phi_of(name: str, ratio: float) -> float:
    """The factor that a (capped) ratio weighs with: R / (1 + R), the logistic function of R, or 1.

    >>> phi_of("ratio", 1.0), round(phi_of("sigmoid", 1.0), 3), phi_of("none", 1.0)
    (0.5, 0.731, 1.0)
    """
    one_of("phi", name, PHI)
    if name == "none":
        return 1.0
    return float(expit(ratio)) if name == "sigmoid" else ratio / (1.0 + ratio)


def _variance(values: Floats) -> float:
    # Equal scores have no variance, whatever the rounding of their mean says.
    return 0.0 if np.ptp(values) == 0 else float(values.var(ddof=1))
