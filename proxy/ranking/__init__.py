"""Ranking: training configurations in order of their proxy scores, what that order decides, and the truth's verdict.

`rank_configurations` takes a `ScoreMatrix`, the choices as `RankingSettings`, what is known beside the scores as
`Evidence`, and what they reached as `Truth`.
"""

from typing import TYPE_CHECKING

from proxy._faces import lazily

if TYPE_CHECKING:
    from proxy.ranking.controls import Control, RandomWeights
    from proxy.ranking.decisions import Decision, pairwise_decisions, rank_intervals
    from proxy.ranking.evidence import Evidence
    from proxy.ranking.rank import RankedModel, Ranking, rank_configurations
    from proxy.ranking.seeds import SeedAdvice, seeds_worth_buying, study_seeds
    from proxy.ranking.settings import RankingSettings
    from proxy.ranking.simulation import expected_decision_accuracy, simulate
    from proxy.ranking.truth import Truth, TruthComparison, compare_with_truth

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
