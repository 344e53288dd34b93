"""The two steps of the two-way normalisation: each task over the models, and each model over the tasks.

Both are scikit-learn transformers. Gaps (NaN) stay gaps and enter no mean.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin

from proxy._arrays import Floats
from proxy.errors import ProxyError
from proxy.relevance._score_arrays import checked_matrix, remember_names

#: A spread below this share of the largest value is rounding, not spread.
FLAT = 1e-12


class FeatureNormaliser(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Bring every task to mean 0 and standard deviation 1 over the models that were fitted.

    Parameters
    ----------
    ddof : int, optional
        0 (population) or 1; a common factor, so it changes no correlation.

    Attributes
    ----------
    mean_ : ndarray of float, shape (t,)
        Mean of each task.
    scale_ : ndarray of float, shape (t,)
        Standard deviation of each task.
    n_features_in_ : int
        How many tasks were fitted.

    Examples
    --------
    >>> FeatureNormaliser().fit_transform([[1.0], [3.0]]).tolist()
    [[-1.0], [1.0]]
    """

    def __init__(self, *, ddof: int = 0) -> None:
        self.ddof = ddof

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn the mean and the deviation of each task.

        Parameters
        ----------
        X : array_like of float, shape (m, t)
            Scores of m models on t tasks; NaN is a gap.
        y : None
            Not used; scikit-learn gives it.

        Returns
        -------
        FeatureNormaliser
            Itself.

        Raises
        ------
        ProxyError
            For a task with fewer than 2 scores, or with the same score everywhere.
        """
        matrix = checked_matrix(X)
        remember_names(self, X)
        self.n_features_in_ = matrix.shape[1]
        self.mean_, self.scale_ = _moments(matrix, axis=0, what="task", ddof=self.ddof)
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Bring scores of the same tasks to the scale of the fitted models.

        Parameters
        ----------
        X : array_like of float, shape (k, t)
            Scores of any models on the fitted tasks.

        Returns
        -------
        ndarray of float, shape (k, t)
            (score - mean) / deviation.

        Raises
        ------
        ProxyError
            For another number of tasks.
        """
        matrix = checked_matrix(X)
        if matrix.shape[1] != self.n_features_in_:
            raise ProxyError(
                f"{matrix.shape[1]} tasks given, {self.n_features_in_} were fitted; give the same tasks"
            )
        return np.asarray((matrix - self.mean_) / self.scale_)


class SampleNormaliser(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Bring every model to mean 0 and standard deviation 1 over its own tasks.

    Nothing is learnt from other models.

    Parameters
    ----------
    ddof : int, optional
        0 (population) or 1; a common factor, so it changes no correlation.

    Attributes
    ----------
    n_features_in_ : int
        How many tasks were fitted.

    Examples
    --------
    >>> SampleNormaliser().fit_transform([[1.0, 3.0], [5.0, 4.0]]).tolist()
    [[-1.0, 1.0], [1.0, -1.0]]
    """

    def __init__(self, *, ddof: int = 0) -> None:
        self.ddof = ddof

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Check the scores and remember how many tasks there are.

        Parameters
        ----------
        X : array_like of float, shape (m, t)
            Scores of m models on t tasks; NaN is a gap.
        y : None
            Not used; scikit-learn gives it.

        Returns
        -------
        SampleNormaliser
            Itself.
        """
        remember_names(self, X)
        self.n_features_in_ = checked_matrix(X).shape[1]
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Take each model's mean off its scores and divide by its deviation.

        Parameters
        ----------
        X : array_like of float, shape (k, t)
            Scores of k models.

        Returns
        -------
        ndarray of float, shape (k, t)
            (score - the model's mean) / the model's deviation.

        Raises
        ------
        ProxyError
            For a model with fewer than 2 scores, or with the same score on every task.
        """
        matrix = checked_matrix(X)
        mean, spread = self.moments(matrix)
        return np.asarray((matrix - mean[:, None]) / spread[:, None])

    def moments(self, X: ArrayLike) -> tuple[Floats, Floats]:
        """Mean and deviation of each model over its tasks.

        Parameters
        ----------
        X : array_like of float, shape (k, t)
            Scores of k models.

        Returns
        -------
        mean : ndarray of float, shape (k,)
            Mean of each model.
        spread : ndarray of float, shape (k,)
            Standard deviation of each model.

        Raises
        ------
        ProxyError
            For a model with fewer than 2 scores, or with the same score on every task.
        """
        return _moments(checked_matrix(X), axis=1, what="model", ddof=self.ddof)


def _moments(matrix: Floats, *, axis: int, what: str, ddof: int) -> tuple[Floats, Floats]:
    """Means and deviations along an axis; what has none is refused by its place."""
    count = np.isfinite(matrix).sum(axis=axis)
    if (count < 2).any():
        raise ProxyError(f"{what} {int(np.argmax(count < 2))} has fewer than 2 scores; drop it")
    mean = np.nanmean(matrix, axis=axis)
    spread = np.nanstd(matrix, axis=axis, ddof=ddof)
    flat = spread <= FLAT * np.nanmax(np.abs(matrix), axis=axis)
    if flat.any():
        raise ProxyError(
            f"{what} {int(np.argmax(flat))} has the same score everywhere; drop it, since it tells nothing apart"
        )
    return np.asarray(mean), np.asarray(spread)
