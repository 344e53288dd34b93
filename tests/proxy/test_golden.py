"""The paper's tables that follow from its others, and the one that does not."""

import pytest

from benchmarks.proxy import golden_tables, paper_tables
from proxy import ScoreMatrix, rank_configurations


def test_table_10_has_four_two_four_and_one_inversions() -> None:
    rows = golden_tables.inversions()
    assert [row["inversions"] for row in rows] == [4, 2, 4, 1] == [row["printed"] for row in rows]
    assert rows[-1]["p_value"] == pytest.approx(5 / 120)


def test_tables_6_and_8_come_from_one_weight_vector() -> None:
    fitted = golden_tables.weights()
    assert fitted["largest_residual"] <= 0.003
    assert fitted["largest_error_left_out"] <= 0.02
    assert sum(fitted["weights"].values()) == pytest.approx(1)
    assert min(fitted["weights"].values()) > 0
    # The library's own weighted mean of raw scores gives the printed values.
    scores = [row for row, _ in paper_tables.CHECKPOINTS.values()]
    matrix = ScoreMatrix(tuple(paper_tables.CHECKPOINTS), tuple(paper_tables.TASKS), scores)
    ranking = rank_configurations(matrix, weights=fitted["weights"])
    for one in ranking.ranking:
        assert one.score == pytest.approx(paper_tables.CHECKPOINTS[one.model][1], abs=0.003)


def test_variances_are_recomputed_from_table_4_and_table_5_is_not_asserted_wholesale() -> None:
    rows = {row["task"]: row for row in golden_tables.variances()}
    recomputed = {
        "C3": (0.9081, 54.6974, 60.231), "CMNLI": (0.4034, 27.0851, 67.137), "OCNLI": (1.4108, 43.565, 30.879),
        "CHID": (1.8907, 95.1967, 50.35), "RTE": (1.7902, 11.7731, 6.576), "CMMLU": (0.0366, 0.3952, 10.789),
    }  # fmt: skip
    for task, (noise, data, ratio) in recomputed.items():
        row = rows[task]
        assert (row["var_noise"], row["var_data"]) == pytest.approx((noise, data), abs=6e-5)
        assert row["ratio"] == pytest.approx(ratio, abs=6e-4)
    # What is printed follows in four cells of eighteen; the other fourteen are the paper's own disagreement.
    agreeing = {(task, name) for task, row in rows.items() for name, holds in row["agrees"].items() if holds}
    assert agreeing == {
        ("C3", "var_noise"),
        ("CMNLI", "var_noise"),
        ("CMMLU", "var_noise"),
        ("CMMLU", "ratio"),
    }
    # Four of six ratios are above 1 by a one-sided F test at 5%.
    assert {task for task, row in rows.items() if row["p_value"] <= 0.05} == {"C3", "CMNLI", "OCNLI", "CHID"}
