"""Weights: from a panel of models that show the target to the weight of each proxy task."""

from proxy.weights.expected import DecisionSelector
from proxy.weights.recommended import Recommended, recommend
from proxy.weights.selectors import PaperSelector, PooledSelector, ShrinkageSelector, reliabilities

__all__ = [
    "DecisionSelector",
    "PaperSelector",
    "PooledSelector",
    "Recommended",
    "ShrinkageSelector",
    "recommend",
    "reliabilities",
]
