"""Fits of two circuits to F(log N), compared with the line and the quadratic.

Two circuits have four parameters, a series has five to nine sizes, and four parameters on five points always
fit. So every form is compared with the line and the quadratic by AICc and by leave-one-out error, and the
comparison says when it has nothing to compare.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from passuntil._arrays import Floats
from passuntil._checks import whole
from passuntil._text import counted, grid
from passuntil.errors import PassUntilError
from passuntil.growth._circuit_fits import FITTERS
from passuntil.laws.base import LEAST_SIZES

#: The forms, with their numbers of parameters (the variance is counted besides).
FORMS = {"line": 2, "quadratic": 3, "hard_min": 4, "soft_weighted": 4, "soft_min": 4}
#: What a reader calls them.
FORM_WORDS = {
    "line": "line",
    "quadratic": "quadratic",
    "hard_min": "minimum of two lines",
    "soft_weighted": "two lines by weight",
    "soft_min": "smooth minimum of two lines",
}


@dataclass(frozen=True, slots=True)
class CurveFit:
    """One form fitted to F over log N.

    Parameters
    ----------
    form : str
        Its name in `FORMS`.
    parameters : int
        Of the form, without the variance.
    log_c : tuple of float
        log c of its circuits (of the line; empty for the quadratic).
    alpha : tuple of float
        Exponents of its circuits (of the line; empty for the quadratic).
    crossing : float or None
        Size at which two circuits are equal; None if there is none within reach of the data.
    rss : float
        Weighted residual sum of squares.
    aicc : float or None
        AIC corrected for few points; None where n <= parameters + 2, since it has no value there.
    leave_one_out : float or None
        Root mean squared error of points predicted from the others; None where the others are too few.
    values : tuple of float
        F at the points.
    """

    form: str
    parameters: int
    log_c: tuple[float, ...]
    alpha: tuple[float, ...]
    crossing: float | None
    rss: float
    aicc: float | None
    leave_one_out: float | None
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CircuitComparison:
    """Fits of all forms, the best by each criterion, and a sentence on what that is worth.

    Parameters
    ----------
    fits : dict of str to CurveFit
        By the names of `FORMS`.
    best_aicc : str or None
        The form with the least AICc, of those that have one.
    best_leave_one_out : str or None
        The form that predicts left-out points best.
    verdict : str
        What the comparison is worth, in words.
    """

    fits: dict[str, CurveFit]
    best_aicc: str | None
    best_leave_one_out: str | None
    verdict: str

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison in the JSON shape.

        Returns
        -------
        dict
            Plain JSON values.
        """
        fits = {
            name: {
                field: list(value) if isinstance(value, tuple) else value
                for field, value in asdict(fit).items()
            }
            for name, fit in self.fits.items()
        }
        return {
            "fits": fits,
            "best_aicc": self.best_aicc,
            "best_leave_one_out": self.best_leave_one_out,
            "verdict": self.verdict,
        }

    def table(self) -> str:
        """Return the comparison as text, a line a form.

        Returns
        -------
        str
            Lines without trailing spaces.
        """
        rows = [
            (
                FORM_WORDS[name],
                str(fit.parameters),
                f"{fit.rss:.4g}",
                "-" if fit.aicc is None else f"{fit.aicc:.2f}",
                "-" if fit.leave_one_out is None else f"{fit.leave_one_out:.4f}",
                ", ".join(f"{a:.3f}" for a in fit.alpha) or "-",
            )
            for name, fit in self.fits.items()
        ]
        header = ("form", "parameters", "sum of squares", "AICc", "leave-one-out error", "alpha")
        return "\n".join([*grid(header, rows), self.verdict])


def compare_circuits(
    n_params: ArrayLike,
    f: ArrayLike,
    *,
    se: ArrayLike | None = None,
    starts: int = 64,
    seed: int = 0,
) -> CircuitComparison:
    """Fit line, quadratic and three two-circuit forms to F = log(-log PU) over log N, and compare them.

    hard_min is fitted exactly over all splits; the two soft forms by least squares from `starts` random starts
    besides every split.

    Parameters
    ----------
    n_params : array_like of float, shape (n,)
        Sizes above 0, three distinct ones at least.
    f : array_like of float, shape (n,)
        F at each, of the task mean or, better, of the curve shared by the instances (`GrowthResult.curve`),
        since a task mean bends by itself.
    se : array_like of float, shape (n,), optional
        Standard errors of f, above 0, for weights.
    starts : int, optional
        Random starts of the soft forms, from 1.
    seed : int, optional
        Of the random starts, from 0.

    Returns
    -------
    CircuitComparison
        The fits, the best ones, and what that is worth.

    Raises
    ------
    PassUntilError
        Fewer than three distinct sizes, numbers that are not finite, unequal lengths.

    Notes
    -----
    With F_i = log c_i - alpha_i x: hard_min is min(F_1, F_2); soft_weighted is w_1 F_1 + w_2 F_2 with
    w = softmax(-F_i), concave only while the two differ by less than 2.3994; soft_min is
    -log(exp(-F_1) + exp(-F_2)), concave everywhere. They are compared by

        AICc = n log(RSS / n) + 2 k + 2 k (k + 1) / (n - k - 1),   k counts the variance too,

    and by leave-one-out error.

    References
    ----------
    .. [1] Hu et al., arXiv 2310.03262, Theorem 3.
    .. [2] D. J. Hudson, "Fitting segmented curves whose join points have to be estimated", JASA 61 (1966).

    Examples
    --------
    >>> from passuntil.growth.circuits import best_circuit_curve
    >>> sizes = np.array([1e6, 3e6, 1e7, 3e7, 1e8, 3e8, 1e9, 3e9])
    >>> f = best_circuit_curve([4.0, 18.0], [0.15, 0.95], np.log(sizes))
    >>> compare_circuits(sizes, f).best_leave_one_out
    'hard_min'
    """
    sizes, y = np.asarray(n_params, dtype=np.float64), np.asarray(f, dtype=np.float64)
    errors = np.ones_like(y) if se is None else np.asarray(se, dtype=np.float64)
    if sizes.ndim != 1 or sizes.shape != y.shape or y.shape != errors.shape:
        raise PassUntilError(f"n_params {sizes.shape}, f {y.shape} and se {errors.shape} must be (n,)")
    for name, array, fine in (
        ("n_params", sizes, sizes > 0),
        ("f", y, np.isfinite(y)),
        ("se", errors, errors > 0),
    ):
        wrong = ~(np.isfinite(array) & fine)
        if wrong.any():
            raise PassUntilError(
                f"{name} must be finite{'' if name == 'f' else ' and above 0'}, not {array[wrong][0]}; leave "
                "out models whose pass probability is 0 or 1, or take the shared curve"
            )
    if np.unique(sizes).size < LEAST_SIZES:
        distinct = counted(np.unique(sizes).size, "distinct size")
        raise PassUntilError(f"{distinct}; a curve needs at least {LEAST_SIZES}: measure more sizes")
    starts, seed = whole("starts", starts, least=1), whole("seed", seed)
    order = np.argsort(sizes, kind="stable")
    back = np.argsort(order, kind="stable")
    x, y = np.log(sizes)[order], y[order]
    weights = (1.0 / errors[order] ** 2) * np.mean(errors**2)
    centre = float(x.mean())
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal((starts, 4))
    fits = {name: _fit_form(name, x - centre, y, weights, noise, centre, back) for name in FORMS}
    return _compare(fits, y.size)


def _compare(fits: dict[str, CurveFit], n: int) -> CircuitComparison:
    by_aicc = {name: fit.aicc for name, fit in fits.items() if fit.aicc is not None}
    by_loo = {name: fit.leave_one_out for name, fit in fits.items() if fit.leave_one_out is not None}
    best_aicc = min(by_aicc, key=lambda name: by_aicc[name]) if by_aicc else None
    best_loo = min(by_loo, key=lambda name: by_loo[name]) if by_loo else None
    two = [name for name in FORMS if FORMS[name] == 4]
    if not any(name in by_aicc for name in two):
        verdict = (
            f"{n} points cannot judge four parameters: the AICc of two circuits needs 7 points, and the small "
            "residuals of these fits mean nothing"
        )
    elif best_aicc in two and best_loo in two:
        rival = min(by_aicc[name] for name in ("line", "quadratic"))
        gain = rival - by_aicc[best_aicc]
        verdict = (
            f"two circuits ({FORM_WORDS[best_aicc]}) beat line and quadratic by {gain:.1f} in AICc, and in "
            + "leave-one-out error: "
            + ("clear" if gain > 6 else "some" if gain > 2 else "hardly any")
            + f" support, on {n} points"
        )
    else:
        simplest = best_aicc if best_aicc in ("line", "quadratic") else best_loo
        verdict = f"no support for two circuits on {n} points: the {simplest} is at least as good"
    return CircuitComparison(fits, best_aicc, best_loo, verdict)


def _fit_form(
    form: str, x: Floats, y: Floats, weights: Floats, noise: Floats, centre: float, back: np.ndarray
) -> CurveFit:
    """One form on all points, and on all but each, in one batch of folds."""
    n, k = y.size, FORMS[form]
    folds = np.vstack([weights[None], weights[None] * (1 - np.eye(n))])
    predicted, first = FITTERS[form](x, y, folds, noise)
    rss = float((weights * (y - predicted[0]) ** 2).sum())
    counted = k + 1
    aicc = None
    if n - counted - 1 > 0:
        # An exact fit has no likelihood to compare; the floor is far below any measurement.
        aicc = n * float(np.log(max(rss, 1e-12 * n) / n)) + 2 * counted * n / (n - counted - 1)
    loo = None
    if n > k and np.unique(x).size > k:
        loo = float(np.sqrt(np.mean((y - predicted[1:][np.arange(n), np.arange(n)]) ** 2)))
    heights, slopes = first[0::2], first[1::2]
    crossing = None
    if k == 4 and slopes[0] != slopes[1]:
        at = (heights[1] - heights[0]) / (slopes[0] - slopes[1])
        crossing = float(np.exp(at + centre)) if x.min() <= at <= x.max() else None
    circuits = form != "quadratic"
    return CurveFit(
        form=form,
        parameters=k,
        log_c=tuple((heights - slopes * centre).tolist()) if circuits else (),
        alpha=tuple((-slopes).tolist()) if circuits else (),
        crossing=crossing,
        rss=rss,
        aicc=aicc,
        leave_one_out=loo,
        values=tuple(predicted[0][back].tolist()),
    )
