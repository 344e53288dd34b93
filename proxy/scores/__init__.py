"""Scores: what some models score on some tasks, read from tables and from other programs' result files."""

from proxy.scores.chance import AboveChance, above_chance
from proxy.scores.flags import Flag, flag_tasks
from proxy.scores.importers import FORMAT_NAMES, Imported, import_scores
from proxy.scores.joins import Join, Match, join_scores, read_mapping
from proxy.scores.matrix import ScoreMatrix
from proxy.scores.tables import read_scores, write_scores

__all__ = [
    "FORMAT_NAMES",
    "AboveChance",
    "Flag",
    "Imported",
    "Join",
    "Match",
    "ScoreMatrix",
    "above_chance",
    "flag_tasks",
    "import_scores",
    "join_scores",
    "read_mapping",
    "read_scores",
    "write_scores",
]
