"""Proxy tasks: which measurable tasks foretell one that small models cannot show yet (arXiv 2412.07111).

`ScoreMatrix` holds scores, `study_relevance` asks what relates to a target and how surely, `study_robustness` what
moves with the data rather than the seed, `select_proxies` and `ProxySelector` weigh the tasks that may speak, and
`rank_configurations` orders training configurations with controls beside it: `RankingSettings` are its choices,
`Evidence` what is known beside the scores, `Truth` what judges it. `study_seeds` says what seeds are worth. Everything
else is found in its room: `proxy.scores`, `proxy.relevance`, `proxy.selection`, `proxy.weights`, `proxy.ranking`.
"""

from typing import TYPE_CHECKING

from proxy._faces import lazily

if TYPE_CHECKING:
    from proxy.errors import ProxyError
    from proxy.ranking import Evidence, RankingSettings, Truth, rank_configurations, study_seeds
    from proxy.relevance import study_relevance
    from proxy.scores import ScoreMatrix, import_scores, join_scores, read_scores, write_scores
    from proxy.selection import ProxySelector, select_proxies, study_robustness

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
