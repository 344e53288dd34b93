"""Scores: what some models score on some tasks, read from tables and from other programs' result files."""

from typing import TYPE_CHECKING

from proxy._faces import lazily

if TYPE_CHECKING:
    from proxy.scores.chance import AboveChance, above_chance
    from proxy.scores.flags import Flag, flag_tasks
    from proxy.scores.identities import Names, read_names, write_names
    from proxy.scores.importers import FORMAT_NAMES, Imported, import_scores
    from proxy.scores.joins import Join, Match, join_scores, read_mapping
    from proxy.scores.matrix import ScoreMatrix
    from proxy.scores.tables import read_scores, write_scores

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
