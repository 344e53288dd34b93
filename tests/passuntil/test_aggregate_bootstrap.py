"""The paired bootstrap: against a loop, against theory, and its refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from passuntil import PassUntilError, Tally, dataset_estimate
from passuntil.counts import paired_bootstrap


def test_the_means_are_those_of_a_loop_over_redrawn_instances() -> None:
    values = np.random.default_rng(0).random((7, 3))
    result = paired_bootstrap(values, replicates=50, seed=4)
    counts = np.random.default_rng(4).multinomial(7, np.full(7, 1 / 7), size=50)
    for row, count in zip(result.replicates, counts, strict=True):
        redrawn = np.repeat(values, count, axis=0)
        assert row == pytest.approx(redrawn.mean(axis=0))
    assert result.mean == pytest.approx(values.mean(axis=0))


def test_the_same_instances_are_drawn_at_every_size() -> None:
    value = np.random.default_rng(1).random(40)
    result = paired_bootstrap(np.stack([value, value + 0.25, 2 * value], axis=1), seed=2)
    assert np.allclose(result.replicates[:, 1] - result.replicates[:, 0], 0.25)
    low, high = result.of(lambda means: means[:, 2] / means[:, 0])
    assert low == pytest.approx(2)
    assert high == pytest.approx(2)
    assert result.covariance()[0, 2] == pytest.approx(2 * result.covariance()[0, 0])


def test_the_standard_error_is_that_of_a_mean() -> None:
    values = np.random.default_rng(3).random(200)
    result = paired_bootstrap(values, replicates=4000, seed=1)
    assert result.se[0] == pytest.approx(values.std() / np.sqrt(200), rel=0.05)
    low, high = result.interval()
    assert high - low == pytest.approx(3.92 * result.se[0], rel=0.06)


def test_the_interval_covers_a_difference_between_sizes() -> None:
    generator, hits = np.random.default_rng(5), 0
    for i in range(150):
        difficulty = generator.random(60)
        table = np.stack([difficulty**3, difficulty**2], axis=1)
        low, high = paired_bootstrap(table, replicates=300, seed=i).of(lambda m: m[:, 1] - m[:, 0])
        hits += low <= 1 / 3 - 1 / 4 <= high
    assert hits >= 0.88 * 150


def test_a_seed_decides_and_chunks_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random((30, 2))
    whole = paired_bootstrap(values, replicates=100, seed=9)
    monkeypatch.setattr("passuntil.counts.bootstrap._CELLS", 30 * 7)
    chunked = paired_bootstrap(values, replicates=100, seed=9)
    assert np.allclose(whole.replicates, chunked.replicates, rtol=1e-12)
    assert not np.allclose(whole.replicates, paired_bootstrap(values, replicates=100, seed=8).replicates)


def test_an_infinite_statistic_counts_as_an_end_and_nan_is_refused() -> None:
    result = paired_bootstrap([0.0, 0.0, 0.0, 1e-3], seed=0)
    with pytest.raises(PassUntilError, match="the statistic is NaN in"):
        result.of(lambda means: means[:, 0] / means[:, 0])
    _, high = result.of(lambda means: np.log(-np.log(means[:, 0])))
    assert high == np.inf
    with pytest.raises(PassUntilError, match="one value a replicate"):
        result.of(lambda means: means.mean(axis=0))


@pytest.mark.parametrize(
    ("values", "arguments", "message"),
    [
        ([[0.1]], {}, "at least 2 of them, not 1"),
        ([], {}, "at least 2 of them, not 0"),
        (np.zeros((0, 3)), {}, "at least 2 of them, not 0"),
        (np.zeros((3, 0)), {}, "must have the shape"),
        (np.zeros((2, 2, 2)), {}, "must have the shape"),
        ([0.1, float("nan")], {}, "values must all be finite, unlike 1 of 2 here"),
        ([0.1, None], {}, "must all be finite"),
        ([[0.1], [0.1, 0.2]], {}, "without gaps"),
        ([0.1, 0.2], {"replicates": 1}, "replicates must be at least 2"),
        ([0.1, 0.2], {"replicates": 9.5}, "replicates must be a whole number"),
        ([0.1, 0.2], {"seed": -1}, "seed must be at least 0"),
        ([0.1, 0.2], {"level": 95}, "level must"),
    ],
)
def test_tables_with_gaps_and_impossible_wishes_are_refused(
    values: Any, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(PassUntilError, match=message):
        paired_bootstrap(values, **arguments)


def test_a_mean_says_how_many_instances_were_extended_after_a_look() -> None:
    assert dataset_estimate([Tally(9, 2, extended=True), Tally(9, 1)]).extended == 1
