"""ProxySelector: the selection as a scikit-learn estimator."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import kendalltau
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from proxy._arrays import Floats
from proxy._text import counted
from proxy.errors import ProxyError
from proxy.scores.matrix import ScoreMatrix
from proxy.selection.variance_ratios import CAP
from proxy.selection.weighing import PAPER, select_proxies

TARGET = "target"


class ProxySelector(BaseEstimator):
    """Choose proxy tasks [1]_ on models that have the target, then score models that do not.

    Scores may be an array (models x tasks), a DataFrame or a `ScoreMatrix`; in the latter two, columns are found by
    name.

    Parameters
    ----------
    metric : {"auto", "pearson", "spearman", "kendall"}, optional
        The correlation that relevance is measured by; "auto" lets Algorithm 1 decide.
    normalisation : {"raw", "two_way"}, optional
        The scores that relevance is measured on.
    phi : {"ratio", "sigmoid", "none"}, optional
        The factor that robustness weighs with (`phi_of`).
    aggregate : {"raw", "z"}, optional
        Whether the proxy score is a mean of raw scores or of z-scores.
    relevance_threshold : float, optional
        The least relevance, from -1 to 1.
    robustness_threshold : float, optional
        The least variance ratio, at least 0.
    alpha : float, optional
        Level of the tests against guessing, from 0 to 1; 1 for no test.
    most : int, optional
        Keep only so many, the best scored.
    cap : float, optional
        What an infinite variance ratio counts as.
    rounds : int, optional
        Rounds of Algorithm 1.
    seed : int, optional
        Seed of the rounds.

    Attributes
    ----------
    weights_ : ndarray of float, shape (t,)
        Weight of each task, 0 where it is not kept; they sum to 1.
    tasks_ : tuple of str
        Names of the tasks.
    metric_ : str
        The correlation that was chosen.
    relevance_ : ndarray of float, shape (t,)
        Relevance of each task, NaN where it could not be used.
    selection_ : Selection
        Everything, with reasons.
    n_features_in_ : int
        How many tasks were fitted.

    References
    ----------
    .. [1] B.-W. Zhang et al., "Predictable Emergent Abilities of LLMs: Proxy Tasks Are All You Need", arXiv
       2412.07111.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ability = rng.normal(size=12)
    >>> X = 50 + 5 * np.column_stack([ability, -ability, rng.normal(size=12)]) + rng.normal(size=(12, 3))
    >>> fitted = ProxySelector(relevance_threshold=0.5, rounds=100).fit(X, ability)
    >>> fitted.weights_.tolist(), fitted.predict(X).shape
    ([1.0, 0.0, 0.0], (12,))
    """

    def __init__(
        self,
        *,
        metric: str = "auto",
        normalisation: str = "raw",
        phi: str = "ratio",
        aggregate: str = "raw",
        relevance_threshold: float = 0.3,
        robustness_threshold: float = 1.0,
        alpha: float = 0.05,
        most: int | None = None,
        cap: float = CAP,
        rounds: int = 1000,
        seed: int = 0,
    ) -> None:
        self.metric, self.normalisation, self.phi, self.aggregate = metric, normalisation, phi, aggregate
        self.relevance_threshold, self.robustness_threshold = relevance_threshold, robustness_threshold
        self.alpha, self.most, self.cap, self.rounds, self.seed = alpha, most, cap, rounds, seed

    @classmethod
    def paper(cls, **changes: Any) -> ProxySelector:
        """Make a selector by the paper's recipe: two-way relevance, sigmoid of the ratio, raw mean, no tests.

        Parameters
        ----------
        **changes
            Settings that differ from the recipe.

        Returns
        -------
        ProxySelector
            Not fitted yet.
        """
        return cls(**{**PAPER, **changes})

    def fit(
        self,
        X: ArrayLike | ScoreMatrix,
        y: ArrayLike,
        *,
        data_group: ArrayLike | ScoreMatrix | None = None,
        noise_group: ArrayLike | ScoreMatrix | None = None,
    ) -> Self:
        """Choose and weigh.

        Parameters
        ----------
        X : array_like, DataFrame or ScoreMatrix, shape (m, t)
            Scores of m models on t candidates; NaN is a gap.
        y : array_like of float, shape (m,)
            Their scores on the target, NaN where unscored.
        data_group : array_like, DataFrame or ScoreMatrix, optional
            Small models trained on different data.
        noise_group : array_like, DataFrame or ScoreMatrix, optional
            Small models trained with different seeds; both groups or neither.

        Returns
        -------
        ProxySelector
            Itself.

        Raises
        ------
        ProxyError
            For shapes that do not fit, and as in `select_proxies`.
        """
        candidates = _as_matrix(X)
        target = np.asarray(y, dtype=np.float64)
        if target.shape != (len(candidates.models),):
            models = counted(len(candidates.models), "model")
            raise ProxyError(f"target scores of shape {target.shape} for {models}; give one for each")
        if TARGET in candidates.tasks:
            raise ProxyError(f"a candidate is named {TARGET!r}; give it another name")
        gap = np.full((len(target), 1), np.nan)
        together = ScoreMatrix(
            candidates.models,
            (*candidates.tasks, TARGET),
            np.column_stack([candidates.scores, target]),
            stderr=None if candidates.stderr is None else np.hstack([candidates.stderr, gap]),
            n=None if candidates.n is None else np.hstack([candidates.n, gap]),
            direction=candidates.direction,
            baseline=candidates.baseline,
            scale={t: candidates.scale.get(t, float("nan")) for t in candidates.tasks}
            | {TARGET: float("nan")},
        )
        groups: dict[str, Any] = {
            name: None if group is None else _as_matrix(group, candidates.tasks)
            for name, group in (("data_group", data_group), ("noise_group", noise_group))
        }
        settings = self.get_params(deep=False)
        self.selection_ = select_proxies(together, TARGET, permutations=0, **settings, **groups)
        self.tasks_ = candidates.tasks
        self.n_features_in_ = len(self.tasks_)
        self.metric_ = self.selection_.metric
        self.weights_ = np.array([self.selection_.weights.get(task, 0.0) for task in self.tasks_])
        relevance = self.selection_.relevance.values()
        self.relevance_ = np.array([relevance.get(task, np.nan) for task in self.tasks_])
        self._facts = candidates
        return self

    def predict(self, X: ArrayLike | ScoreMatrix) -> Floats:
        """Proxy scores of models, to rank by; they are no forecast of the target.

        Parameters
        ----------
        X : array_like, DataFrame or ScoreMatrix, shape (k, t)
            Scores of k models on the fitted tasks.

        Returns
        -------
        ndarray of float, shape (k,)
            Higher is better.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ProxyError
            As in `Selection.predict`.
        """
        if not hasattr(self, "selection_"):
            raise NotFittedError("this ProxySelector is not fitted yet; call fit first")
        return self.selection_.predict(_as_matrix(X, self.tasks_, self._facts))

    def score(self, X: ArrayLike | ScoreMatrix, y: ArrayLike) -> float:
        """Kendall's tau-b of the proxy scores with the true target.

        Parameters
        ----------
        X : array_like, DataFrame or ScoreMatrix, shape (k, t)
            Scores of k models on the fitted tasks.
        y : array_like of float, shape (k,)
            Their scores on the target.

        Returns
        -------
        float
            From -1 to 1.
        """
        return float(kendalltau(self.predict(X), np.asarray(y, dtype=np.float64)).statistic)


def _as_matrix(
    X: ArrayLike | ScoreMatrix, tasks: tuple[str, ...] | None = None, facts: ScoreMatrix | None = None
) -> ScoreMatrix:
    """X as a ScoreMatrix; an array takes the names and the facts of the fitted tasks."""
    if isinstance(X, ScoreMatrix):
        return X
    if hasattr(X, "columns") and hasattr(X, "index"):
        named: Any = X
        models, names, values = (
            tuple(map(str, named.index)),
            tuple(map(str, named.columns)),
            named.to_numpy(float),
        )
    else:
        values = np.asarray(X, dtype=np.float64)
        if values.ndim != 2:
            raise ProxyError(f"scores of shape {values.shape}; give models x tasks")
        if tasks is not None and values.shape[1] != len(tasks):
            raise ProxyError(f"{values.shape[1]} tasks given, {len(tasks)} were fitted; give the same tasks")
        models = tuple(f"model {i}" for i in range(len(values)))
        names = tasks if tasks is not None else tuple(f"task {i}" for i in range(values.shape[1]))
    if facts is None:
        return ScoreMatrix(models, names, values)
    return ScoreMatrix(
        models,
        names,
        values,
        direction={task: sign for task, sign in facts.direction.items() if task in names},
        scale={task: facts.scale.get(task, float("nan")) for task in names if task in facts.tasks},
    )
