"""Proxy tasks: which measurable tasks foretell one that small models cannot show yet (arXiv 2412.07111).

`ScoreMatrix` holds scores, `study_relevance` asks what relates to a target and how surely, `study_robustness` what
moves with the data rather than the seed, `select_proxies` and `ProxySelector` weigh the tasks that may speak, and
`rank_configurations` orders training configurations with controls beside it; `study_seeds` says what seeds are worth.
"""

from proxy.chance import AboveChance, above_chance
from proxy.consistency import Consistency, MetricConsistency, choose_metric
from proxy.controls import Control, RandomWeights
from proxy.decisions import Decision, holm, pairwise_decisions, rank_intervals
from proxy.errors import ProxyError
from proxy.estimator import ProxySelector
from proxy.expected import DecisionSelector
from proxy.flags import Flag, flag_tasks
from proxy.importers import Imported, import_scores
from proxy.joins import Join, Match, join_scores, read_mapping
from proxy.kernels import METRICS, correlations, permuted_correlations, set_correlations
from proxy.matrix import ScoreMatrix
from proxy.normalisation import FeatureNormaliser, SampleNormaliser, TwoWayNormaliser, two_way
from proxy.ranking import RankedModel, Ranking, rank_configurations
from proxy.recommended import Recommended, recommend
from proxy.relevance import study_relevance
from proxy.relevance_results import RelevanceStudy, TaskRelevance
from proxy.relevance_statistics import partial_correlations
from proxy.robustness import VarianceRatio, group_ratio, phi_of, study_robustness, variance_ratio
from proxy.seeds import SeedAdvice, seeds_worth_buying, study_seeds
from proxy.selection import Selection, TaskScore, select_proxies
from proxy.selectors import PaperSelector, PooledSelector, ShrinkageSelector, reliabilities
from proxy.simulation import expected_decision_accuracy, simulate
from proxy.tables import read_scores, write_scores
from proxy.truth import TruthComparison, compare_with_truth

__all__ = [
    "METRICS",
    "AboveChance",
    "Consistency",
    "Control",
    "Decision",
    "DecisionSelector",
    "FeatureNormaliser",
    "Flag",
    "Imported",
    "Join",
    "Match",
    "MetricConsistency",
    "PaperSelector",
    "PooledSelector",
    "ProxyError",
    "ProxySelector",
    "RandomWeights",
    "RankedModel",
    "Ranking",
    "Recommended",
    "RelevanceStudy",
    "SampleNormaliser",
    "ScoreMatrix",
    "SeedAdvice",
    "Selection",
    "ShrinkageSelector",
    "TaskRelevance",
    "TaskScore",
    "TruthComparison",
    "TwoWayNormaliser",
    "VarianceRatio",
    "above_chance",
    "choose_metric",
    "compare_with_truth",
    "correlations",
    "expected_decision_accuracy",
    "flag_tasks",
    "group_ratio",
    "holm",
    "import_scores",
    "join_scores",
    "pairwise_decisions",
    "partial_correlations",
    "permuted_correlations",
    "phi_of",
    "rank_configurations",
    "rank_intervals",
    "read_mapping",
    "read_scores",
    "recommend",
    "reliabilities",
    "seeds_worth_buying",
    "select_proxies",
    "set_correlations",
    "simulate",
    "study_relevance",
    "study_robustness",
    "study_seeds",
    "two_way",
    "variance_ratio",
    "write_scores",
]
