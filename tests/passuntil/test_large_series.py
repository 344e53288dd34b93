"""Large series: what is taken from some of the instances there agrees with what all of them say."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.statistics.simulation import draw_counts, lawful_population
from passuntil import Tally, TallyRow, forecast_tallies, read_tallies
from passuntil._samples import evenly
from passuntil.counts import _bulk
from passuntil.counts._reading import rows_of
from passuntil.growth import growth_class
from passuntil.laws import InstanceLikelihood

SIZES = np.geomspace(0.01, 5.0, 8)
Counts = tuple[NDArray[np.int64], NDArray[np.int64]]


@pytest.fixture(scope="module")
def counts() -> Counts:
    generator = np.random.default_rng(3)
    p, _, _ = lawful_population(generator, SIZES, 2000, training_noise=0.03, cell_noise=0.1)
    return draw_counts(generator, p, r=5, floor=64, cap=1000)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything above 4,000 cells is large."""
    for module in ("growth._null", "laws._fitting", "laws._predictive", "forecasting._limits"):
        monkeypatch.setattr(f"passuntil.{module}.LARGE_CELLS", 4_000)


def test_instances_are_spread_evenly_over_their_order() -> None:
    values = np.random.default_rng(0).permutation(1000).astype(float)
    assert np.diff(values[evenly(values, 100)]).tolist() == [10.0] * 99
    assert sorted(evenly(values, 2000)) == list(range(1000))


def test_a_fit_that_starts_near_its_end_ends_there(
    counts: Counts, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "passuntil.laws._fitting.TOLERANCE", 1e-7
    )  # both at the very end, wherever they began
    near = InstanceLikelihood().fit(SIZES, *counts)
    monkeypatch.setattr("passuntil.laws._fitting.LARGE_CELLS", 10**9)
    whole = InstanceLikelihood().fit(SIZES, *counts)
    assert near.n_rounds_ < whole.n_rounds_
    assert near.mean_ == pytest.approx(whole.mean_, abs=1e-5)
    assert near.covariance_ == pytest.approx(whole.covariance_, abs=1e-5)
    assert near.deviations_ == pytest.approx(whole.deviations_, abs=1e-5)
    assert near.tau_ == pytest.approx(whole.tau_, abs=1e-5)


def test_a_forecast_from_instances_that_stand_for_all_is_that_of_all(
    counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    law = InstanceLikelihood().fit(SIZES, *counts)
    whole = law.sample(20.0)
    monkeypatch.setattr("passuntil.laws._predictive.LARGE_CELLS", 4_000)
    some = law.sample(20.0)
    assert some.mean() == pytest.approx(whole.mean(), rel=5e-3)
    assert np.quantile(some, [0.05, 0.5, 0.95]) == pytest.approx(
        np.quantile(whole, [0.05, 0.5, 0.95]), rel=2e-2
    )


def test_the_null_of_growth_is_scaled_to_all_instances(
    counts: Counts, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    n, s = (array.T for array in counts)
    design = {"r": 5, "floor": 64, "cap": 1000, "replicates": 199}
    some = growth_class(SIZES, n, s, **design)
    monkeypatch.setattr("passuntil.growth._null.LARGE_CELLS", 10**9)
    whole = growth_class(SIZES, n, s, **design)
    assert some.label == whole.label
    assert (some.curvature, some.noise) == (whole.curvature, whole.noise)
    assert some.p_value == pytest.approx(whole.p_value, abs=0.15)
    assert some.high - some.low == pytest.approx(whole.high - whole.low, rel=0.25)


def test_a_large_series_says_what_was_not_looked_at_whole_and_tells_its_progress(
    counts: Counts, small: None
) -> None:
    n, s = counts
    rows = [
        TallyRow(f"m{j}", size, f"q{i}", Tally(int(n[i, j]), int(s[i, j])))
        for j, size in enumerate(SIZES[:5])
        for i in range(900)
    ]
    stages: list[str] = []
    result = forecast_tallies(rows, [20.0], progress=stages.append)
    (said,) = (warning for warning in result.warnings if "cells" in warning and "stand for all" in warning)
    assert said.startswith("4,500 cells: all are fitted, but forecasts average over 1,000 instances")
    assert "400 at a time" in said
    assert stages[0] == "reading the series"
    assert "fitting 4 models of 5" in stages


def test_a_table_read_by_columns_is_the_table_read_by_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_bulk, "CHUNK", 7)
    path = tmp_path / "t.csv"
    lines = ["task,model, n_params,tokens,instance,draws,passes,stopped_at,r,floor,cap,nll,note"]
    for k in range(30):
        stop = "" if k % 3 else 40 + k
        lines.append(
            f"a,m{k % 4},{k % 4 + 1}B,, q{k},{stop or 90},{5 if stop else 1},{stop},5,,90,{k / 7 or ''},x"
        )
        lines += ["", f'b,m{k % 4},"{k % 4 + 1},000,000,000",,"q{k}, again",{k + 1},{k},,,,,,']
    path.write_text("\n".join(lines) + "\n")
    text = path.read_text()
    assert _bulk.faultless_rows(text) == list(rows_of("t.csv", text)) == read_tallies(path)
    assert len(read_tallies(path)) == 60


@pytest.mark.parametrize(
    "line",
    [
        "a,1,q,10,1",
        "a,2,x,10,1",
        "a,1,x,10,11",
        "a,1,x,ten,1",
        "a,1,,10,1",
        "a,1,x,10",
        'a,1,"x"y,10,1',
        "a,-1,x,10,1",
    ],
)
def test_a_faulty_table_is_left_to_the_reader_of_rows(line: str) -> None:
    assert _bulk.faultless_rows(f"model,n_params,instance,draws,passes\na,1,q,10,1\n{line}\n") is None
