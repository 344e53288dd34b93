"""Two-way normalisation of a score matrix: per task over the models, then per model over the tasks.

As one function (`two_way`) and as a scikit-learn transformer, whose steps can be ablated and which can place a target
beside the candidates without letting it shift them. Gaps (NaN) stay gaps and enter no mean.
"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin

from proxy._arrays import Floats
from proxy.errors import ProxyError
from proxy.relevance._score_arrays import checked_column, checked_matrix, remember_names
from proxy.relevance.one_way_normalisation import FeatureNormaliser, SampleNormaliser


def two_way(scores: ArrayLike) -> Floats:
    r"""Normalise each task over the models, then each model over the tasks.

    The second step removes each model's general level, so what is left is its profile.

    Parameters
    ----------
    scores : array_like of float, shape (m, t)
        Scores of m models on t tasks, finite, at least 2 x 2.

    Returns
    -------
    ndarray of float, shape (m, t)
        Every model has mean 0 and standard deviation 1 over the tasks.

    Raises
    ------
    ProxyError
        For another shape, values that are not finite, and a task that is the same for every model.

    Notes
    -----
    With s_ij the score of model j on task i [1]_,

    .. math::

        s'_{ij} = (s_{ij} - \mu_i) / \sigma_i, \qquad s''_{ij} = (s'_{ij} - \mu'_j) / \sigma'_j,

    where means and (population) deviations are over the models first, then over the tasks.

    References
    ----------
    .. [1] B.-W. Zhang et al., "Predictable Emergent Abilities of LLMs: Proxy Tasks Are All You Need", arXiv
       2412.07111, section 3.1.

    Examples
    --------
    >>> two_way([[1.0, 5.0], [3.0, 4.0], [2.0, 9.0]]).round(3).tolist()
    [[-1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]]
    """
    matrix = checked_matrix(scores)
    if min(matrix.shape) < 2:
        raise ProxyError(f"a score matrix has at least 2 models x 2 tasks, not the shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        model, task = np.argwhere(~np.isfinite(matrix))[0]
        raise ProxyError(
            f"the score of model {model} on task {task} is {matrix[model, task]}; fill or drop it"
        )
    return TwoWayNormaliser().fit(matrix).transform(matrix)


class TwoWayNormaliser(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Take the feature step, then the sample step, with the choices that the paper [1]_ leaves open.

    Parameters
    ----------
    feature : bool, optional
        Whether to take the feature step (`FeatureNormaliser`); False is an ablation.
    sample : bool, optional
        Whether to take the sample step (`SampleNormaliser`); False is an ablation.
    target : {"candidates", "included"}, optional
        How `transform_target` places a target column. "candidates": a model's mean and deviation are taken over the
        candidate tasks and applied to the target too, so the target shifts no candidate. "included": the target
        counts as one more task of the model.
    ddof : int, optional
        0 (population) or 1; a common factor, so it changes no correlation.

    Attributes
    ----------
    feature_ : FeatureNormaliser
        The feature step of the candidates.
    target_feature_ : FeatureNormaliser
        The feature step of the target, where `fit` was given one.
    n_features_in_ : int
        How many candidates were fitted.

    References
    ----------
    .. [1] B.-W. Zhang et al., "Predictable Emergent Abilities of LLMs: Proxy Tasks Are All You Need", arXiv
       2412.07111, section 3.1.

    Examples
    --------
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
        """Learn the feature step.

        Parameters
        ----------
        X : array_like of float, shape (m, t)
            Scores of m models on t candidates; NaN is a gap.
        y : array_like of float, shape (m,), optional
            Their scores on the target.

        Returns
        -------
        TwoWayNormaliser
            Itself.

        Raises
        ------
        ProxyError
            For an unknown `target`, shapes that do not fit, and a task with fewer than 2 scores or the same score
            everywhere.
        """
        if self.target not in ("candidates", "included"):
            raise ProxyError(f"target must be 'candidates' or 'included', not {self.target!r}")
        matrix = checked_matrix(X)
        remember_names(self, X)
        self.n_features_in_ = matrix.shape[1]
        if self.feature:
            self.feature_ = FeatureNormaliser(ddof=self.ddof).fit(matrix)
            if y is not None:
                self.target_feature_ = FeatureNormaliser(ddof=self.ddof).fit(checked_column(y, matrix))
        return self

    def transform(self, X: ArrayLike, y: ArrayLike | None = None) -> Floats:
        """Normalise the candidates.

        Parameters
        ----------
        X : array_like of float, shape (k, t)
            Scores of k models on the fitted candidates.
        y : array_like of float, shape (k,), optional
            Their scores on the target; matters only with `target="included"`.

        Returns
        -------
        ndarray of float, shape (k, t)
            The normalised scores.

        Raises
        ------
        ProxyError
            For shapes that do not fit, and a model with fewer than 2 scores or the same score on every task.
        """
        scores = self._features(X)
        if not self.sample:
            return scores
        mean, spread = self._levels(X, y)
        return np.asarray((scores - mean[:, None]) / spread[:, None])

    def transform_target(self, X: ArrayLike, y: ArrayLike) -> Floats:
        """Normalise the target beside the candidates of the same models.

        Parameters
        ----------
        X : array_like of float, shape (k, t)
            Scores of k models on the fitted candidates.
        y : array_like of float, shape (k,)
            Their scores on the target.

        Returns
        -------
        ndarray of float, shape (k,)
            The normalised target scores.

        Raises
        ------
        ProxyError
            Where `fit` was given no target, and as in `transform`.
        """
        target = self._target(X, y)
        if not self.sample:
            return target
        mean, spread = self._levels(X, y)
        return np.asarray((target - mean) / spread)

    def _features(self, X: ArrayLike) -> Floats:
        """The candidates after the feature step."""
        return np.asarray(self.feature_.transform(X)) if self.feature else checked_matrix(X)

    def _target(self, X: ArrayLike, y: ArrayLike) -> Floats:
        """The target after the feature step."""
        column = checked_column(y, checked_matrix(X))
        if not self.feature:
            return np.asarray(column[:, 0])
        if not hasattr(self, "target_feature_"):
            raise ProxyError("the normaliser was fitted without a target; give y to fit")
        return np.asarray(self.target_feature_.transform(column)[:, 0])

    def _levels(self, X: ArrayLike, y: ArrayLike | None) -> tuple[Floats, Floats]:
        """Mean and deviation of each model after the feature step."""
        scores = self._features(X)
        if self.target == "included":
            if y is None:
                raise ProxyError("target='included' needs the target scores; give y")
            scores = np.column_stack([scores, self._target(X, y)])
        return SampleNormaliser(ddof=self.ddof).moments(scores)
