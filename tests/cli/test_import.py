"""`firstlight import`: names that are kept in a file, groups, and files of a folder that are left out."""

import json
from pathlib import Path

from tests.cli.conftest import Call, refused


def results(path: Path, shots: int, score: float) -> Path:
    path.write_text(
        json.dumps(
            {
                "results": {"gsm8k": {"acc,none": score}, "all": {"acc,none": score}},
                "group_subtasks": {"all": ["gsm8k"]},
                "n-shot": {"gsm8k": shots},
                "config": {"model_args": "pretrained=lab/m"},
            }
        )
    )
    return path


def test_names_are_written_kept_and_honoured(call: Call, tmp_path: Path) -> None:
    five, none = results(tmp_path / "5.json", 5, 0.5), results(tmp_path / "0.json", 0, 0.1)
    names, out = tmp_path / "names.csv", tmp_path / "out.csv"
    options = ("--groups", "drop", "--out", out, "--names", names)
    assert call("import", five, *options).status == 0
    assert "task,gsm8k | shots=5-shot,gsm8k\n" in names.read_text()
    assert call("import", none, *options).status == 0
    assert out.read_text() == "model,task,score\nlab/m,gsm8k@0-shot,0.1\n"
    names.write_text(names.read_text().replace("gsm8k@0-shot", "sums"))
    edited = names.read_text()
    answer = call("import", five, none, *options, "--json").json()
    assert answer["names"]["tasks"] == {"gsm8k | shots=5-shot": "gsm8k", "gsm8k | shots=0-shot": "sums"}
    assert out.read_text() == "model,task,score\nlab/m,gsm8k,0.5\nlab/m,sums,0.1\n"
    table = tmp_path / "table.csv"
    table.write_text("model,q\na,1\nb,2\n")
    assert call("import", table, *options).status == 0
    assert names.read_text() == edited
    names.write_text("a,b\n")
    refused(call("import", five, *options), "names.csv, line 1: expected the columns kind,identity,name")


def test_groups_are_kept_by_default_and_a_foreign_file_of_a_folder_is_left_out(
    call: Call, tmp_path: Path
) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    results(folder / "5.json", 5, 0.5)
    (folder / "logs.json").write_text('{"x.eval": {}}')
    answer = call("import", folder, "--out", tmp_path / "out.csv", "--json").json()
    assert (answer["tasks"], answer["files"], answer["formats"]) == (2, 1, ["lm-eval"])
    assert [reason.split(": ")[0] for reason in answer["skipped"]] == [str(folder / "logs.json")]
    assert any("--groups drop leaves it out" in note for note in answer["notes"])
