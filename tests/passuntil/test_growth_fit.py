"""The instance fit under the growth class: derivatives, bias, covariance, and the simulated designs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from passuntil.growth._bending import KnownNoise, bend, ends
from passuntil.growth._instances import contrasts, fit_shared, score_and_weight, simulate

SIZES = np.array([0.036, 0.109, 0.241, 0.499, 0.892, 1.542, 2.45])
X = np.log(SIZES) - np.log(SIZES).mean()


def population(generator: np.random.Generator, shape: tuple[int, int], noise: float = 0.0) -> np.ndarray:
    height = generator.normal(np.log(5.0), 0.8, (*shape, 1))
    exponent = np.abs(generator.normal(0.35, 0.15, (*shape, 1)))
    delta = noise * generator.standard_normal((shape[0], 1, SIZES.size))
    return np.asarray(height - exponent * np.log(SIZES) + delta)


def counts(generator: np.random.Generator, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return simulate(generator, eta, np.ones(eta.shape[1:]), 5, 64, np.full(eta.shape[1:], 1e4))


def test_score_and_weight_are_derivatives_of_the_log_likelihood() -> None:
    eta, passes, fails = np.linspace(-8, 4, 60), 7.0, 23.0

    def loglik(e: np.ndarray) -> np.ndarray:
        rate = np.exp(e)
        return np.asarray(-passes * rate + fails * np.log(-np.expm1(-rate)))

    score, weight = score_and_weight(eta, np.full(60, passes), np.full(60, fails))
    step = 1e-4
    np.testing.assert_allclose(
        score, (loglik(eta + step) - loglik(eta - step)) / (2 * step), rtol=1e-5, atol=1e-5
    )
    second = (loglik(eta + step) - 2 * loglik(eta) + loglik(eta - step)) / step**2
    np.testing.assert_allclose(weight, -second, rtol=1e-3, atol=1e-4)
    assert (weight >= 0).all()


def test_the_score_is_finite_wherever_eta_wanders() -> None:
    score, weight = score_and_weight(np.array([-500.0, -30, 6, 500]), np.full(4, 3.0), np.full(4, 2.0))
    assert np.isfinite(score).all()
    assert np.isfinite(weight).all()


def test_the_shared_curve_is_hardly_biased_and_its_covariance_is_right() -> None:
    generator, repeats = np.random.default_rng(2), 200
    eta = population(generator, (repeats, 60))
    fit = fit_shared(X, *counts(generator, eta))
    off_line = contrasts(X, 1)
    # Each population has its own line; contrasts beyond a line are zero in all of them.
    bends = fit.curve @ off_line
    claimed = np.sqrt(np.einsum("jk,rjl,lk->rk", off_line, fit.curve_cov, off_line)).mean(0)
    spread = bends.std(0)
    assert (np.abs(bends.mean(0)) < 0.4 * spread).all()
    np.testing.assert_allclose(spread, claimed, rtol=0.2)
    omega = fit.omega.mean(0)
    assert omega[0, 0] == pytest.approx(0.64, rel=0.25)
    assert omega[1, 1] == pytest.approx(0.0225, rel=0.3)


def test_the_fit_converges_where_instances_never_passed() -> None:
    generator = np.random.default_rng(3)
    eta = population(generator, (1, 40))
    eta[:, :10] += 2.0
    draws, passes = counts(generator, eta)
    assert (passes[0, :10].sum(-1) == 0).any()
    short, long = fit_shared(X, draws, passes), fit_shared(X, draws, passes, iterations=300, tolerance=1e-9)
    np.testing.assert_allclose(short.curve, long.curve, atol=0.02)
    score, _ = long.score(draws, passes)
    np.testing.assert_allclose(score.sum(1), 0.0, atol=0.1)


def test_a_batch_is_the_fits_one_by_one() -> None:
    generator = np.random.default_rng(4)
    draws, passes = counts(generator, population(generator, (3, 15)))
    batch = fit_shared(X, draws, passes, iterations=40, tolerance=0.0)
    for k in range(3):
        alone = fit_shared(X, draws[k : k + 1], passes[k : k + 1], iterations=40, tolerance=0.0)
        np.testing.assert_allclose(batch.curve[k], alone.curve[0], atol=1e-10)


def test_t_follows_student_whether_draws_or_training_noise_dominate() -> None:
    generator, repeats = np.random.default_rng(5), 4000
    for noise, draws in ((0.0, 0.1), (0.1, 0.01), (0.05, 0.05)):
        cov = np.diag(draws**2 * np.linspace(2, 0.5, SIZES.size))
        curve = 0.4 - 0.3 * X + noise * generator.standard_normal((repeats, SIZES.size))
        curve = curve + generator.standard_normal(curve.shape) @ np.sqrt(cov)
        covs = np.broadcast_to(cov, (repeats, *cov.shape))
        bent = bend(X, curve, covs)
        share = (np.abs(bent.t) > student.ppf(0.975, bent.df)).mean()
        assert share == pytest.approx(0.05, abs=0.016)
        # Both ends significant with opposite signs is rarer than one of them.
        left, right, df = ends(X, curve, covs, bent.noise)
        both = (left * right < 0) & (np.minimum(abs(left), abs(right)) > student.ppf(0.975, df))
        assert both.mean() < 0.05


def test_noise_known_from_elsewhere_adds_its_degrees_of_freedom() -> None:
    generator = np.random.default_rng(6)
    curve = -0.3 * X + 0.1 * generator.standard_normal((3000, SIZES.size))
    covs = np.broadcast_to(1e-6 * np.eye(SIZES.size), (3000, SIZES.size, SIZES.size))
    known = bend(X, curve, covs, KnownNoise(0.1, 40.0))
    assert known.df == 44.0
    share = (np.abs(known.t) > student.ppf(0.975, known.df)).mean()
    assert share == pytest.approx(0.05, abs=0.016)
    # A true bend: the pooled test finds it more often.
    bent = curve - 0.06 * X**2
    alone, pooled = bend(X, bent, covs), bend(X, bent, covs, KnownNoise(0.1, 40.0))
    shares = [(np.abs(b.t) > student.ppf(0.975, b.df)).mean() for b in (alone, pooled)]
    assert shares[1] > shares[0] + 0.1


def test_the_simulated_design_keeps_the_rule() -> None:
    generator = np.random.default_rng(7)
    eta = np.log(-np.log(np.broadcast_to(np.array([0.5, 0.1, 0.02, 0.001, 1e-5]), (4000, 1, 5))))
    draws, passes = simulate(generator, eta, np.ones((1, 5)), 5, 64, np.full((1, 5), 2000.0))
    assert ((draws >= 64) & (draws <= 2000)).all()
    on_the_way = draws > 64
    assert (passes[on_the_way & (draws < 2000)] == 5).all()
    assert (passes[~on_the_way] >= 5).all()
    # The unbiased estimate of the rule has the right mean only if the draws are right.
    stopped = on_the_way & (passes == 5)
    estimate = np.where(stopped, 4 / (draws - 1), passes / draws)[:, 0]
    se = estimate.std(0) / np.sqrt(4000)
    assert (np.abs(estimate.mean(0) - [0.5, 0.1, 0.02, 0.001, 1e-5]) < 4 * se + 1e-12).all()
    fixed, hits = simulate(generator, eta, np.full((1, 5), 50.0), None, 0, None)
    assert (fixed == 50).all()
    assert hits[:, 0, 0].mean() == pytest.approx(25, abs=0.5)
