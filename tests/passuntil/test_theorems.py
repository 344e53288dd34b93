"""Theorems 2 and 3 as properties: steps give a convex F, the best circuit a concave one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from passuntil import PassUntilError
from passuntil.growth.circuits import CONCAVE_WITHIN, best_circuit_curve, steps_curve

heights = st.floats(-5, 5)
exponents = st.floats(0.0, 2.0)
parts = st.lists(st.tuples(heights, exponents), min_size=1, max_size=6)
X = np.linspace(-3.0, 3.0, 25)


def pass_probabilities(circuits: list[tuple[float, float]]) -> np.ndarray:
    return np.exp(-np.exp([[c - a * x for x in X] for c, a in circuits]))


@given(parts)
def test_independent_steps_multiply_and_f_is_convex(steps: list[tuple[float, float]]) -> None:
    log_c, alpha = zip(*steps, strict=True)
    f, slope, second = steps_curve(log_c, alpha, X)
    np.testing.assert_allclose(np.exp(-np.exp(f)), pass_probabilities(steps).prod(0), atol=1e-12)
    assert (second >= 0).all()
    assert (slope <= 1e-12).all()
    # A convex function lies above its tangents.
    assert (f[None, :] >= f[:, None] + slope[:, None] * (X[None, :] - X[:, None]) - 1e-9).all()


@given(parts)
def test_the_second_derivative_is_the_variance_of_the_exponents(steps: list[tuple[float, float]]) -> None:
    log_c, alpha = (np.array(part) for part in zip(*steps, strict=True))
    _, slope, second = steps_curve(log_c, alpha, X)
    k = np.exp(log_c - alpha * X[:, None])
    # Equation 8 of the paper, written out with its sums.
    total = k.sum(1)
    quotient = ((alpha**2 * k).sum(1) * total - (alpha * k).sum(1) ** 2) / total**2
    np.testing.assert_allclose(second, quotient, atol=1e-9)
    np.testing.assert_allclose(slope, -(alpha * k).sum(1) / total, atol=1e-12)
    step = 1e-4
    _, ahead, _ = steps_curve(log_c, alpha, X + step)
    _, behind, _ = steps_curve(log_c, alpha, X - step)
    np.testing.assert_allclose(second, (ahead - behind) / (2 * step), atol=1e-6)


@given(st.lists(heights, min_size=1, max_size=6), exponents)
def test_steps_of_one_exponent_keep_the_line(log_c: list[float], alpha: float) -> None:
    f, slope, second = steps_curve(log_c, [alpha] * len(log_c), X)
    np.testing.assert_allclose(second, 0.0, atol=1e-12)
    np.testing.assert_allclose(slope, -alpha, atol=1e-12)
    np.testing.assert_allclose(f, math.log(sum(math.exp(c) for c in log_c)) - alpha * X, atol=1e-9)


@given(parts)
def test_the_best_circuit_is_a_maximum_and_f_is_concave(circuits: list[tuple[float, float]]) -> None:
    log_c, alpha = zip(*circuits, strict=True)
    f = best_circuit_curve(log_c, alpha, X)
    np.testing.assert_allclose(np.exp(-np.exp(f)), pass_probabilities(circuits).max(0), atol=1e-12)
    middle = best_circuit_curve(log_c, alpha, (X[:-1] + X[1:]) / 2)
    assert (middle >= (f[:-1] + f[1:]) / 2 - 1e-9).all()
    # Between any three points, not only neighbours.
    assert (f[12] >= (f[:12][::-1] + f[13:]) / 2 - 1e-9).all()


def soft_curve(gap: np.ndarray, sign: float) -> np.ndarray:
    """w_1 F_1 + w_2 F_2 with w = softmax(sign F_i), for F_1 = gap / 2 and F_2 = -gap / 2."""
    weight = 1 / (1 + np.exp(-sign * gap))
    return (2 * weight - 1) * gap / 2


def second_difference(values: np.ndarray, step: float) -> np.ndarray:
    return (values[2:] - 2 * values[1:-1] + values[:-2]) / step**2


def test_the_soft_weights_are_concave_only_while_the_circuits_are_close() -> None:
    root = brentq(lambda t: t * math.tanh(t / 2) - 2, 1, 4, xtol=1e-14)
    assert pytest.approx(root, abs=1e-12) == CONCAVE_WITHIN
    gap = np.linspace(-8, 8, 3201)
    bend = second_difference(soft_curve(gap, -1.0), gap[1] - gap[0])
    inside = np.abs(gap[1:-1]) < CONCAVE_WITHIN - 0.01
    assert (bend[inside] < 0).all()
    assert (bend[np.abs(gap[1:-1]) > CONCAVE_WITHIN + 0.01] > -1e-9).all()


def test_weights_of_the_other_sign_bend_the_wrong_way_at_the_crossing() -> None:
    gap = np.linspace(-1, 1, 201)
    assert (second_difference(soft_curve(gap, 1.0), gap[1] - gap[0]) > 0).all()


@pytest.mark.parametrize(
    ("log_c", "alpha", "x"), [([1.0], [1.0, 2.0], [0.0]), ([[1.0]], [[1.0]], [0.0]), ([1.0], [1.0], [[0.0]])]
)
def test_shapes_that_do_not_fit_are_refused(log_c: list, alpha: list, x: list) -> None:
    with pytest.raises(PassUntilError, match="one value a step or circuit"):
        steps_curve(log_c, alpha, x)
    with pytest.raises(PassUntilError, match="one value a step or circuit"):
        best_circuit_curve(log_c, alpha, x)
