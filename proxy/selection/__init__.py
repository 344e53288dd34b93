"""Selection: robustness of tasks, and the proxies that may weigh."""

from proxy.selection.estimator import ProxySelector
from proxy.selection.proxies import Candidate, Selection
from proxy.selection.robustness import PHI, phi_of, study_robustness
from proxy.selection.variance_ratios import VarianceRatio, group_ratio, variance_ratio
from proxy.selection.weighing import AGGREGATES, PAPER, select_proxies

__all__ = [
    "AGGREGATES",
    "PAPER",
    "PHI",
    "Candidate",
    "ProxySelector",
    "Selection",
    "VarianceRatio",
    "group_ratio",
    "phi_of",
    "select_proxies",
    "study_robustness",
    "variance_ratio",
]
