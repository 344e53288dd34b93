"""Selection: robustness of tasks, and the proxies that may weigh."""

from proxy.selection.estimator import ProxySelector
from proxy.selection.robustness import VarianceRatio, group_ratio, phi_of, study_robustness, variance_ratio
from proxy.selection.select import Selection, TaskScore, select_proxies

__all__ = [
    "ProxySelector",
    "Selection",
    "TaskScore",
    "VarianceRatio",
    "group_ratio",
    "phi_of",
    "select_proxies",
    "study_robustness",
    "variance_ratio",
]
