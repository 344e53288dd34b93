"""ProxySelector: the selection as a scikit-learn estimator."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import kendalltau
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from proxy._arrays import Floats
from proxy.errors import ProxyError
from proxy.scores.matrix import ScoreMatrix
from proxy.selection.robustness import CAP
from proxy.selection.select import select_proxies

TARGET = "target"


class ProxySelector(BaseEstimator):
    """Proxy tasks and weights from models that have the target, then proxy scores of models that do not.

    Parameters: as in `select_proxies`. X may be an array (models x tasks), a DataFrame or a `ScoreMatrix`; of the
    latter two, columns are found by name. `ProxySelector.paper()` has the settings of arXiv 2412.07111.

    Fitted: `weights_` (tasks, 0 where not kept), `tasks_` (names), `metric_`, `relevance_` (tasks, NaN where a task
    could not be used), `selection_` (everything, with reasons), `n_features_in_`.

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
        """The paper's recipe: two-way relevance, sigmoid of the ratio, weighted mean of raw scores, no tests."""
        return cls(
            **{
                "normalisation": "two_way",
                "phi": "sigmoid",
                "robustness_threshold": 0.0,
                "alpha": 1.0,
                **changes,
            }
        )

    def fit(
        self,
        X: ArrayLike | ScoreMatrix,
        y: ArrayLike,
        *,
        data_group: ArrayLike | ScoreMatrix | None = None,
        noise_group: ArrayLike | ScoreMatrix | None = None,
    ) -> Self:
        """Choose and weigh. X: candidates (models x tasks); y: the target (models, NaN where unscored)."""
        candidates = _as_matrix(X)
        target = np.asarray(y, dtype=np.float64)
        if target.shape != (len(candidates.models),):
            raise ProxyError(
                f"target scores of shape {target.shape} for {len(candidates.models)} models: give one for each"
            )
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
        """The proxy score of each model (higher is better); a score to rank by, not a forecast of the target."""
        if not hasattr(self, "selection_"):
            raise NotFittedError("this ProxySelector is not fitted yet; call fit first")
        return self.selection_.predict(_as_matrix(X, self.tasks_, self._facts))

    def score(self, X: ArrayLike | ScoreMatrix, y: ArrayLike) -> float:
        """Kendall's tau-b of the proxy scores with the true target."""
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
            raise ProxyError(f"scores of shape {values.shape}: give models x tasks")
        if tasks is not None and values.shape[1] != len(tasks):
            raise ProxyError(f"{values.shape[1]} tasks given, {len(tasks)} were fitted: give the same tasks")
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
