"""The words that settings may take. They stand apart: a command names them without loading what they choose."""

from __future__ import annotations

#: Correlations of a task with the target over models.
METRICS = ("pearson", "spearman", "kendall")
#: Transformations of the robustness ratio R that a score may weigh with; "sigmoid" is the paper's example.
PHI = ("ratio", "sigmoid", "none")
#: What a weighted mean is taken of: raw scores, or scores standardised over the models.
AGGREGATES = ("raw", "z")
#: What becomes of a task that some model has no score on.
GAPS = ("refuse", "drop")
#: Ways to fit weights to a panel.
SELECTOR_NAMES = ("paper", "shrinkage", "decision", "pooled", "recommended")
