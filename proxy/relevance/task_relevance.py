"""The relevance of one candidate task, with what stands beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from proxy._text import finite


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRelevance:
    """One candidate under one normalisation; each dict is metric -> number, NaN where undefined.

    Parameters
    ----------
    task : str
        The candidate.
    models : int
        How many models have a score on the candidate and on the target.
    value : dict of str to float
        The correlation, from -1 to 1.
    low : dict of str to float
        Lower end of its interval.
    high : dict of str to float
        Upper end of its interval.
    p_value : dict of str to float
        Share of the permutations of the target over the models in which the correlation is at least as far above its
        null mean.
    p_adjusted : dict of str to float
        The same, holding over all candidates together (step-down max-T).
    null_mean : dict of str to float
        Mean correlation over the permutations; not 0 under two-way normalisation.
    left_out_low : dict of str to float
        Lowest correlation when one model is left out.
    left_out_high : dict of str to float
        Highest correlation when one model is left out.
    most_influential : dict of str to str
        The model that moves the correlation most when it is left out.
    partial : dict of str to float
        Correlation given the general factor of the other candidates.
    """

    task: str
    models: int
    value: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    p_value: dict[str, float]
    p_adjusted: dict[str, float]
    null_mean: dict[str, float]
    left_out_low: dict[str, float]
    left_out_high: dict[str, float]
    most_influential: dict[str, str]
    partial: dict[str, float]

    def as_dict(self, metric: str) -> dict[str, Any]:
        """Give the correlations by every metric, and the details of one, in the JSON shape.

        Parameters
        ----------
        metric : str
            Whose details.

        Returns
        -------
        dict
            Metric -> correlation, and the other fields of `metric`; None for what is undefined.
        """
        return {
            **{name: finite(value) for name, value in self.value.items()},
            "low": finite(self.low[metric]),
            "high": finite(self.high[metric]),
            "p_value": finite(self.p_value[metric]),
            "p_adjusted": finite(self.p_adjusted[metric]),
            "null_mean": finite(self.null_mean[metric]),
            "left_out_low": finite(self.left_out_low[metric]),
            "left_out_high": finite(self.left_out_high[metric]),
            "most_influential": self.most_influential[metric],
            "partial": finite(self.partial[metric]),
        }
