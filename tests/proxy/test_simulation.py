"""The closed form against simulation, and the advice on seeds against what seeds really give."""

import numpy as np
import pytest

from proxy import ProxyError
from proxy.ranking import expected_decision_accuracy, seeds_worth_buying, simulate
from proxy.ranking.simulation import pair_accuracy
from proxy.ranking.truth import decision_accuracies


@pytest.mark.parametrize("weights", [None, [1.0, 1.0, 0.0]])
def test_the_closed_form_is_the_simulated_accuracy(weights: list[float] | None) -> None:
    generator = np.random.default_rng(0)
    a, sigma = np.array([0.8, 0.4, 0.2]), np.array([1.0, 0.3, 2.0])
    q = generator.standard_normal(1500)
    x = q[:, None] * a + np.sqrt(1 - a**2) * generator.standard_normal((1500, 3))
    x += sigma / np.sqrt(2) * generator.standard_normal((1500, 3))
    w = a / (1 - a**2 + sigma**2 / 2) if weights is None else np.array(weights)
    simulated = decision_accuracies((x @ w)[:, None], q)[0]
    assert expected_decision_accuracy(a, sigma, 2, weights) == pytest.approx(simulated, abs=0.015)


def test_more_seeds_and_tasks_help_and_noise_hurts() -> None:
    def accuracy(**setting: float) -> float:
        return simulate(replicates=150, **setting).decision_accuracy  # type: ignore[arg-type]

    assert accuracy(seeds=8) > accuracy() + 0.02
    assert accuracy(tasks=24) > accuracy(tasks=4) + 0.05
    assert accuracy(noise=3.0) < accuracy() - 0.05
    one = simulate(replicates=150, panel=20)
    assert one.decision_accuracy < one.best_possible + 3 * one.error


def test_advice_is_right_on_average_and_its_interval_covers() -> None:
    generator = np.random.default_rng(1)
    told, true, held = [], [], 0
    for _ in range(500):
        pilot = 2.0 * generator.standard_normal(12) + generator.standard_normal(12)
        advice = seeds_worth_buying(
            spread=float(pilot.std(ddof=1)), noise=float(generator.standard_normal(8).std(ddof=1)),
            models=12, noise_runs=8,
        )  # fmt: skip
        real = float(pair_accuracy(np.sqrt(4 / (4 + 1 / advice.seeds))))
        told.append(advice.accuracy[advice.seeds - 1])
        true.append(real)
        held += advice.low - 1e-12 <= real <= advice.high + 1e-12
    assert np.mean(told) == pytest.approx(np.mean(true), abs=0.02)
    assert 0.92 < held / 500 < 0.98


def test_advice_buys_few_seeds_where_noise_is_small_and_says_where_none_help() -> None:
    assert seeds_worth_buying(spread=10.0, noise=0.1, models=12, noise_runs=6).seeds == 1
    assert seeds_worth_buying(spread=1.2, noise=1.0, models=12, noise_runs=6).seeds > 3
    blind = seeds_worth_buying(spread=0.8, noise=1.0, models=12, noise_runs=6)
    assert (blind.seeds, blind.limit, blind.low) == (1, 0.5, 0.5)
    assert "cannot tell" in blind.sentence
    none = seeds_worth_buying(spread=1.0, noise=0.0, models=5, noise_runs=3)
    assert (none.seeds, none.accuracy[0], none.reliability) == (1, 1.0, 1.0)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"spread": 0.0, "noise": 0.0}, "both 0"),
        ({"spread": -1.0}, "spread must lie"),
        ({"models": 1}, "models must be at least 2"),
        ({"noise_runs": 1}, "noise_runs must be at least 2"),
        ({"relevance": 1.5}, "relevance must lie"),
    ],
)
def test_bad_pilots_are_refused(setting: dict[str, float], message: str) -> None:
    given = {"spread": 1.0, "noise": 0.5, "models": 5, "noise_runs": 3, **setting}
    with pytest.raises(ProxyError, match=message):
        seeds_worth_buying(**given)  # type: ignore[arg-type]
