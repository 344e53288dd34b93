"""Two-way normalisation of a score matrix: per task over the models, then per model over the tasks."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


class ProxyError(ValueError):
    """Scores that cannot be used: one line that names the value and the remedy."""


def two_way(scores: ArrayLike) -> NDArray[np.float64]:
    """Feature, then sample normalisation (arXiv 2412.07111, section 3.1).

    scores: models x tasks, finite, at least 2 x 2. Returns the same shape: every task first has mean 0 and standard
    deviation 1 over the models, then every model over the tasks (population deviations; a common factor changes no
    correlation). The second step removes each model's general level, so what is left is its profile.

    Raises ProxyError for another shape, values that are not finite, and a task that is the same for every model.

    >>> two_way([[1.0, 5.0], [3.0, 4.0], [2.0, 9.0]]).round(3).tolist()
    [[-1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]]
    """
    matrix = np.asarray(scores, dtype=np.float64)
    if matrix.ndim != 2 or min(matrix.shape) < 2:
        raise ProxyError(f"a score matrix has at least 2 models x 2 tasks, not the shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        model, task = np.argwhere(~np.isfinite(matrix))[0]
        raise ProxyError(
            f"the score of model {model} on task {task} is {matrix[model, task]}: fill or drop it"
        )
    features = _standardise(matrix, axis=0, what="task")
    return _standardise(features, axis=1, what="model")


def _standardise(matrix: NDArray[np.float64], *, axis: int, what: str) -> NDArray[np.float64]:
    spread = matrix.std(axis=axis, keepdims=True)
    flat = np.flatnonzero(spread.ravel() <= 1e-12 * np.abs(matrix).max(initial=1.0))
    if flat.size:
        raise ProxyError(
            f"{what} {flat[0]} has the same score everywhere: drop it, since it tells nothing apart"
        )
    return np.asarray((matrix - matrix.mean(axis=axis, keepdims=True)) / spread)
