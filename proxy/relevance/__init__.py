"""Relevance: which tasks move with the target over models, by which correlation, and how surely."""

from typing import TYPE_CHECKING

from proxy._faces import lazily

if TYPE_CHECKING:
    from proxy.choices import METRICS
    from proxy.relevance.consistency import Consistency, MetricConsistency, choose_metric
    from proxy.relevance.correlation import correlations, permuted_correlations, set_correlations
    from proxy.relevance.normalisation import TwoWayNormaliser, two_way
    from proxy.relevance.one_way_normalisation import FeatureNormaliser, SampleNormaliser
    from proxy.relevance.partial_correlation import partial_correlations
    from proxy.relevance.study import RelevanceStudy, study_relevance
    from proxy.relevance.task_relevance import TaskRelevance

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
