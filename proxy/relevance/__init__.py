"""Relevance: which tasks move with the target over models, by which correlation, and how surely."""

from proxy.relevance.consistency import Consistency, MetricConsistency, choose_metric
from proxy.relevance.correlation import METRICS, correlations, permuted_correlations, set_correlations
from proxy.relevance.normalisation import TwoWayNormaliser, two_way
from proxy.relevance.one_way_normalisation import FeatureNormaliser, SampleNormaliser
from proxy.relevance.partial_correlation import partial_correlations
from proxy.relevance.study import RelevanceStudy, study_relevance
from proxy.relevance.task_relevance import TaskRelevance

__all__ = [
    "METRICS",
    "Consistency",
    "FeatureNormaliser",
    "MetricConsistency",
    "RelevanceStudy",
    "SampleNormaliser",
    "TaskRelevance",
    "TwoWayNormaliser",
    "choose_metric",
    "correlations",
    "partial_correlations",
    "permuted_correlations",
    "set_correlations",
    "study_relevance",
    "two_way",
]
