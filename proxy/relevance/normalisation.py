"""Two-way normalisation of a score matrix: per task over the models, then per model over the tasks.

As one function (`two_way`) and as scikit-learn transformers, whose steps can be ablated and which can place a
target beside the candidates without letting it shift them. Gaps (NaN) stay gaps and enter no mean.
"""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin

from proxy._arrays import Floats
from proxy.errors import ProxyError

__all__ = ["FeatureNormaliser", "ProxyError", "SampleNormaliser", "TwoWayNormaliser", "two_way"]


#: A spread below this share of the largest value is rounding, not spread.
FLAT = 1e-12


def two_way(scores: ArrayLike) -> Floats:
    """Feature, then sample normalisation (arXiv 2412.07111, section 3.1).

    scores: models x tasks, finite, at least 2 x 2. Returns the same shape: every task first has mean 0 and standard
    deviation 1 over the models, then every model over the tasks (population deviations; a common factor changes no
    correlation). The second step removes each model's general level, so what is left is its profile.

    Raises ProxyError for another shape, values that are not finite, and a task that is the same for every model.

    >>> two_way([[1.0, 5.0], [3.0, 4.0], [2.0, 9.0]]).round(3).tolist()
    [[-1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]]
    """
    matrix = _matrix(scores)
    if min(matrix.shape) < 2:
        raise ProxyError(f"a score matrix has at least 2 models x 2 tasks, not the shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        model, task = np.argwhere(~np.isfinite(matrix))[0]
        raise ProxyError(
            f"the score of model {model} on task {task} is {matrix[model, task]}: fill or drop it"
        )
    return TwoWayNormaliser().fit(matrix).transform(matrix)


class FeatureNormaliser(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Every task to mean 0 and standard deviation 1 over the models that were fitted.

    ddof: 0 (population) or 1; it changes no correlation. Fitted: `mean_`, `scale_` (tasks), `n_features_in_`.
    Raises ProxyError for a task with fewer than 2 scores or the same score everywhere.

    >>> FeatureNormaliser().fit_transform([[1.0], [3.0]]).tolist()
    [[-1.0], [1.0]]
    """

    def __init__(self, *, ddof: int = 0) -> None:
        self.ddof = ddof

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn the mean and the deviation of each task; X: models x tasks, NaN is a gap."""
        matrix = _matrix(X)
        _names(self, X)
        self.n_features_in_ = matrix.shape[1]
        self.mean_, self.scale_ = _moments(matrix, axis=0, what="task", ddof=self.ddof)
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Scores of the same tasks, on the scale of the fitted models."""
        matrix = _matrix(X)
        if matrix.shape[1] != self.n_features_in_:
            raise ProxyError(
                f"{matrix.shape[1]} tasks given, {self.n_features_in_} were fitted: give the same tasks"
            )
        return np.asarray((matrix - self.mean_) / self.scale_)


class SampleNormaliser(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Every model to mean 0 and standard deviation 1 over its own tasks; nothing is learnt from other models.

    Raises ProxyError for a model with fewer than 2 scores or the same score on every task.

    >>> SampleNormaliser().fit_transform([[1.0, 3.0], [5.0, 4.0]]).tolist()
    [[-1.0, 1.0], [1.0, -1.0]]
    """

    def __init__(self, *, ddof: int = 0) -> None:
        self.ddof = ddof

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Check X (models x tasks) and remember its width."""
        _names(self, X)
        self.n_features_in_ = _matrix(X).shape[1]
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Each row less its mean, over its deviation."""
        matrix = _matrix(X)
        mean, spread = self.moments(matrix)
        return np.asarray((matrix - mean[:, None]) / spread[:, None])

    def moments(self, X: ArrayLike) -> tuple[Floats, Floats]:
        """Mean and deviation of each model over its tasks."""
        return _moments(_matrix(X), axis=1, what="model", ddof=self.ddof)


class TwoWayNormaliser(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """The feature step, then the sample step, with the choices that the paper leaves open.

    feature, sample: leave a step out (ablations). target: how a target column is placed by `transform_target`:

    - "candidates" (default): a model's mean and deviation are taken over the candidate tasks and applied to the
      target too, so the target shifts no candidate;
    - "included": the target counts as one more task of the model.

    >>> X = [[1.0, 5.0, 2.0], [3.0, 4.0, 2.5], [2.0, 9.0, 7.0]]
    >>> normaliser = TwoWayNormaliser().fit(X, y=[1.0, 2.0, 4.0])
    >>> normaliser.transform_target(X, [1.0, 2.0, 4.0]).round(2).tolist()
    [-0.75, -0.18, 0.61]
    """

    def __init__(
        self,
        *,
        feature: bool = True,
        sample: bool = True,
        target: Literal["candidates", "included"] = "candidates",
        ddof: int = 0,
    ) -> None:
        self.feature, self.sample, self.target, self.ddof = feature, sample, target, ddof

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Learn the feature step from X (models x tasks) and, where given, from the target y (models)."""
        if self.target not in ("candidates", "included"):
            raise ProxyError(f"target must be 'candidates' or 'included', not {self.target!r}")
        matrix = _matrix(X)
        _names(self, X)
        self.n_features_in_ = matrix.shape[1]
        if self.feature:
            self.feature_ = FeatureNormaliser(ddof=self.ddof).fit(matrix)
            if y is not None:
                self.target_feature_ = FeatureNormaliser(ddof=self.ddof).fit(_column(y, matrix))
        return self

    def transform(self, X: ArrayLike, y: ArrayLike | None = None) -> Floats:
        """The normalised candidates; y matters only with target="included"."""
        scores = self._features(X)
        if not self.sample:
            return scores
        mean, spread = self._levels(X, y)
        return np.asarray((scores - mean[:, None]) / spread[:, None])

    def transform_target(self, X: ArrayLike, y: ArrayLike) -> Floats:
        """The normalised target scores (models) beside the candidates X of the same models."""
        target = self._target(X, y)
        if not self.sample:
            return target
        mean, spread = self._levels(X, y)
        return np.asarray((target - mean) / spread)

    def _features(self, X: ArrayLike) -> Floats:
        return np.asarray(self.feature_.transform(X)) if self.feature else _matrix(X)

    def _target(self, X: ArrayLike, y: ArrayLike) -> Floats:
        column = _column(y, _matrix(X))
        if not self.feature:
            return np.asarray(column[:, 0])
        if not hasattr(self, "target_feature_"):
            raise ProxyError("the normaliser was fitted without a target; give y to fit")
        return np.asarray(self.target_feature_.transform(column)[:, 0])

    def _levels(self, X: ArrayLike, y: ArrayLike | None) -> tuple[Floats, Floats]:
        scores = self._features(X)
        if self.target == "included":
            if y is None:
                raise ProxyError("target='included' needs the target scores; give y")
            scores = np.column_stack([scores, self._target(X, y)])
        return SampleNormaliser(ddof=self.ddof).moments(scores)


def _matrix(scores: ArrayLike) -> Floats:
    matrix = np.asarray(scores, dtype=np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ProxyError(f"a score matrix has at least 2 models x 2 tasks, not the shape {matrix.shape}")
    if np.isinf(matrix).any():
        model, task = np.argwhere(np.isinf(matrix))[0]
        raise ProxyError(
            f"the score of model {model} on task {task} is {matrix[model, task]}: fill or drop it"
        )
    return matrix


def _column(y: ArrayLike, matrix: Floats) -> Floats:
    target = np.asarray(y, dtype=np.float64)
    if target.shape != (matrix.shape[0],):
        raise ProxyError(f"target scores of shape {target.shape} for {matrix.shape[0]} models: give one each")
    return target[:, None]


def _moments(matrix: Floats, *, axis: int, what: str, ddof: int) -> tuple[Floats, Floats]:
    count = np.isfinite(matrix).sum(axis=axis)
    if (count < 2).any():
        raise ProxyError(f"{what} {int(np.argmax(count < 2))} has fewer than 2 scores: drop it")
    mean = np.nanmean(matrix, axis=axis)
    spread = np.nanstd(matrix, axis=axis, ddof=ddof)
    flat = spread <= FLAT * np.nanmax(np.abs(matrix), axis=axis)
    if flat.any():
        raise ProxyError(
            f"{what} {int(np.argmax(flat))} has the same score everywhere: drop it, since it tells nothing apart"
        )
    return np.asarray(mean), np.asarray(spread)


def _names(estimator: Any, X: Any) -> None:
    """Remember the column names of a data frame, as scikit-learn does."""
    if hasattr(X, "columns"):
        estimator.feature_names_in_ = np.asarray([str(name) for name in X.columns], dtype=object)
