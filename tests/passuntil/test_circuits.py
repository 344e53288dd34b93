"""Two-circuit fits: recovery, exactness against brute force, and modesty on few points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.special import logsumexp, softmax

from passuntil import PassUntilError
from passuntil.growth.circuit_comparison import FORMS, CircuitComparison, compare_circuits
from passuntil.growth.circuits import best_circuit_curve

SIZES = np.geomspace(1e6, 3e9, 9)
X = np.log(SIZES)


def noisy(seed: int, curve: np.ndarray, scale: float = 0.05) -> np.ndarray:
    return np.asarray(curve + scale * np.random.default_rng(seed).standard_normal(curve.size))


def test_the_hard_minimum_finds_its_circuits() -> None:
    comparison = compare_circuits(SIZES, best_circuit_curve([4.0, 18.0], [0.15, 0.95], X))
    fit = comparison.fits["hard_min"]
    assert fit.log_c == pytest.approx((4.0, 18.0), abs=1e-6)
    assert fit.alpha == pytest.approx((0.15, 0.95), abs=1e-6)
    assert fit.crossing == pytest.approx(np.exp(14 / 0.8), rel=1e-6)
    assert comparison.best_leave_one_out == "hard_min"
    assert "two circuits" in comparison.verdict


@pytest.mark.parametrize("seed", range(4))
def test_the_hard_minimum_is_the_global_optimum(seed: int) -> None:
    """No start of a local search over the crossing and both slopes does better."""
    y = noisy(seed, best_circuit_curve([4.0, 12.0], [0.2, 0.6], X), 0.3)
    ours = compare_circuits(SIZES, y).fits["hard_min"].rss
    centred = X - X.mean()
    best = np.inf
    for knot in np.linspace(centred[0], centred[-1], 400):
        basis = np.stack([np.ones_like(X), centred, np.maximum(centred - knot, 0)], 1)
        value = np.linalg.lstsq(basis, y, rcond=None)[0]
        if value[2] > 0:
            value = np.append(np.linalg.lstsq(basis[:, :2], y, rcond=None)[0], 0.0)
        best = min(best, float(((y - basis @ value) ** 2).sum()))
    assert ours <= best + 1e-9
    assert ours == pytest.approx(best, rel=0.02)


@pytest.mark.parametrize("form", ["soft_weighted", "soft_min"])
def test_the_soft_forms_do_as_well_as_many_scipy_fits(form: str) -> None:
    y = noisy(3, best_circuit_curve([4.0, 18.0], [0.15, 0.95], X), 0.2)
    centred = X - X.mean()

    def residual(v: np.ndarray) -> Any:
        parts = np.stack([v[0] + v[1] * centred, v[2] + v[3] * centred])
        f = (softmax(-parts, 0) * parts).sum(0) if form == "soft_weighted" else -logsumexp(-parts, axis=0)
        return f - y

    generator = np.random.default_rng(0)
    start = np.array([y.mean(), -0.3, y.mean(), -0.6])
    scipy_best = min(
        2 * least_squares(residual, start + generator.standard_normal(4) * [2, 0.5, 2, 0.5]).cost
        for _ in range(60)
    )
    fit = compare_circuits(SIZES, y).fits[form]
    assert fit.rss <= scipy_best * 1.001 + 1e-9


def test_leave_one_out_leaves_the_point_out() -> None:
    y = noisy(1, 5 - 0.3 * X)
    errors = []
    for i in range(y.size):
        keep = np.arange(y.size) != i
        errors.append(y[i] - np.polyval(np.polyfit(X[keep], y[keep], 1), X[i]))
    assert compare_circuits(SIZES, y).fits["line"].leave_one_out == pytest.approx(
        np.sqrt(np.mean(np.square(errors)))
    )


def test_aicc_is_the_usual_one() -> None:
    y = noisy(2, 5 - 0.3 * X)
    rss = float(np.sum((y - np.polyval(np.polyfit(X, y, 1), X)) ** 2))
    n, k = y.size, 3
    assert compare_circuits(SIZES, y).fits["line"].aicc == pytest.approx(
        n * np.log(rss / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1)
    )


def test_a_line_is_seldom_taken_for_two_circuits() -> None:
    """Leave-one-out alone prefers four parameters now and then; both criteria together hardly ever do."""
    taken = sum("two circuits (" in compare_circuits(SIZES, noisy(s, 5 - 0.3 * X)).verdict for s in range(12))
    assert taken <= 1


@pytest.mark.parametrize("count", [5, 6])
def test_few_points_judge_nothing(count: int) -> None:
    comparison = compare_circuits(SIZES[:count], noisy(0, 5 - 0.3 * X[:count]))
    assert comparison.fits["hard_min"].aicc is None
    assert "cannot judge four parameters" in comparison.verdict


def test_weights_order_and_units_are_honoured() -> None:
    y = noisy(4, best_circuit_curve([4.0, 18.0], [0.15, 0.95], X))
    straight = compare_circuits(SIZES, y)
    shuffled = np.random.default_rng(0).permutation(SIZES.size)
    again = compare_circuits(SIZES[shuffled], y[shuffled])
    billions = compare_circuits(SIZES / 1e9, y)
    for name in FORMS:
        assert again.fits[name].rss == pytest.approx(straight.fits[name].rss, rel=1e-3, abs=1e-9)
        assert again.fits[name].values == pytest.approx(
            np.array(straight.fits[name].values)[shuffled], abs=0.02
        )
        assert billions.fits[name].rss == pytest.approx(straight.fits[name].rss, rel=1e-3, abs=1e-9)
    heavy = np.where(np.arange(SIZES.size) == 4, 1e-3, 1.0)
    assert compare_circuits(SIZES, y, se=heavy).fits["line"].values[4] == pytest.approx(y[4], abs=1e-3)


def test_the_result_prints_and_is_plain_json() -> None:
    comparison: CircuitComparison = compare_circuits(SIZES, noisy(0, 5 - 0.3 * X))
    assert list(comparison.fits) == list(FORMS)
    assert comparison.table().count("\n") == 6
    assert comparison.as_dict()["fits"]["line"]["parameters"] == 2


@pytest.mark.parametrize(
    ("sizes", "f", "message"),
    [
        ([1, 2], [0.0, 1.0], "2 distinct sizes"),
        ([1, 1, 1, 2], [0.0, 1.0, 2.0, 3.0], "2 distinct sizes"),
        ([1, 2, 3], [0.0, np.inf, 1.0], "f must be finite, not inf"),
        ([1, 2, 0], [0.0, 1.0, 1.0], "n_params must be finite and above 0, not 0"),
        ([1, 2, 3], [0.0, 1.0], r"must be \(n,\)"),
    ],
)
def test_what_cannot_be_fitted_is_refused(sizes: Any, f: Any, message: str) -> None:
    with pytest.raises(PassUntilError, match=message):
        compare_circuits(sizes, f)
