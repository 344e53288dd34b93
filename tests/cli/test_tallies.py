"""`firstlight tallies`: samples of other programs, counted for `firstlight forecast`."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Call, refused

SIZES = {"lab/small": 1e6, "lab/medium": 1e7, "lab/large": 1e8, "lab/huge": 1e9}


def write_samples(folder: Path, model: str, passes: list[int], draws: int = 20, task: str = "t") -> Path:
    """A file of lm-eval's samples: so many passes of each document, a line a draw."""
    settings = {"gen_args_0": {"arg_0": "q", "arg_1": {"do_sample": True, "temperature": 1.0}}}
    rows: list[dict[str, Any]] = [
        {"doc_id": doc, "arguments": settings, "resps": [[f"{model} {draw}"]], "filter": "none",
         "metrics": ["exact_match"], "exact_match": float(draw < passed)}
        for doc, passed in enumerate(passes) for draw in range(draws)
    ]  # fmt: skip
    path = folder / model.replace("/", "__") / f"samples_{task}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Samples of four models, each larger one with more passes."""
    for place, model in enumerate(SIZES):
        write_samples(tmp_path / "out", model, [1 + place, 2 + 2 * place, 1 + 4 * place])
    return tmp_path / "out"


def sized(*models: str) -> list[object]:
    return [word for model in models or SIZES for word in ("--n-params", f"{model}={SIZES[model]:.0f}")]


def test_passes_of_a_series_become_a_table_that_forecast_reads(
    call: Call, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "tallies.csv"
    answer = call("tallies", folder, *sized(), "--tokens", "3B", "--out", out, "--json")
    told = answer.json()
    assert (answer.status, answer.err) == (0, "")
    assert (told["models"], told["tasks"], told["metrics"]) == (sorted(SIZES), ["t"], {"t": "exact_match"})
    assert (told["instances"], told["draws"], told["files"], told["notes"]) == (12, 240, 4, [])
    rows = list(csv.DictReader(out.open()))
    read = {(row["model"], row["instance"]): (row["draws"], row["passes"]) for row in rows}
    for place, model in enumerate(SIZES):
        passes = [1 + place, 2 + 2 * place, 1 + 4 * place]
        assert [read[model, str(doc)] for doc in range(3)] == [("20", str(passed)) for passed in passes]
    assert {(row["model"], float(row["n_params"]), float(row["tokens"])) for row in rows} == {
        (model, size, 3e9) for model, size in SIZES.items()
    }
    forecast = call("forecast", out, "--target", 1e10, "--json")
    assert forecast.status == 0
    assert forecast.json()["targets"][0]["n_params"] == 1e10


def test_the_table_is_told_in_a_line(call: Call, folder: Path, tmp_path: Path) -> None:
    answer = call("tallies", folder / "lab__small", "--n-params", 1e6, "--out", tmp_path / "t.csv")
    assert answer.out == f"{tmp_path / 't.csv'}: 60 draws of 3 rows, 4 passed; 1 model, 1 task, from 1 file\n"


def test_a_model_of_unknown_size_is_named(call: Call, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.csv"
    refused(
        call("tallies", folder, *sized("lab/small"), "--out", out), "lab/huge", "give --n-params lab/huge=N"
    )
    refused(
        call("tallies", folder, "--n-params", "lab/tiny=1", "--out", out), "no model 'lab/tiny'", "lab/small"
    )
    refused(call("tallies", folder, "--n-params", "many", "--out", out), "'many' is not a size")
    assert not out.exists()


def test_what_has_no_samples_is_refused(call: Call, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    results.write_text(json.dumps({"results": {"t": {"acc": 0.5}}, "config": {"model": "m"}}))
    refused(
        call("tallies", results, "--out", tmp_path / "t.csv"), str(results), "no scores of single instances"
    )
    refused(call("tallies", tmp_path, "--out", tmp_path / "t.csv"), "no samples in this folder")
    refused(
        call("tallies", tmp_path / "none.jsonl", "--out", tmp_path / "t.csv"), "none.jsonl", "cannot be read"
    )
