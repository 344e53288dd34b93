"""Algorithm 1 against a plain loop, and what it chooses."""

import itertools

import numpy as np
import pandas as pd
import pytest

from proxy import ProxyError
from proxy.relevance import choose_metric
from proxy.relevance._rounds import default_subset, default_top, draw_subsets, top_tasks


def world(seed: int = 0, models: int = 18, tasks: int = 9) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    ability = rng.normal(size=models)
    return ability[:, None] * rng.uniform(0, 1, tasks) + rng.normal(scale=0.6, size=(models, tasks)), ability


def test_it_is_the_algorithm_as_written() -> None:
    x, y = world()
    choice = choose_metric(x, y, subset=10, top=3, rounds=60, seed=5)
    chosen = draw_subsets(18, 10, 60, np.random.default_rng(5))
    for metric in ("pearson", "spearman"):  # Kendall's ties need the rule of the next test

        def best(models: np.ndarray, metric: str = metric) -> set[int]:
            frame = pd.DataFrame(x[models])
            return set(frame.corrwith(pd.Series(y[models]), method=metric).sort_values().index[-3:])  # type: ignore[arg-type]

        whole, rounds = best(np.arange(18)), [best(models) for models in chosen]
        assert choice.metrics[metric].baseline == pytest.approx(np.mean([len(r & whole) / 3 for r in rounds]))
        pairs = [len(a & b) / 3 for a, b in itertools.combinations(rounds, 2)]
        assert choice.metrics[metric].sampling == pytest.approx(np.mean(pairs))


def test_ties_at_the_edge_go_to_the_better_mean_rank_then_to_the_earlier_task() -> None:
    values = {
        "kendall": np.array([[0.5, 0.5, 0.5, 0.1]]),
        "pearson": np.array([[0.2, 0.9, 0.3, 0.1]]),
    }
    assert top_tasks(values, 2)["kendall"].tolist() == [[False, True, True, False]]
    equal = {"kendall": np.array([[0.5, 0.5, 0.5]])}
    assert top_tasks(equal, 2)["kendall"].tolist() == [[True, True, False]]
    undefined = {"kendall": np.array([[np.nan, -0.9, -0.8]])}
    assert top_tasks(undefined, 2)["kendall"].tolist() == [[False, True, True]]


def test_subsets_are_drawn_without_replacement_and_evenly() -> None:
    chosen = draw_subsets(12, 5, 6000, np.random.default_rng(0))
    assert all(len(set(row)) == 5 for row in chosen[:200])
    counts = np.bincount(chosen.ravel(), minlength=12)
    expected = 6000 * 5 / 12
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected * 7 / 12)).all()


def test_monte_carlo_errors_are_those_of_repeated_runs() -> None:
    x, y = world(3)
    runs = [
        choose_metric(x, y, subset=9, top=3, rounds=80, seed=seed).metrics["kendall"] for seed in range(60)
    ]
    for value in ("baseline", "sampling"):
        spread = np.std([getattr(run, value) for run in runs], ddof=1)
        claimed = np.mean([getattr(run, f"{value}_se") for run in runs])
        assert claimed == pytest.approx(spread, rel=0.3)


def test_it_prefers_ranks_where_outliers_move_pearson() -> None:
    x, y = world(4, models=30)
    rng = np.random.default_rng(0)
    x[rng.integers(0, 30, 9), np.arange(9)] *= 60
    choice = choose_metric(x, y, subset=12, top=3, rounds=300)
    assert choice.metric in ("spearman", "kendall")
    assert choice.metrics["pearson"].sampling < choice.metrics[choice.metric].sampling


def test_the_same_seed_gives_the_same_and_the_result_says_its_settings() -> None:
    x, y = world()
    one, two = (choose_metric(x, y, rounds=50, seed=3) for _ in range(2))
    assert one == two
    assert (one.subset, one.top, one.rounds, one.seed) == (11, 3, 50, 3)
    assert one.chance == pytest.approx(3 / 9)
    assert (default_subset(4), default_subset(17), default_top(42), default_top(2)) == (3, 10, 5, 1)


def test_normalising_within_each_subset_is_another_algorithm() -> None:
    x, y = world()
    inside = choose_metric(x, y, rounds=40, renormalise=True)
    outside = choose_metric(x, y, rounds=40)
    assert inside.metrics != outside.metrics
    assert all(0 <= one.sampling <= 1 for one in inside.metrics.values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"subset": 18}, "subset must be from 3 to 17"),
        ({"top": 9}, "top must be from 1 to 8"),
        ({"rounds": 1}, "rounds must be from 2 to"),
        ({"rounds": 2.5}, "rounds must be a whole number"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ProxyError, match=message):
        choose_metric(*world(), **settings)  # type: ignore[arg-type]


def test_too_few_models_or_tasks_are_refused() -> None:
    x, y = world()
    with pytest.raises(ProxyError, match="3 models"):
        choose_metric(x[:3], y[:3])
    with pytest.raises(ProxyError, match="at least 2"):
        choose_metric(x[:, :1], y)
