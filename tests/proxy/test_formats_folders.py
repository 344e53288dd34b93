"""Summaries and work folders of OpenCompass, folders of runs, and files as they come."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from proxy import ProxyError, import_scores
from proxy.scores.formats.document import open_document
from proxy.scores.formats.folders import result_files
from proxy.scores.passes import count_passes

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "17-opencompass"
cases = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not beside this checkout")
HEADER = "dataset,version,metric,mode,m1_hf,m2_hf\n"
AVERAGES = f"""{HEADER}cmmlu,-,naive_average,gen,40.00,60.00
cmmlu-anatomy,f3e8b1,accuracy,gen,30.00,50.00
gsm8k,1d7fe4,accuracy,gen,20.0*,33.0
cmmlu,-,weighted_average,gen,41.00,61.00
"""
MARKDOWN = """20240101
| dataset | version | metric | mode | m1_hf | m2_hf |
|----- | ----- | ----- | ----- | -----| -----|
| gsm8k | 1d7fe4 | accuracy | gen | 20.02 | 33.00 |
| mmlu | - | - | - | - | - |
"""
MODES = "dataset,version,metric,mode,m\nARC-c,1e0de5,accuracy,gen,55.0\nARC-c,2b1755,accuracy,ppl,40.0\n"


def put(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def scores(*paths: Path, **options: Any) -> dict[tuple[str, str], float]:
    matrix = import_scores(paths, **options).matrix
    return {
        (model, task): float(score)
        for model, row in zip(matrix.models, matrix.scores, strict=True)
        for task, score in zip(matrix.tasks, row, strict=True)
        if score == score
    }


def test_a_summary_in_markdown(tmp_path: Path) -> None:
    path = put(tmp_path / "summary.md", MARKDOWN)
    assert import_scores([path]).formats == ("opencompass",)
    assert scores(path) == {("m1_hf", "gsm8k"): 20.02, ("m2_hf", "gsm8k"): 33.0}


def test_modes_of_one_data_set_are_two_tasks(tmp_path: Path) -> None:
    assert scores(put(tmp_path / "s.csv", MODES)) == {("m", "ARC-c@gen"): 55.0, ("m", "ARC-c@ppl"): 40.0}


def test_averages_and_marks_are_said(tmp_path: Path) -> None:
    path = put(tmp_path / "s.csv", AVERAGES)
    assert scores(path)["m1_hf", "gsm8k"] == 20.0
    notes = import_scores([path]).matrix.notes
    assert any("20*" in note and "gsm8k" in note for note in notes)
    assert any(note.startswith("cmmlu: ") and "no evidence of its own" in note for note in notes)
    assert {task for _, task in scores(path, groups="drop")} == {"cmmlu-anatomy", "gsm8k"}


def test_a_work_folder_is_its_newest_summary(tmp_path: Path) -> None:
    run = tmp_path / "20240102_000000"
    put(run / "summary" / "summary_20240102_000000.csv", AVERAGES)
    put(run / "summary" / "summary_20240102_000000.md", MARKDOWN)
    put(run / "summary" / "summary_20240101_000000.csv", AVERAGES.replace("33.0", "1.0"))
    put(run / "results" / "m1_hf" / "gsm8k.json", {"accuracy": 20.0, "details": {"0": {"pred": "a"}}})
    put(run / "predictions" / "m1_hf" / "gsm8k.json", {"0": {"prediction": "a"}})
    put(tmp_path / "20240101_000000" / "summary" / "summary_20240101_000000.txt", "dataset  version  metric  mode  m3\n"
        "-------  -------  ------  ----  --\ngsm8k  1d7fe4  accuracy  gen  7.5\n")  # fmt: skip
    read = scores(tmp_path)
    assert read["m2_hf", "gsm8k"] == 33.0
    assert read["m3", "gsm8k"] == 7.5
    files, notes = result_files(tmp_path)
    assert [file.name for file in files] == ["summary_20240101_000000.txt", "summary_20240102_000000.csv"]
    assert "4 files were left out" in notes[0]


def test_a_work_folder_without_a_summary_has_its_results_and_their_details(tmp_path: Path) -> None:
    details = [{"pred": "a", "correct": True}, {"pred": "b", "correct": [False, True]}]
    put(tmp_path / "results" / "m1" / "gsm8k.json", {"accuracy": 75.0, "type": "GEN", "details": details})
    put(tmp_path / "results" / "m1" / "arc.json", {"accuracy": 20.0})
    found = import_scores([tmp_path])
    assert found.formats == ("opencompass-results",)
    assert scores(tmp_path) == {("m1", "arc"): 20.0, ("m1", "gsm8k"): 75.0}
    assert found.matrix.n is not None
    assert found.matrix.n[0, found.matrix.tasks.index("gsm8k")] == 2
    counts = count_passes([tmp_path]).counts
    assert [(one.task, one.instance, one.draws, one.passes) for one in counts] == [
        ("gsm8k", "0", 1, 1), ("gsm8k", "1", 2, 1)
    ]  # fmt: skip


def test_hidden_files_are_left_alone_and_an_empty_folder_is_refused(tmp_path: Path) -> None:
    put(tmp_path / ".cache" / "x.json", "{")
    with pytest.raises(ProxyError, match="no result files in this folder"):
        import_scores([tmp_path])


def test_the_kind_of_a_file_is_in_its_bytes(tmp_path: Path) -> None:
    rows = '{"a": 1}\n\n{"a": 2}\n'
    kinds = {
        "{}": "json", '{"a": 1}\n': "json", '{\n"a": 1\n}\n': "json", rows: "lines", "[1]": "list",
        "a,b\n": "text", "": "text",
    }  # fmt: skip
    for text, kind in kinds.items():
        for data in (text.encode(), gzip.compress(text.encode())):
            path = tmp_path / "file.any"
            path.write_bytes(data)
            assert open_document(path).kind == kind
    path.write_bytes(gzip.compress(rows.encode()))
    assert [row["a"] for row in open_document(path).rows()] == [1, 2]
    path.write_bytes(b"\x80\x81")
    with pytest.raises(ProxyError, match="neither UTF-8 text nor an archive"):
        open_document(path)


@cases
def test_the_case_of_opencompass() -> None:
    assert scores(CASES / "oc_md.md") == {("m1_hf", "gsm8k"): 20.02, ("m2_hf", "gsm8k"): 33.0}
    assert scores(CASES / "oc_modes.csv") == {("m1_hf", "ARC-c@gen"): 55.0, ("m1_hf", "ARC-c@ppl"): 40.0}
    assert scores(CASES / "work_dir") == scores(CASES / "oc_avg.csv")
    assert scores(CASES / "work_dir")["m1_hf", "gsm8k"] == 20.0
