"""Curves made of steps and of circuits, and fits of two circuits to F(log N).

An answer that needs every one of several steps has P = prod_i P_i; one that the best of several circuits
gives has P = max_i P_i. With P_i = exp(-c_i N^-alpha_i), x = log N and F_i = log c_i - alpha_i x:

    steps:         F = log sum_i exp(F_i)     convex   (arXiv 2310.03262, Theorem 2: F'' = Var of alpha)
    best circuit:  F = min_i F_i              concave  (Theorem 3; it is a maximum of P, no vote)

Two circuits have four parameters, a series has five to nine sizes, and four parameters on five points always
fit. So every form is compared with the line and the quadratic by AICc and by leave-one-out error, and the
comparison says when it has nothing to compare.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp, softmax

from passuntil._arrays import Floats
from passuntil._checks import whole
from passuntil.errors import PassUntilError
from passuntil.growth._circuit_fits import FITTERS

#: The forms, with their numbers of parameters (the variance is counted besides).
FORMS = {"line": 2, "quadratic": 3, "hard_min": 4, "soft_weighted": 4, "soft_min": 4}
#: softmax(-F_i) weights give a concave F only while the circuits differ by less (method 1.2): the root of
#: t tanh(t / 2) = 2.
CONCAVE_WITHIN = 2.3993572805154677
#: A line always fits two sizes.
LEAST_SIZES = 3


def steps_curve(log_c: ArrayLike, alpha: ArrayLike, log_n: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """F of a chain of independent steps, all necessary, with F' and F'' in x = log N.

    log_c, alpha: shape (k,). log_n: shape (n,). F = log sum_i exp(log c_i - alpha_i x); F' = -mean of alpha
    and F'' = variance of alpha, under weights proportional to c_i e^(-alpha_i x). So F'' >= 0.

    >>> f, slope, second = steps_curve([0.0, 0.0], [0.2, 0.4], [0.0])
    >>> round(float(slope[0]), 4), round(float(second[0]), 4)
    (-0.3, 0.01)
    """
    parts, exponents = _parts(log_c, alpha, log_n)
    weights = softmax(parts, axis=1)
    mean = weights @ exponents
    variance = (weights * (exponents - mean[:, None]) ** 2).sum(axis=1)
    return np.asarray(logsumexp(parts, axis=1)), -mean, variance


def best_circuit_curve(log_c: ArrayLike, alpha: ArrayLike, log_n: ArrayLike) -> Floats:
    """F of the best of several circuits: the minimum of straight lines, concave in log N.

    >>> best_circuit_curve([1.0, 3.0], [0.2, 0.6], [0.0, 5.0, 10.0]).tolist()
    [1.0, 0.0, -3.0]
    """
    return np.asarray(_parts(log_c, alpha, log_n)[0].min(axis=1))


def _parts(log_c: ArrayLike, alpha: ArrayLike, log_n: ArrayLike) -> tuple[Floats, Floats]:
    heights, exponents, x = (np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in (log_c, alpha, log_n))
    if heights.shape != exponents.shape or heights.ndim != 1 or x.ndim != 1:
        raise PassUntilError(
            f"log_c {heights.shape} and alpha {exponents.shape} must have one value a step or circuit, and "
            f"log_n {x.shape} one dimension"
        )
    return heights[None, :] - exponents[None, :] * x[:, None], exponents


@dataclass(frozen=True, slots=True)
class CurveFit:
    """One form fitted to F over log N.

    log_c, alpha: of its circuits (of the line; empty for the quadratic). crossing: size at which two circuits
    are equal, None if there is none within reach of the data. rss: residual sum of squares (weighted). aicc:
    None where n <= parameters + 2, since it has no value there. leave_one_out: root mean squared error of
    points predicted from the others, None where the others are too few. values: F at the points.
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
    """Fits of all forms, the best by each criterion, and a sentence on what that is worth."""

    fits: dict[str, CurveFit]
    best_aicc: str | None
    best_leave_one_out: str | None
    verdict: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        fits = {
            name: {
                field: list(value) if isinstance(value := getattr(fit, field), tuple) else value
                for field in CurveFit.__dataclass_fields__
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
        """The comparison as text, a line a form."""
        lines = [f"{'form':<14}{'k':>3}{'rss':>12}{'AICc':>9}{'leave-one-out':>15}  alpha"]
        for name, fit in self.fits.items():
            aicc = "-" if fit.aicc is None else f"{fit.aicc:.2f}"
            loo = "-" if fit.leave_one_out is None else f"{fit.leave_one_out:.4f}"
            exponents = ", ".join(f"{a:.3f}" for a in fit.alpha)
            lines.append(f"{name:<14}{fit.parameters:>3}{fit.rss:>12.4g}{aicc:>9}{loo:>15}  {exponents}")
        return "\n".join([*lines, self.verdict])


def compare_circuits(
    n_params: ArrayLike,
    f: ArrayLike,
    *,
    se: ArrayLike | None = None,
    starts: int = 64,
    seed: int = 0,
) -> CircuitComparison:
    """Fit line, quadratic and three two-circuit forms to F = log(-log PU) over log N, and compare them.

    n_params: sizes > 0, shape (n,). f: F at each, of the task mean or, better, of the curve shared by the
    instances (`GrowthResult.curve`), since a task mean bends by itself. se: standard errors, for weights.
    hard_min is min(F_1, F_2), fitted exactly over all splits; soft_weighted is w_1 F_1 + w_2 F_2 with
    w = softmax(-F_i), concave only while |F_1 - F_2| < 2.3994; soft_min is -log(exp(-F_1) + exp(-F_2)),
    concave everywhere. Both are fitted by least squares from `starts` random starts besides every split.

    Raises PassUntilError: fewer than three distinct sizes, numbers that are not finite, unequal lengths.

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
        raise PassUntilError(f"{np.unique(sizes).size} distinct sizes; a curve needs at least {LEAST_SIZES}")
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
            f"{n} points cannot judge four parameters: AICc of two circuits needs 7; the small residual of "
            "these fits means nothing"
        )
    elif best_aicc in two and best_loo in two:
        rival = min(by_aicc[name] for name in ("line", "quadratic"))
        gain = rival - by_aicc[best_aicc]
        verdict = (
            f"two circuits ({best_aicc}) beat line and quadratic by {gain:.1f} in AICc and in leave-one-out: "
            + ("clear" if gain > 6 else "some" if gain > 2 else "hardly any")
            + f" support, on {n} points"
        )
    else:
        simplest = best_aicc if best_aicc in ("line", "quadratic") else best_loo
        verdict = f"no support for two circuits on {n} points: {simplest} is at least as good"
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
