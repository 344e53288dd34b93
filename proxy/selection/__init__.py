"""Selection: robustness of tasks, and the proxies that may weigh."""

from typing import TYPE_CHECKING

from proxy._faces import lazily

if TYPE_CHECKING:
    from proxy.choices import AGGREGATES, PHI
    from proxy.selection.estimator import ProxySelector
    from proxy.selection.proxies import Candidate, Selection
    from proxy.selection.robustness import phi_of, study_robustness
    from proxy.selection.variance_ratios import VarianceRatio, group_ratio, variance_ratio
    from proxy.selection.weighing import PAPER, select_proxies

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
