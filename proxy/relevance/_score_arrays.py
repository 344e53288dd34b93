"""What the normalisers check of the arrays that they are given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from proxy._arrays import Floats
from proxy.errors import ProxyError


def checked_matrix(scores: ArrayLike) -> Floats:
    """Scores as an array, models x tasks; gaps are allowed, infinite scores are not."""
    matrix = np.asarray(scores, dtype=np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ProxyError(f"a score matrix has at least 2 models x 2 tasks, not the shape {matrix.shape}")
    if np.isinf(matrix).any():
        model, task = np.argwhere(np.isinf(matrix))[0]
        raise ProxyError(
            f"the score of model {model} on task {task} is {matrix[model, task]}; fill or drop it"
        )
    return matrix


def checked_column(y: ArrayLike, matrix: Floats) -> Floats:
    """Target scores as one column beside the candidates of the same models."""
    target = np.asarray(y, dtype=np.float64)
    if target.shape != (matrix.shape[0],):
        raise ProxyError(
            f"target scores of shape {target.shape} for {matrix.shape[0]} models; give one for each"
        )
    return target[:, None]


def remember_names(estimator: Any, X: Any) -> None:
    """Keep the column names of a data frame, as scikit-learn does."""
    if hasattr(X, "columns"):
        estimator.feature_names_in_ = np.asarray([str(name) for name in X.columns], dtype=object)
