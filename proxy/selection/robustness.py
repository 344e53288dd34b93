"""Robustness of a task: does it move with the training data by more than with the seed?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from proxy._checks import one_of
from proxy.choices import PHI
from proxy.errors import ProxyError
from proxy.scores.matrix import ScoreMatrix
from proxy.selection.variance_ratios import CAP, VarianceRatio, group_ratio


def study_robustness(
    data_group: ScoreMatrix,
    noise_group: ScoreMatrix,
    *,
    tasks: Sequence[str] | None = None,
    level: float = 0.9,
    cap: float = CAP,
) -> dict[str, VarianceRatio]:
    """Study the robustness of the tasks that both groups have.

    A task may have several metrics, as columns "task:metric": if `tasks` asks for "task" and there is no such
    column, the metric with the median ratio answers for it (of an even number, the lower middle one).

    Parameters
    ----------
    data_group : ScoreMatrix
        Models with different training data.
    noise_group : ScoreMatrix
        Models with different seeds.
    tasks : sequence of str, optional
        All shared columns by default.
    level : float, optional
        As in `variance_ratio`.
    cap : float, optional
        As in `variance_ratio`.

    Returns
    -------
    dict of str to VarianceRatio
        Task -> ratio; tasks with fewer than 2 scores in a group are absent.

    Raises
    ------
    ProxyError
        Where a group has one model, or no task is in both.
    """
    for name, group in (("data", data_group), ("noise", noise_group)):
        if len(group.models) < 2:
            raise ProxyError(
                f"the {name} group has 1 model ({group.models[0]}); a variance needs at least 2, better 5"
            )
    shared = [task for task in data_group.tasks if task in noise_group.tasks]
    if not shared:
        raise ProxyError(
            f"the groups share no task; the data group has {', '.join(data_group.tasks[:5])}, "
            f"the noise group {', '.join(noise_group.tasks[:5])}"
        )
    chosen: dict[str, VarianceRatio] = {}
    for task in tasks if tasks is not None else shared:
        columns = [task] if task in shared else [name for name in shared if name.startswith(f"{task}:")]
        ratios = []
        for column in columns:
            a, b = data_group.column(column), noise_group.column(column)
            if min(np.isfinite(a).sum(), np.isfinite(b).sum()) >= 2:
                ratios.append(group_ratio(a, b, level=level, cap=cap))
        if ratios:
            ratios.sort(key=lambda one: -1.0 if math.isnan(one.ratio) else one.ratio)
            chosen[task] = ratios[(len(ratios) - 1) // 2]
    return chosen


def phi_of(name: str, ratio: float) -> float:
    """Turn a variance ratio into the factor that it weighs with.

    Parameters
    ----------
    name : {"ratio", "sigmoid", "none"}
        R / (1 + R), the logistic function of R (the paper's example [1]_), or 1.
    ratio : float
        R, at least 0, capped or infinite.

    Returns
    -------
    float
        The factor, from 0 to 1.

    Raises
    ------
    ProxyError
        For another name.

    References
    ----------
    .. [1] B.-W. Zhang et al., "Predictable Emergent Abilities of LLMs: Proxy Tasks Are All You Need", arXiv
       2412.07111, section 3.3.

    Examples
    --------
    >>> phi_of("ratio", 1.0), round(phi_of("sigmoid", 1.0), 3), phi_of("none", 1.0)
    (0.5, 0.731, 1.0)
    """
    one_of("phi", name, PHI)
    if name == "none":
        return 1.0
    if name == "sigmoid":
        return float(expit(ratio))
    return 1.0 if math.isinf(ratio) else ratio / (1.0 + ratio)
