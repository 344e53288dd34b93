"""What a growth class is asked of: counts of a series, checked, and what is too thin for a verdict."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from passuntil._arrays import Floats
from passuntil._checks import positive, real
from passuntil._text import counted
from passuntil.errors import PassUntilError
from passuntil.growth._bending import KnownNoise

#: A quadratic leaves nothing over on three sizes.
LEAST_SIZES_TO_BEND = 4


def share(name: str, value: Any) -> float:
    """A number strictly between 0 and 1, under the name of its argument."""
    number = real(name, value)
    if not 0.0 < number < 1.0:
        raise PassUntilError(f"{name} must lie between 0 and 1, such as 0.05, not {number:g}")
    return number


def known_noise(noise: tuple[float, float] | None) -> KnownNoise | None:
    """The pair (sigma, degrees of freedom), checked."""
    if noise is None:
        return None
    try:
        sigma, df = noise
    except (TypeError, ValueError):
        raise PassUntilError(f"noise must be (sigma, degrees of freedom), not {noise!r}") from None
    if real("noise sigma", sigma) < 0:
        raise PassUntilError(f"noise sigma must not be negative, not {sigma!r}")
    return KnownNoise(float(sigma), positive("noise degrees of freedom", df))


def counts(
    n_params: ArrayLike, draws: ArrayLike, passes: ArrayLike, cap: int | None
) -> tuple[Floats, Floats, Floats]:
    """Sizes (J,) in rising order, and draws and passes as (I, J) with 0 draws where nothing was measured."""
    try:
        sizes = np.asarray(n_params, dtype=np.float64)
        n, s = (np.ma.filled(np.ma.asarray(a, dtype=np.float64), np.nan) for a in (draws, passes))
    except (TypeError, ValueError):
        raise PassUntilError("n_params, draws and passes must be numbers; NaN marks a missing cell") from None
    if sizes.ndim != 1 or n.ndim != 2 or n.shape != s.shape or n.shape[0] != sizes.size:
        raise PassUntilError(
            f"draws {n.shape} and passes {s.shape} must both be (models, instances) for n_params "
            f"{sizes.shape}; give a row a model"
        )
    if not (np.isfinite(sizes) & (sizes > 0)).all():
        raise PassUntilError(f"n_params must be finite and above 0, not {sizes.tolist()}")
    missing = np.isnan(n) | (n == 0)
    if (np.isnan(s) & ~missing).any():
        raise PassUntilError("a cell has draws and no passes (NaN); an unscored cell is missing in both")
    n, s = np.where(missing, 0.0, n), np.where(missing & np.isnan(s), 0.0, s)
    for name, array in (("draws", n), ("passes", s)):
        wrong = ~np.isfinite(array) | (array < 0) | (array != np.round(array))
        if wrong.any():
            raise PassUntilError(f"{name} must be whole numbers from 0, not {array[wrong][0]:g}; give counts")
    if (s > n).any():
        j, i = np.argwhere(s > n)[0]
        raise PassUntilError(
            f"model {j}, instance {i}: {s[j, i]:g} passes in {n[j, i]:g} draws; passes cannot exceed draws"
        )
    if cap is not None and (n > cap).any():
        raise PassUntilError(f"a cell has {n.max():g} draws, above the cap of {cap}; correct the cap")
    models, instances = (n > 0).any(1), (n > 0).any(0)
    order = np.argsort(sizes[models], kind="stable")
    n, s = n[models][:, instances][order], s[models][:, instances][order]
    return sizes[models][order], n.T.copy(), s.T.copy()


def too_thin(sizes: Floats, n: Floats, s: Floats) -> str:
    """Why no verdict is possible, or nothing."""
    distinct = np.unique(sizes).size
    if distinct < LEAST_SIZES_TO_BEND:
        return (
            f"{counted(distinct, 'distinct size')}: curvature needs at least {LEAST_SIZES_TO_BEND}; "
            "measure more sizes"
        )
    if s.sum() == 0:
        return "no draw of any model passed: there is nothing to classify; draw more or take an easier task"
    if (s == n).all():
        return "every draw of every model passed: there is no growth left to see; take a harder task"
    informative = np.unique(sizes[((s > 0) & (s < n)).any(0)]).size
    if informative < LEAST_SIZES_TO_BEND:
        return (
            f"instances passed sometimes and failed sometimes at only {counted(informative, 'size')}; curvature "
            f"needs {LEAST_SIZES_TO_BEND}: draw more at the sizes without a pass, or take sizes between"
        )
    return ""
