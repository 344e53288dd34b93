"""Real result files: every number that an import keeps is the file's, by a second, shorter way to read it."""

import csv
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy import import_scores

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real result files are not beside this checkout"
)
SAMPLES = DATA / "format_samples"


def imported(path: Path, **options: Any) -> list[float]:
    """All numbers of an import with all metrics, sorted."""
    scores = import_scores([path], all_metrics=True, **options).matrix.scores
    return sorted(float(score) for score in scores.ravel() if score == score)


def numbers(values: Iterator[Any]) -> list[float]:
    return sorted(
        float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)
    )


def same(path: Path, expected: list[float], **options: Any) -> None:
    assert imported(path, **options) == expected, path.name
    assert expected


@pytest.mark.parametrize(
    "path", sorted((SAMPLES / "every_eval_ever").glob("*.json")), ids=lambda path: path.name
)
def test_every_eval_ever(path: Path) -> None:
    raw = json.loads(path.read_text())
    same(path, numbers(result["score_details"]["score"] for result in raw["evaluation_results"]))


@pytest.mark.parametrize("path", sorted((SAMPLES / "inspect").glob("*")), ids=lambda path: path.name)
def test_inspect(path: Path) -> None:
    if path.suffix == ".eval":
        with zipfile.ZipFile(path) as archive:
            raw = json.loads(archive.read("header.json"))
    else:
        raw = json.loads(path.read_text())
    results = raw["results"]
    metrics = [results["metrics"]] if "metrics" in results else [one["metrics"] for one in results["scores"]]
    same(path, numbers(one["value"] for of in metrics for name, one in of.items() if "std" not in name))


@pytest.mark.parametrize("path", sorted((SAMPLES / "opencompass").glob("*")), ids=lambda path: path.name)
def test_opencompass(path: Path) -> None:
    lines = path.read_text().splitlines()
    rows = (
        list(csv.reader(lines))
        if path.suffix == ".csv"
        else [re.split(r"\s{2,}", line.strip()) for line in lines]
    )
    (start,) = [
        place
        for place, row in enumerate(rows)
        if [cell.lower() for cell in row[:2]] == ["dataset", "version"]
    ]
    hidden = [place for place, model in enumerate(rows[start]) if model == "..."]
    cells = [
        cell
        for row in rows[start + 1 :]
        for place, cell in enumerate(row)
        if place > 3 and place not in hidden
    ]
    same(path, sorted(float(cell) for cell in cells if re.fullmatch(r"\d+(\.\d+)?", cell)))


def test_lighteval_and_lm_eval() -> None:
    path = SAMPLES / "lighteval" / "lighteval_2026_smoke.json"
    raw = json.loads(path.read_text())["results"]
    metrics = [of for task, of in raw.items() if task != "all"]
    same(path, numbers(value for of in metrics for name, value in of.items() if "stderr" not in name))
    path = SAMPLES / "lm_eval" / "lmeval_asdiv_llama3.json"
    raw = json.loads(path.read_text())["results"]
    same(path, numbers(value for of in raw.values() for name, value in of.items() if "stderr" not in name))


def test_old_files_of_lm_eval(tmp_path: Path) -> None:
    with tarfile.open(DATA / "pythia_evals" / "raw_lm_eval_json.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    paths = sorted(tmp_path.rglob("*.json"))
    assert len(paths) == 67
    for path in paths:
        raw = json.loads(path.read_text())["results"]
        same(
            path,
            numbers(
                value for of in raw.values() for name, value in of.items() if not name.endswith("_stderr")
            ),
        )


def test_nemo_evaluator() -> None:
    path = SAMPLES / "nemo_evaluator" / "nemo_fixture_gsm8k.json"
    rewards = [row["reward"] for row in json.loads(path.read_text())]
    same(path, [sum(rewards) / len(rewards)], model="m")


def test_reviews_and_samples() -> None:
    path = SAMPLES / "evalscope" / "review_gsm8k_head.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    same(path, [sum(row["sample_score"]["score"]["value"]["acc"] for row in rows) / len(rows)])
    path = SAMPLES / "lm_eval" / "samples_asdiv_head.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    same(path, [sum(row["acc"] for row in rows) / len(rows)], model="m")
