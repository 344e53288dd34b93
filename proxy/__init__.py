"""Proxy tasks: which measurable tasks foretell one that small models cannot show yet (arXiv 2412.07111).

`ScoreMatrix` holds scores, `study_relevance` asks what relates to a target and how surely, `study_robustness` what
moves with the data rather than the seed, `select_proxies` and `ProxySelector` weigh the tasks that may speak.
"""

from proxy.chance import AboveChance, above_chance
from proxy.consistency import Consistency, MetricConsistency, choose_metric
from proxy.errors import ProxyError
from proxy.estimator import ProxySelector
from proxy.flags import Flag, flag_tasks
from proxy.importers import Imported, import_scores
from proxy.joins import Join, Match, join_scores, read_mapping
from proxy.kernels import METRICS, correlations, permuted_correlations, set_correlations
from proxy.matrix import ScoreMatrix
from proxy.normalisation import FeatureNormaliser, SampleNormaliser, TwoWayNormaliser, two_way
from proxy.relevance import RelevanceStudy, TaskRelevance, study_relevance
from proxy.relevance_statistics import partial_correlations
from proxy.robustness import VarianceRatio, group_ratio, phi_of, study_robustness, variance_ratio
from proxy.selection import Selection, TaskScore, select_proxies
from proxy.tables import read_scores, write_scores

__all__ = [
    "METRICS",
    "AboveChance",
    "Consistency",
    "FeatureNormaliser",
    "Flag",
    "Imported",
    "Join",
    "Match",
    "MetricConsistency",
    "ProxyError",
    "ProxySelector",
    "RelevanceStudy",
    "SampleNormaliser",
    "ScoreMatrix",
    "Selection",
    "TaskRelevance",
    "TaskScore",
    "TwoWayNormaliser",
    "VarianceRatio",
    "above_chance",
    "choose_metric",
    "correlations",
    "flag_tasks",
    "group_ratio",
    "import_scores",
    "join_scores",
    "partial_correlations",
    "permuted_correlations",
    "phi_of",
    "read_mapping",
    "read_scores",
    "select_proxies",
    "set_correlations",
    "study_relevance",
    "study_robustness",
    "two_way",
    "variance_ratio",
    "write_scores",
]

# Ranking of configurations: scores, decisions, controls, selectors beyond the paper's, and what can be known.
from proxy.controls import Control, RandomWeights
from proxy.decisions import Decision, holm, pairwise_decisions, rank_intervals
from proxy.expected import DecisionSelector
from proxy.ranking import RankedModel, Ranking, rank_configurations
from proxy.recommended import Recommended, recommend
from proxy.selectors import PaperSelector, PooledSelector, ShrinkageSelector, reliabilities
from proxy.simulation import (
    SeedAdvice,
    expected_decision_accuracy,
    seeds_worth_buying,
    simulate,
)
from proxy.truth import TruthComparison, compare_with_truth

__all__ += [
    "Control",
    "Decision",
    "DecisionSelector",
    "PaperSelector",
    "PooledSelector",
    "RandomWeights",
    "RankedModel",
    "Ranking",
    "Recommended",
    "SeedAdvice",
    "ShrinkageSelector",
    "TruthComparison",
    "compare_with_truth",
    "expected_decision_accuracy",
    "holm",
    "pairwise_decisions",
    "rank_configurations",
    "rank_intervals",
    "recommend",
    "reliabilities",
    "seeds_worth_buying",
    "simulate",
]
