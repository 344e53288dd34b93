"""Ranking: training configurations in order of their proxy scores, what that order decides, and the truth's verdict."""

from proxy.ranking.controls import Control, RandomWeights
from proxy.ranking.decisions import Decision, pairwise_decisions, rank_intervals
from proxy.ranking.rank import RankedModel, Ranking, rank_configurations
from proxy.ranking.seeds import SeedAdvice, seeds_worth_buying, study_seeds
from proxy.ranking.simulation import expected_decision_accuracy, simulate
from proxy.ranking.truth import TruthComparison, compare_with_truth

__all__ = [
    "Control",
    "Decision",
    "RandomWeights",
    "RankedModel",
    "Ranking",
    "SeedAdvice",
    "TruthComparison",
    "compare_with_truth",
    "expected_decision_accuracy",
    "pairwise_decisions",
    "rank_configurations",
    "rank_intervals",
    "seeds_worth_buying",
    "simulate",
    "study_seeds",
]
