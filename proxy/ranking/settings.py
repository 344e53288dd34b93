"""The choices of a ranking, as against what is known of the configurations."""

from __future__ import annotations

from dataclasses import dataclass

from proxy._checks import confidence, one_of, whole
from proxy.choices import AGGREGATES, GAPS, SELECTOR_NAMES

LEAST_DRAWS = 100


@dataclass(frozen=True, slots=True)
class RankingSettings:
    """The choices of a ranking.

    Parameters
    ----------
    selector : {"recommended", "pooled", "shrinkage", "decision", "paper"}, optional
        How weights are fitted for a target; without a meaning for given weights.
    aggregate : {"raw", "z"}, optional
        Whether the score is a weighted mean of raw scores, or of scores standardised over the configurations. By
        default raw for given weights, as in the paper, and otherwise what the selector was fitted for.
    gaps : {"refuse", "drop"}, optional
        Whether a task that some model has no score on is an error, or is left out.
    level : float, optional
        Confidence level of the rank intervals and decisions, between 0 and 1.
    draws : int, optional
        Draws of the simulated errors, at least 100; a large table takes fewer.
    seed : int, optional
        Of everything that is drawn, at least 0.

    Raises
    ------
    ProxyError
        For a choice that there is not, or a number out of range.

    Examples
    --------
    >>> RankingSettings(level=0.9).selector
    'recommended'
    """

    selector: str = "recommended"
    aggregate: str | None = None
    gaps: str = "refuse"
    level: float = 0.95
    draws: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        one_of("selector", self.selector, SELECTOR_NAMES)
        one_of("gaps", self.gaps, GAPS)
        if self.aggregate is not None:
            one_of("aggregate", self.aggregate, AGGREGATES)
        object.__setattr__(self, "level", confidence(self.level))
        object.__setattr__(self, "draws", whole("draws", self.draws, least=LEAST_DRAWS))
        object.__setattr__(self, "seed", whole("seed", self.seed))
