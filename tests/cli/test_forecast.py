"""`firstlight forecast`: from the tallies of real models to a forecast, in the shape that others rely on."""

from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import LADDER, Call, refused, write_task

MODELS = {"ladder-24k": 23712, "ladder-59k": 59376, "ladder-142k": 141760, "ladder-237k": 236720}
HELD_OUT, HELD_OUT_SIZE = "ladder-425k", 424800
BOUNDS = {"mean", "low", "high", "level"}


@pytest.fixture(scope="module")
def tallies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Measured tallies of five models of the ladder on twelve instances."""
    from workers.cli.main import main

    folder = tmp_path_factory.mktemp("tallies")
    task = folder / "products.jsonl"
    lines = (LADDER / "tasks" / "products.jsonl").read_text().splitlines()
    write_task(task, *lines[:12])
    tables = []
    for model in (*MODELS, HELD_OUT):
        out = folder / f"{model}.csv"
        arguments = ["passuntil", LADDER / "models" / model, task, "--fixed", 300, "--out", out, "--json"]
        assert main([str(argument) for argument in arguments]) == 0
        tables.append(out.read_text().splitlines())
    together = folder / "tallies.csv"
    together.write_text("\n".join([tables[0][0], *(row for table in tables for row in table[1:])]) + "\n")
    return together


@pytest.fixture
def report(call: Call, tallies: Path) -> dict[str, Any]:
    answer = call("forecast", tallies, "--target", 943488, "--target", 2e6, "--hold-out", HELD_OUT, "--json")
    assert (answer.status, answer.err) == (0, "")
    return dict(answer.json())


def test_the_json_has_the_keys_of_the_contract(report: dict[str, Any]) -> None:
    assert set(report) >= {"targets", "growth", "backtest", "diagnostics"}
    assert [target["n_params"] for target in report["targets"]] == [943488, 2000000]
    for target in report["targets"]:
        assert set(target) >= {"n_params", "methods", "recommended"}
        assert target["recommended"] in target["methods"]
        assert set(target["methods"]) <= {
            "dataset_ols",
            "instance_ols",
            "instance_likelihood",
            "loss_assisted",
        }
        for bounds in target["methods"].values():
            assert set(bounds) == BOUNDS
            assert 0 <= bounds["low"] <= bounds["mean"] <= bounds["high"] <= 1
            assert bounds["level"] == 0.9
    assert set(report["growth"]) >= {"class", "p_value"}
    assert report["growth"]["class"] in {"scaling_law", "sub_scaling", "accelerated", "mixed", "undetermined"}
    assert report["growth"]["p_value"] is None or 0 <= report["growth"]["p_value"] <= 1


def test_a_held_out_model_is_forecast_and_judged_but_not_fitted(report: dict[str, Any]) -> None:
    diagnostics = report["diagnostics"]
    assert [point["model"] for point in diagnostics["models"]] == list(MODELS)
    assert [point["n_params"] for point in diagnostics["models"]] == list(MODELS.values())
    (held,) = diagnostics["held_out"]
    assert (held["model"], held["n_params"]) == (HELD_OUT, HELD_OUT_SIZE)
    assert held["hit"] == (held["low"] <= held["measured"] <= held["high"])
    assert held["measured_low"] <= held["measured"] <= held["measured_high"]


def test_the_backtest_leaves_out_the_largest_fitted_model(report: dict[str, Any]) -> None:
    (judged,) = report["backtest"]  # with four sizes only one can go, as three must remain
    assert (judged["model"], judged["held_out"]) == ("ladder-237k", ["ladder-237k"])
    assert judged.keys() >= BOUNDS | {"measured", "hit", "method"}


def test_the_measured_means_are_those_of_the_table(report: dict[str, Any], tallies: Path) -> None:
    from passuntil import read_tallies

    rows = read_tallies(tallies)
    for point in report["diagnostics"]["models"]:
        own = [row.tally.estimate() for row in rows if row.model == point["model"]]
        assert len(own) == point["instances"] == 12
        assert point["mean"] == pytest.approx(sum(own) / 12)


def test_a_wider_level_gives_a_wider_interval(call: Call, tallies: Path) -> None:
    narrow, wide = (
        call("forecast", tallies, "--target", 943488, "--level", level, "--json").json()["targets"][0][
            "methods"
        ]["dataset_ols"]
        for level in (0.5, 0.95)
    )
    assert narrow["mean"] == wide["mean"]
    assert wide["low"] < narrow["low"] < narrow["high"] < wide["high"]


def test_without_json_a_person_reads_a_table(call: Call, tallies: Path) -> None:
    answer = call("forecast", tallies, "--target", 943488, "--hold-out", HELD_OUT)
    assert (answer.status, answer.err) == (0, "")
    for word in (*MODELS, HELD_OUT, "line through task means (OLS)"):
        assert word in answer.out


def test_tasks_beside_it_tell_how_models_deviate(call: Call, tallies: Path, tmp_path: Path) -> None:
    header, *rows = tallies.read_text().splitlines()
    other = tmp_path / "other.csv"
    other.write_text("\n".join([header, *(row.replace("products-", "other-") for row in rows)]) + "\n")
    together = tmp_path / "together.csv"
    named = [f"{row},products" for row in rows] + [f"{row},other" for row in rows]
    together.write_text("\n".join([f"{header},task", *named]) + "\n")
    options = ("--target", 943488, "--json")
    alone = call("forecast", tallies, *options).json()
    beside = call("forecast", tallies, "--beside", other, *options).json()
    column = call("forecast", together, "--task", "products", *options).json()
    assert alone["diagnostics"]["pooled"] == []
    assert beside["diagnostics"]["pooled"] == [str(other)]
    assert column["diagnostics"]["pooled"] == ["other"]
    assert beside["targets"] == column["targets"] != alone["targets"]
    refused(call("forecast", together, *options), "task must be named", "'other', 'products'")


def test_losses_of_the_models_have_their_law_in_the_report(call: Call, tallies: Path, tmp_path: Path) -> None:
    losses = tmp_path / "losses.csv"
    values = zip((*MODELS, HELD_OUT), (1.74, 1.70, 1.60, 1.47, 1.41), strict=True)
    losses.write_text("model,validation\n" + "".join(f"{name},{loss}\n" for name, loss in values))
    answer = call("forecast", tallies, "--losses", losses, "--target", 943488, "--json")
    law = answer.json()["diagnostics"]["losses"]["validation"]
    assert law["intervals"]["alpha"][0] <= law["alpha"] <= law["intervals"]["alpha"][1]
    assert "loss_assisted" in answer.json()["targets"][0]["methods"]
    losses.write_text("model,validation\nladder-24k,minus\n")
    refused(call("forecast", tallies, "--losses", losses), "losses.csv, line 2, column validation", "'minus'")
