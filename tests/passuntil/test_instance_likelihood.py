"""The likelihood fit: derivatives, recovery, shrinkage, deviations, intervals, bootstrap, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.optimize import approx_fprime, minimize
from scipy.stats import norm
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from passuntil import PassUntilError
from passuntil.laws import InstanceLikelihood, instance_ml
from passuntil.laws._cells import complement, log_likelihood, marginal, score_and_weight

SIZES = np.geomspace(0.036, 1.5, 7)
TARGET = 2.45


def population(
    generator: np.random.Generator, sizes: NDArray[Any], m: int = 164, training: float = 0.0
) -> NDArray[Any]:
    """Pass probabilities (m, n) of lawful instances; `training`: sd of the models' own deviations."""
    log_c, alpha = generator.normal(1.95, 0.45, m), np.abs(generator.normal(0.22, 0.06, m))
    eta = log_c[:, None] - alpha[:, None] * np.log(sizes) + training * generator.standard_normal(sizes.size)
    return np.exp(-np.exp(eta))


def until(generator: np.random.Generator, p: NDArray[Any], r: int = 5, cap: int = 10_000) -> Any:
    """(draws, passes) stopped at the r-th pass or the cap."""
    place, passes = np.zeros(p.shape), np.zeros(p.shape)
    for _ in range(r):
        place = place + np.minimum(generator.geometric(np.maximum(p, 1e-12)), cap + 1)
        passes += place <= cap
    return np.where(passes >= r, place, cap), passes


@pytest.mark.parametrize("guess", [0.0, 0.25])
@pytest.mark.parametrize("eta", [-3.0, -0.5, 1.0, 2.0, 3.0])
def test_the_score_is_the_derivative_of_the_likelihood(eta: float, guess: float) -> None:
    draws, passes = np.array([200.0]), np.array([60.0])
    score, weight = score_and_weight(np.array([eta]), draws, passes, guess)
    slope = approx_fprime([eta], lambda e: float(log_likelihood(e, draws, passes, guess)[0]), 1e-6)
    assert score[0] == pytest.approx(slope[0], rel=1e-4, abs=1e-3)
    assert weight[0] >= 0
    if guess == 0.0:
        step = 1e-4
        near = [score_and_weight(np.array([eta + d]), draws, passes)[0][0] for d in (step, -step)]
        assert weight[0] == pytest.approx(-(near[0] - near[1]) / (2 * step), rel=1e-4)


@pytest.mark.parametrize(("passes", "draws"), [(0, 500), (5, 300), (40, 64), (3000, 10_000)])
def test_a_cells_own_deviation_is_integrated_out(passes: int, draws: int) -> None:
    tau, eta = 0.4, 1.0
    n, s = np.array([[float(draws)]]), np.array([[float(passes)]])

    def value(at: float) -> float:
        def top(e: float) -> float:
            return float(log_likelihood(np.array(at + e), n[0, 0], s[0, 0])) + float(
                norm.logpdf(e, scale=tau)
            )

        peak = minimize(lambda e: -top(float(e[0])), [0.0], method="Nelder-Mead").x[0]
        scale = top(peak)
        total, _ = quad(lambda e: np.exp(top(e) - scale), peak - 3, peak + 3, points=[peak], limit=200)
        return scale + float(np.log(total))

    mode = np.zeros((1, 1))
    for _ in range(40):
        score, weight, mode = marginal(np.array([[eta]]), n, s, 0.0, np.array([[tau**2]]), mode)
    step = 1e-3
    low, middle, high = (value(eta + d) for d in (-step, 0.0, step))
    assert score[0, 0] == pytest.approx((high - low) / (2 * step), rel=2e-2, abs=1e-2)
    assert weight[0, 0] == pytest.approx(-(high - 2 * middle + low) / step**2, rel=0.1, abs=0.05)


def test_single_instances_come_out_as_scipy_has_them() -> None:
    generator = np.random.default_rng(2)
    draws, passes = until(generator, population(generator, SIZES, 12))
    fits = instance_ml(SIZES, draws, passes)
    some = np.flatnonzero(passes.any(axis=1))
    assert np.isnan(fits.alpha).sum() == 12 - some.size
    for i in some:

        def value(theta: NDArray[Any], i: int = i) -> float:
            return -float(log_likelihood(theta[0] - theta[1] * np.log(SIZES), draws[i], passes[i]).sum())

        best = minimize(value, [2.0, 0.2], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9})
        assert [fits.log_c[i], fits.alpha[i]] == pytest.approx(best.x, abs=1e-3)


def test_the_likelihood_fits_of_table_2_come_out_and_one_rejects_the_law() -> None:
    sizes = [0.036, 0.109, 0.241, 0.499, 0.892, 1.542]
    fits = instance_ml(sizes, np.full((2, 6), 1600), [[0, 0, 0, 1, 3, 13], [6, 82, 561, 580, 909, 1275]])
    assert np.exp(fits.log_c) == pytest.approx([5.806, 0.445], abs=1e-3)
    assert fits.alpha == pytest.approx([0.421, 0.793], abs=6e-4)
    assert fits.predict(2.45) == pytest.approx([0.0186, 0.8035], abs=1e-4)
    assert fits.deviance == pytest.approx([0.35, 211], abs=0.5)
    assert fits.p_value[0] > 0.9
    assert fits.p_value[1] < 1e-30


def test_an_instance_without_a_maximum_is_nan_and_not_a_number_from_nowhere() -> None:
    fits = instance_ml([1, 2, 4], np.full((3, 3), 100), [[0, 0, 0], [100, 100, 100], [1, 5, 20]])
    assert np.isnan(fits.alpha).tolist() == [True, True, False]


def test_hyper_parameters_are_recovered_and_zeros_do_not_flatten_the_slope() -> None:
    generator = np.random.default_rng(5)
    draws, passes = until(generator, population(generator, SIZES, 1000))
    assert (passes == 0).mean() > 0.1
    law = InstanceLikelihood(deviation=None).fit(SIZES, draws, passes)
    assert law.converged_
    # The means of the thousand instances have standard errors of .014 and .002.
    assert law.mean_ == pytest.approx([1.95, 0.22], abs=0.045)
    assert np.sqrt(np.diag(law.covariance_)) == pytest.approx([0.45, 0.06], abs=0.06)
    assert law.tau_ < 0.1


def test_scatter_of_cells_and_deviations_of_models_are_told_apart() -> None:
    generator = np.random.default_rng(6)
    p = population(generator, SIZES, 400)
    delta = np.array([0.1, -0.2, 0.15, 0.0, -0.1, 0.2, -0.15])
    basis = complement((np.log(SIZES) - np.log(SIZES).mean()) / np.log(SIZES).std())
    wanted = basis @ (basis.T @ delta)
    eta = np.log(-np.log(p)) + wanted + 0.3 * generator.standard_normal(p.shape)
    draws, passes = until(generator, np.exp(-np.exp(eta)), r=20, cap=100_000)
    law = InstanceLikelihood().fit(SIZES, draws, passes)
    assert law.deviations_ == pytest.approx(wanted, abs=0.05)
    assert law.tau_ == pytest.approx(0.3, abs=0.04)
    assert 0.05 < law.sigma_ < 0.5


@pytest.mark.parametrize("training", [0.0, 0.1])
def test_the_interval_covers_and_the_forecast_is_unbiased(training: float) -> None:
    generator, hits, errors, repeats = np.random.default_rng(8), 0, [], 80
    for _ in range(repeats):
        p = population(generator, np.append(SIZES, TARGET), 100, training)
        draws, passes = until(generator, p[:, :-1])
        forecast = InstanceLikelihood(n_samples=400).fit(SIZES, draws, passes).forecast(TARGET)
        truth = p[:, -1].mean()
        hits += forecast.low <= truth <= forecast.high
        errors.append(np.log(forecast.mean / truth))
    # A share of .9 in 80 has a standard error of .034.
    assert hits / repeats > 0.9 - 3 * 0.034
    assert abs(np.mean(errors)) < 3 * np.std(errors) / np.sqrt(repeats) + 0.02


def test_without_deviations_the_interval_is_narrow_and_wrong_on_a_noisy_series() -> None:
    generator, bare, full = np.random.default_rng(9), 0, 0
    for _ in range(30):
        p = population(generator, np.append(SIZES, TARGET), 100, 0.1)
        draws, passes = until(generator, p[:, :-1])
        for deviation in (None, "estimate"):
            law = InstanceLikelihood(n_samples=300, deviation=deviation).fit(SIZES, draws, passes)
            forecast = law.forecast(TARGET)
            hit = forecast.low <= p[:, -1].mean() <= forecast.high
            bare, full = bare + (hit and deviation is None), full + (hit and deviation is not None)
    assert bare < 15 < full


def test_a_known_guess_rate_is_taken_out() -> None:
    generator = np.random.default_rng(10)
    p = 0.25 + 0.75 * population(generator, SIZES * 1000, 200)
    draws = np.full(p.shape, 4000.0)
    passes = generator.binomial(4000, p).astype(float)
    law = InstanceLikelihood(guess_rate=0.25, deviation=None).fit(SIZES, draws, passes)
    # In sizes a thousand times smaller, log c is less by .22 log 1000.
    assert law.mean_ == pytest.approx([1.95 - 0.22 * np.log(1000), 0.22], abs=0.12)
    assert law.forecast(TARGET).low > 0.25


def test_cells_that_were_not_measured_are_no_evidence() -> None:
    generator = np.random.default_rng(11)
    draws, passes = until(generator, population(generator, SIZES, 60))
    draws[::3, 2], passes[::3, 2] = 0, 0
    law = InstanceLikelihood().fit(SIZES, draws, passes)
    assert np.isfinite(law.alpha_).all()
    assert 0 < law.forecast(TARGET).mean < 1


def test_the_unit_of_size_changes_c_and_nothing_else() -> None:
    generator = np.random.default_rng(12)
    draws, passes = until(generator, population(generator, SIZES, 40))
    small, large = (InstanceLikelihood().fit(SIZES * unit, draws, passes) for unit in (1.0, 1e9))
    assert large.alpha_ == pytest.approx(small.alpha_, rel=1e-6)
    a, b = small.forecast(TARGET), large.forecast(TARGET * 1e9)
    assert (a.mean, a.low, a.high) == pytest.approx((b.mean, b.low, b.high), rel=1e-6)


def test_the_same_seed_gives_the_same_numbers_and_draws_noise_widens() -> None:
    generator = np.random.default_rng(13)
    draws, passes = until(generator, population(generator, SIZES, 40))
    law = InstanceLikelihood(deviation=None, seed=3).fit(SIZES, draws, passes)
    assert law.forecast(TARGET) == law.forecast(TARGET)
    assert law.sample(TARGET, draws=20).std() > law.sample(TARGET).std()


def test_bootstrap_replicates_scatter_about_the_fit_as_instances_do() -> None:
    generator = np.random.default_rng(14)
    draws, passes = until(generator, population(generator, SIZES, 100), r=20, cap=10**6)
    law = InstanceLikelihood().fit(SIZES, draws, passes)
    bootstrap = law.bootstrap(200, n_params=TARGET)
    assert bootstrap.mean.shape == (200, 2)
    assert bootstrap.mean.mean(0) == pytest.approx(law.mean_, abs=0.03)
    assert bootstrap.mean[:, 1].std() == pytest.approx(np.sqrt(law.covariance_[1, 1] / 100), rel=0.4)
    assert bootstrap.task_mean.std() > 0


def test_it_is_a_scikit_learn_estimator() -> None:
    law = InstanceLikelihood(guess_rate=0.1, seed=4)
    assert clone(law).get_params() == law.get_params()
    with pytest.raises(NotFittedError, match="call fit first"):
        law.forecast(1.0)


GOOD = [[100] * 4] * 2, [[0, 1, 5, 9], [0, 0, 2, 4]]


@pytest.mark.parametrize(
    ("sizes", "draws", "passes", "message"),
    [
        ([1, 2], [[9, 9]], [[1, 2]], "a law needs at least 3 distinct sizes, not 2"),
        ([2, 2, 2, 2], *GOOD, "3 distinct sizes, not 1"),
        ([1, 2, 3], *GOOD, "must both have a row for each instance"),
        ([1, 2, 3, 0], *GOOD, "n_params must be above 0, not 0"),
        ([1, 2, 3, np.nan], *GOOD, "n_params must be finite, not nan"),
        ([1, 2, 3, 4], [[10, 10, 10, 10]], [[0, 1, 11, 2]], r"passes \(11\) exceed draws \(10\) in row 0"),
        ([1, 2, 3, 4], [[10, 10, 10, 10]], [[0, 1, -1, 2]], "passes must be whole numbers .* not -1"),
        ([1, 2, 3, 4], [[10, 10, 10.5, 10]], [[0, 1, 1, 2]], "draws must be whole numbers .* not 10.5"),
        ([1, 2, 3, 4], [[10, 10, np.nan, 10]], [[0, 1, 1, 2]], "draws must be finite, not nan"),
        ([1, 2, 3, 4], [[10] * 4], [[0] * 4], "no instance passed at any size"),
        ([1, 2, 3, 4], [[10] * 4], [[10] * 4], "every draw passed"),
        ([1, 2, 3, 4], [[10, 10, 0, 0]], [[1, 2, 0, 0]], "draws at 3 distinct sizes or more, not at 2"),
    ],
)
def test_what_cannot_be_fitted_is_refused(sizes: Any, draws: Any, passes: Any, message: str) -> None:
    with pytest.raises(PassUntilError, match=message):
        InstanceLikelihood().fit(sizes, draws, passes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"guess_rate": 1.0}, r"guess_rate must lie in \[0, 1\)"),
        ({"deviation": "no"}, "deviation must be 'estimate', a DeviationPrior, a sigma or None, not 'no'"),
        ({"deviation": -1.0}, "deviation must be finite and at least 0"),
    ],
)
def test_impossible_settings_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PassUntilError, match=message):
        InstanceLikelihood(**arguments).fit([1, 2, 3, 4], *GOOD)
