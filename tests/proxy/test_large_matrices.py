"""Very many scores: the ways that are taken there agree with the ordinary ones."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from proxy import ScoreMatrix, read_scores, study_relevance
from proxy.choices import METRICS
from proxy.relevance import correlations, partial_correlations, permuted_correlations, set_correlations

Array = NDArray[np.float64]


def scores(models: int, tasks: int, gaps: float = 0.0, digits: int = 1) -> tuple[Array, Array]:
    rng = np.random.default_rng(models * tasks)
    ability = rng.normal(size=models)
    x = np.round(ability[:, None] * rng.uniform(0, 1, tasks) + rng.normal(size=(models, tasks)), digits)
    x[rng.random(x.shape) < gaps] = np.nan
    return x, np.round(ability + 0.5 * rng.normal(size=models), digits)


@pytest.mark.parametrize("gaps", [0.0, 0.1])
@pytest.mark.parametrize(("models", "tasks"), [(200, 30), (30, 80)])
def test_all_factors_at_once_are_those_without_each_task(
    models: int, tasks: int, gaps: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = scores(models, tasks, gaps)
    value = correlations(x, y)
    each, share = partial_correlations(x, y, value)
    monkeypatch.setattr("proxy.relevance.partial_correlation.LARGE", 0)
    for most in (10**9, 0):  # pair by pair, and by sorting
        monkeypatch.setattr("proxy.relevance._paired.MOST_MODELS", most)
        together, same = partial_correlations(x, y, value)
        assert same == share
        for metric in METRICS:
            np.testing.assert_allclose(together[metric], each[metric], atol=1e-9)


@pytest.mark.parametrize("gaps", [0.0, 0.1])
def test_pairs_of_each_set_give_the_same_correlations(gaps: float, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = scores(60, 7, gaps)
    rng = np.random.default_rng(1)
    sets = np.vstack(
        [rng.random((20, 60)) < 0.5, rng.multinomial(60, np.full(60, 1 / 60), 20), np.ones((1, 60))]
    )
    ordinary = set_correlations(x, y, sets)
    monkeypatch.setattr("proxy.relevance.correlation.LARGE", 0)
    for metric, values in set_correlations(x, y, sets).items():
        np.testing.assert_allclose(values, ordinary[metric], atol=1e-12)


def test_a_null_over_partners_scatters_about_as_that_over_all_pairs() -> None:
    x, y = scores(1200, 6)
    rng = np.random.default_rng(2)
    targets = np.stack([rng.permutation(y) for _ in range(200)])
    whole = permuted_correlations(x, targets, ("kendall",))["kendall"]
    some = permuted_correlations(x, targets, ("kendall",), partners=100)["kendall"]
    assert np.corrcoef(whole.ravel(), some.ravel())[0, 1] > 0.985
    assert some.std() / whole.std() == pytest.approx(1.0, abs=0.03)
    # Of few models nearly all pairs are taken.
    x, targets = x[:41], targets[:, :41]
    few = permuted_correlations(x, targets, ("kendall",), partners=100)["kendall"]
    np.testing.assert_allclose(few, permuted_correlations(x, targets, ("kendall",))["kendall"], atol=1e-12)


def test_a_large_study_says_what_it_did_less_of_and_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = scores(300, 9, digits=3)
    matrix = ScoreMatrix(
        tuple(f"m{i}" for i in range(300)), tuple(f"t{j}" for j in range(10)), np.column_stack([x, y])
    )
    ordinary = study_relevance(matrix, "t9")
    for module in ("study", "correlation", "partial_correlation", "_task_tables"):
        monkeypatch.setattr(f"proxy.relevance.{module}.LARGE", 1000)
    stages: list[str] = []
    large = study_relevance(matrix, "t9", progress=stages.append)
    assert large.metric == ordinary.metric
    for task, value in ordinary.values("kendall").items():
        assert large.values("kendall")[task] == pytest.approx(value, abs=1e-12)
    said = " ".join(large.notes)
    for words in (
        "99 permutations instead of 1999",
        "200 rounds of Algorithm 1 instead of 1000",
        "with 100 others",
    ):
        assert f"2,700 scores: {words}" in said or words in said
    assert stages[0] == "Algorithm 1 on raw scores"


WIDE = "model,a,b,note\nx,0.5,0.25,new\ny,-,1e-1,\nz,nan,0.75,old\n"
LONG = "model,task,score,n\nx,b,0.5,10\ny,a,0.25,\nx,a,,3\nz, a ,0.75,4\n"


@pytest.mark.parametrize("text", [WIDE, LONG], ids=["wide", "long"])
def test_a_table_of_plain_numbers_is_read_as_cell_by_cell(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.csv"
    path.write_text(text)
    bulk = read_scores(path)
    for reader in ("read_plain_wide", "read_plain_long"):
        monkeypatch.setattr(f"proxy.scores.tables.{reader}", lambda *_: False)
    cells = read_scores(path)
    assert (bulk.models, bulk.tasks, bulk.notes) == (cells.models, cells.tasks, cells.notes)
    np.testing.assert_array_equal(bulk.scores, cells.scores)
    for name in ("n", "stderr"):
        one, other = getattr(bulk, name), getattr(cells, name)
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_array_equal(one, other)


def test_gaps_of_very_many_scores_are_in_no_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tasks at once give what each task gives over the models that have it, with ties and bootstrap counts."""
    for digits in (1, 6):
        x, y = scores(70, 9, 0.15, digits)
        x[3:, 4] = np.nan  # three models are left
        x[2:, 5] = np.nan  # and here too few
        rng = np.random.default_rng(digits)
        sets = np.vstack(
            [rng.random((30, 70)) < 0.4, rng.multinomial(70, np.full(70, 1 / 70), 20), np.ones((1, 70))]
        )
        targets = np.stack([rng.permutation(y) for _ in range(25)])
        targets[-1] = rng.normal(size=70)
        ordinary = set_correlations(x, y, sets)
        null = permuted_correlations(x, targets)
        with monkeypatch.context() as patch:
            patch.setattr("proxy.relevance.correlation.LARGE", 0)
            for most in (10**9, 25):  # pair by pair, and by sorting
                patch.setattr("proxy.relevance.correlation.MOST_MEMBERS", most)
                for metric, values in set_correlations(x, y, sets).items():
                    np.testing.assert_allclose(values, ordinary[metric], atol=1e-12, err_msg=metric)
            # With all others as partners Kendall's is over all pairs.
            for metric, values in permuted_correlations(x[:69], targets[:, :69], partners=34).items():
                expected = permuted_correlations(x[:69], targets[:, :69])[metric]
                np.testing.assert_allclose(values, expected, atol=1e-12, err_msg=metric)
        assert all(np.isnan(values[5]).all() and np.isfinite(values[:4]).all() for values in null.values())


@given(st.integers(0, 2**32 - 1), st.integers(5, 40), st.integers(1, 6), st.floats(0.0, 0.7))
@settings(max_examples=60, deadline=None)
def test_any_pattern_of_gaps_gives_what_task_by_task_gives(
    seed: int, models: int, tasks: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 6, (models, tasks)).astype(float), rng.integers(0, 6, models).astype(float)
    x[rng.random(x.shape) < share] = np.nan
    sets = rng.integers(0, 3, (8, models))
    targets = np.stack([rng.permutation(y) for _ in range(5)])
    odd = models - 1 + models % 2
    with pytest.MonkeyPatch.context() as patch:
        ordinary, null = (
            set_correlations(x, y, sets),
            permuted_correlations(x[:odd], targets[:, :odd]),
        )
        patch.setattr("proxy.relevance.correlation.LARGE", 0)
        together = set_correlations(x, y, sets)
        at_once = permuted_correlations(x[:odd], targets[:, :odd], partners=models)
    for metric in METRICS:
        np.testing.assert_allclose(together[metric], ordinary[metric], atol=1e-9, err_msg=metric)
        np.testing.assert_allclose(at_once[metric], null[metric], atol=1e-9, err_msg=metric)


def test_the_whole_study_with_gaps_is_the_same_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = scores(120, 9, 0.1, digits=3)
    matrix = ScoreMatrix(
        tuple(f"m{i}" for i in range(120)), tuple(f"t{j}" for j in range(10)), np.column_stack([x, y])
    )
    settings = {"rounds": 100, "permutations": 60}
    ordinary = study_relevance(matrix, "t9", **settings)  # type: ignore[arg-type]
    for module in ("study", "correlation", "partial_correlation", "_task_tables"):
        monkeypatch.setattr(f"proxy.relevance.{module}.LARGE", 500)
    large = study_relevance(matrix, "t9", **settings)  # type: ignore[arg-type]
    for normalisation, table in ordinary.tables.items():
        for task, row in table.items():
            other = large.tables[normalisation][task]
            for name in ("value", "partial", "left_out_low", "left_out_high"):
                for metric in METRICS:
                    assert getattr(other, name)[metric] == pytest.approx(
                        getattr(row, name)[metric], abs=1e-9
                    ), (name, metric)
            for metric in ("pearson", "spearman"):
                assert other.p_value[metric] == row.p_value[metric]
    for metric, consistency in ordinary.consistency["raw"].metrics.items():
        assert large.consistency["raw"].metrics[metric].as_dict() == pytest.approx(consistency.as_dict())
