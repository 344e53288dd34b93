"""What is fitted, checked: sizes, pass probabilities and counts, each refused with one clear sentence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from passuntil._arrays import Floats
from passuntil._checks import real
from passuntil.errors import PassUntilError
from passuntil.laws.base import LEAST_SIZES


@dataclass(frozen=True, slots=True)
class Cells:
    """Counts of m instances on n models: sizes (n,), draws and passes (m, n); no draws means not measured.

    z: log size, standardised over the models (mean 0, mean square 1): centre and spread take it back.
    """

    sizes: Floats
    draws: Floats
    passes: Floats
    centre: float
    spread: float

    @property
    def z(self) -> Floats:
        """Standardised log sizes, shape (n,)."""
        return self.standard(self.sizes)

    def standard(self, sizes: ArrayLike) -> Floats:
        """log size on the scale of `z`."""
        return np.asarray((np.log(sizes) - self.centre) / self.spread, dtype=np.float64)

    @property
    def back(self) -> Floats:
        """Takes (a, b) of the standardised axis to (log c, alpha): a - b (log N - centre) / spread."""
        return np.array([[1.0, self.centre / self.spread], [0.0, 1.0 / self.spread]])

    def of(self, instances: NDArray[np.intp]) -> Cells:
        """The cells of these instances."""
        return replace(self, draws=self.draws[instances], passes=self.passes[instances])


def vector(name: str, values: ArrayLike, dimensions: int = 1) -> Floats:
    """Finite floats of that many dimensions, or one clear error."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise PassUntilError(f"{name} must be numbers, not {values!r:.60}") from None
    if array.ndim != dimensions:
        wanted = "one dimension" if dimensions == 1 else "two dimensions, instances x models"
        raise PassUntilError(f"{name} must have {wanted}, not shape {array.shape}")
    if not np.isfinite(array).all():
        raise PassUntilError(f"{name} must be finite, not {array[~np.isfinite(array)][0]}")
    return array


def sizes_of(values: ArrayLike) -> Floats:
    """Sizes above 0, shape (n,), as many of them distinct as a law needs."""
    sizes = above_zero("n_params", values)
    distinct = np.unique(sizes).size
    if distinct < LEAST_SIZES:
        raise PassUntilError(
            f"a law needs at least {LEAST_SIZES} distinct sizes, not {distinct}; measure more sizes"
        )
    return sizes


def above_zero(name: str, values: ArrayLike) -> Floats:
    """Finite floats above 0, shape (n,)."""
    array = vector(name, values)
    if (array <= 0).any():
        raise PassUntilError(f"{name} must be above 0, not {array[array <= 0][0]:g}")
    return array


def one_a_model(sizes: Floats, name: str, values: Floats) -> None:
    """Refuse values that are not as many as the sizes."""
    if sizes.shape != values.shape:
        raise PassUntilError(
            f"n_params and {name} must have a value for each model, not {sizes.size} and {values.size} values"
        )


def new_sizes(values: ArrayLike) -> Floats:
    """Sizes of any shape at which a fitted law is asked for."""
    sizes = np.asarray(values, dtype=np.float64)
    if not (np.isfinite(sizes) & (sizes > 0)).all():
        raise PassUntilError(f"n_params must be finite and above 0, not {values!r}")
    return sizes


def require_fit(law: BaseEstimator, attribute: str) -> None:
    """scikit-learn's error where `fit` has not set that attribute."""
    if not hasattr(law, attribute):
        raise NotFittedError(f"This {type(law).__name__} is not fitted yet; call fit first.")


def check_cells(n_params: ArrayLike, draws: ArrayLike, passes: ArrayLike) -> Cells:
    """The cells, or PassUntilError: wrong shapes, no whole numbers, passes above draws, nothing to fit."""
    sizes = sizes_of(n_params)
    n, s = vector("draws", draws, 2), vector("passes", passes, 2)
    if n.shape != s.shape or n.shape[1] != sizes.size or n.shape[0] == 0:
        raise PassUntilError(
            f"draws {n.shape} and passes {s.shape} must both have a row for each instance and a column for "
            f"each of the {sizes.size} sizes"
        )
    for name, array in (("draws", n), ("passes", s)):
        wrong = array[(array < 0) | (array != np.floor(array))]
        if wrong.size:
            raise PassUntilError(f"{name} must be whole numbers of at least 0, not {wrong[0]:g}")
    if (s > n).any():
        i, j = np.argwhere(s > n)[0]
        raise PassUntilError(f"passes ({s[i, j]:g}) exceed draws ({n[i, j]:g}) in row {i}, column {j}")
    if not s.any():
        raise PassUntilError(
            "no instance passed at any size, so there is nothing to fit; draw more or take an easier task"
        )
    if (s == n).all():
        raise PassUntilError("every draw passed, so there is nothing to fit; take a harder task")
    measured = np.unique(sizes[n.sum(axis=0) > 0]).size
    if measured < LEAST_SIZES:
        raise PassUntilError(
            f"a law needs draws at {LEAST_SIZES} distinct sizes or more, not at {measured}; draw at more sizes"
        )
    log_size = np.log(sizes)
    return Cells(sizes, n, s, float(log_size.mean()), float(log_size.std()))


def check_shares(sizes: Floats, pass_probability: ArrayLike) -> Floats:
    """Pass probabilities (m, n) in [0, 1], NaN where not measured; no row or column without any."""
    try:
        values = np.asarray(pass_probability, dtype=np.float64)
    except (TypeError, ValueError):
        raise PassUntilError(f"pass_probability must be numbers, not {pass_probability!r:.60}") from None
    if values.ndim != 2 or values.shape[1] != sizes.size or values.shape[0] == 0:
        raise PassUntilError(
            f"pass_probability must have a row for each instance and a column for each of the {sizes.size} "
            f"sizes, not shape {values.shape}"
        )
    wrong = values[~np.isnan(values) & ~((values >= 0) & (values <= 1))]
    if wrong.size:
        raise PassUntilError(
            f"pass_probability must lie in [0, 1], not {wrong[0]:g}; give a share, not a percentage"
        )
    empty = np.isnan(values).all(axis=0).any() or np.isnan(values).all(axis=1).any()
    if empty:
        raise PassUntilError("pass_probability has an instance or a size without any value; leave it out")
    return values


def check_guess(value: object) -> float:
    """A guess rate in [0, 1)."""
    guess = real("guess_rate", value)
    if not 0.0 <= guess < 1.0:
        raise PassUntilError(f"guess_rate must lie in [0, 1), not {guess:g}; four options give 0.25")
    return guess


def distinct_sizes(sizes: Floats, used: NDArray[Any]) -> NDArray[np.intp]:
    """At how many distinct sizes each row of `used` (m, n) is true."""
    _, which = np.unique(sizes, return_inverse=True)
    at_size = np.eye(int(which.max()) + 1)[which]
    return np.asarray(((used > 0) @ at_size > 0).sum(axis=1))
