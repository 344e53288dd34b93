"""Importers: small documents in each program's shape, and real files where they are at hand."""

import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxy import ProxyError, import_scores, read_scores, write_scores

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
real = pytest.mark.skipif(not DATA.is_dir(), reason="the real result files are not beside this checkout")

OLD_LM_EVAL = {
    "results": {
        "arc_easy": {"acc": 0.5, "acc_stderr": (0.25 / 99) ** 0.5, "acc_norm": 0.6, "acc_norm_stderr": 0.01},
        "lambada": {"ppl": 12.5, "ppl_stderr": 0.3},
    },
    "versions": {"arc_easy": 0},
    "config": {
        "model": "hf-causal",
        "model_args": "pretrained=org/model,revision=step1000",
        "num_fewshot": 0,
    },
}
NEW_LM_EVAL = {
    "results": {
        "arc_easy": {"alias": "arc_easy", "acc,none": 0.5, "acc_stderr,none": 0.05},
        "gsm8k": {"exact_match,strict-match": 0.1, "exact_match_stderr,strict-match": "N/A",
                  "exact_match,flexible-extract": 0.2, "exact_match_stderr,flexible-extract": 0.01},
    },
    "configs": {}, "config": {"model_args": {"pretrained": "org/model"}}, "n-samples": {"arc_easy": {"effective": 99}},
}  # fmt: skip
LIGHTEVAL = {
    "config_general": {"model_name": "org/model", "lighteval_sha": "x"},
    "results": {"leaderboard|arc:challenge|25": {"acc": 0.3, "acc_stderr": 0.01}, "gsm8k|5": {"qem": 0.2},
                "all": {"acc": 0.25}},
    "versions": {},
}  # fmt: skip
INSPECT = {
    "version": 2, "status": "success",
    "eval": {"task": "arc", "model": "org/model", "dataset": {"samples": 50}},
    "results": {"completed_samples": 50, "scores": [{"name": "choice", "metrics": {
        "accuracy": {"name": "accuracy", "value": 0.44}, "stderr": {"name": "stderr", "value": 0.07}}}]},
}  # fmt: skip
EEE = {
    "schema_version": "0.2.1", "evaluation_id": "x", "model_info": {"name": "model", "id": "org/model"},
    "evaluation_results": [
        {"evaluation_name": "arc", "metric_config": {"lower_is_better": False},
         "score_details": {"score": 0.4, "uncertainty": {"standard_error": {"value": 0.02}, "num_samples": 200}}},
        {"evaluation_name": "wiki", "metric_config": {"lower_is_better": True}, "score_details": {"score": 2.5}},
    ],
}  # fmt: skip
OPENCOMPASS = """20240101
tabulate format
dataset     version    metric    mode      opt350m    opt125m
---------  ---------  --------  ------  ---------  ---------
siqa       e78df3     accuracy  gen         21.55      12.44
winograd   b6c7ed     accuracy  ppl         51.23      -
$$$$$
"""


def put(path: Path, document: Any) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def test_lm_eval_before_0_4(tmp_path: Path) -> None:
    found = import_scores([put(tmp_path / "a.json", OLD_LM_EVAL)])
    assert found.formats == ("lm-eval",)
    matrix = found.matrix
    assert matrix.models == ("org/model@step1000",)
    assert matrix.scores.tolist() == [[0.6, 12.5]]
    assert dict(matrix.direction) == {"lambada": -1}
    assert any("arc_easy: acc_norm was taken, not acc" in note for note in matrix.notes)
    plain = import_scores([tmp_path / "a.json"], metric="acc").matrix
    assert plain.scores[0, 0] == 0.5
    assert plain.n is not None
    assert plain.n[0, 0] == 100  # from the standard error
    every = import_scores([tmp_path / "a.json"], all_metrics=True).matrix
    assert every.tasks == ("arc_easy:acc", "arc_easy:acc_norm", "lambada")


def test_lm_eval_since_0_4(tmp_path: Path) -> None:
    found = import_scores([put(tmp_path / "a.json", NEW_LM_EVAL)])
    assert found.matrix.scores.tolist() == [[0.5, 0.1]]
    assert found.metrics == {"arc_easy": "acc", "gsm8k": "exact_match,strict-match"}
    assert found.matrix.n is not None
    assert found.matrix.n[0, 0] == 99
    assert found.matrix.stderr is not None
    assert np.isnan(found.matrix.stderr[0, 1])


def test_lighteval(tmp_path: Path) -> None:
    found = import_scores([put(tmp_path / "a.json", LIGHTEVAL)])
    assert (found.formats, found.matrix.tasks) == (("lighteval",), ("arc:challenge", "gsm8k"))


def test_inspect_as_json_and_as_an_archive(tmp_path: Path) -> None:
    put(tmp_path / "a.json", INSPECT)
    with zipfile.ZipFile(tmp_path / "b.eval", "w") as archive:
        archive.writestr("header.json", json.dumps(INSPECT))
    for name in ("a.json", "b.eval"):
        matrix = import_scores([tmp_path / name]).matrix
        assert (matrix.scores[0, 0], matrix.tasks) == (0.44, ("arc",))
        assert matrix.n is not None
        assert matrix.n[0, 0] == 50
    both = import_scores([tmp_path]).matrix
    assert any("came twice with the same value" in note for note in both.notes)


def test_an_unfinished_inspect_log_says_so(tmp_path: Path) -> None:
    cut = {**INSPECT, "status": "cancelled"}
    assert "scores of 50 of 50 samples" in import_scores([put(tmp_path / "a.json", cut)]).matrix.notes[0]
    with pytest.raises(ProxyError, match="has no scores"):
        import_scores([put(tmp_path / "b.json", {**cut, "results": None})])


def test_every_eval_ever(tmp_path: Path) -> None:
    matrix = import_scores([put(tmp_path / "a.json", EEE)]).matrix
    assert matrix.scores.tolist() == [[0.4, 2.5]]
    assert dict(matrix.direction) == {"wiki": -1}
    assert matrix.n is not None
    assert matrix.n[0, 0] == 200


def test_opencompass_tables(tmp_path: Path) -> None:
    matrix = import_scores([put(tmp_path / "summary.txt", OPENCOMPASS)]).matrix
    assert (matrix.models, matrix.tasks) == (("opt350m", "opt125m"), ("siqa", "winograd"))
    assert np.isnan(matrix.scores[1, 1])
    csv = "dataset,version,metric,mode,a\nq,1,accuracy,gen,5\nq2,1,average_ppl,ppl,7\n"
    assert dict(import_scores([put(tmp_path / "s.csv", csv)]).matrix.direction) == {"q2": -1}


def test_a_plain_table_passes_through(tmp_path: Path) -> None:
    found = import_scores([put(tmp_path / "s.csv", "model,q\na,1\nb,2\n")])
    assert (found.formats, found.matrix.scores.ravel().tolist()) == (("csv",), [1, 2])


def test_several_files_become_one_table_and_are_read_back(tmp_path: Path) -> None:
    other = json.loads(json.dumps(NEW_LM_EVAL).replace("org/model", "org/other"))
    put(tmp_path / "a.json", NEW_LM_EVAL)
    put(tmp_path / "b.json", other)
    matrix = import_scores([tmp_path]).matrix
    write_scores(tmp_path / "out.csv", matrix)
    again = read_scores(tmp_path / "out.csv")
    assert again.models == ("org/model", "org/other")
    assert np.array_equal(again.scores, matrix.scores)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "line 1: not JSON"),
        ("a.json", "[1]", "JSON list of no known form"),
        ("a.json", '{"a": 1}', "JSON of no known form; give a result file of .* or OpenCompass, or a CSV"),
        ("a.json", "{}", "JSON of no known form"),
        ("a.json", json.dumps({**OLD_LM_EVAL, "config": {}}), "says no model name"),
        ("a.csv", "x,y\n1,2\n", "no column 'model'"),
        ("a.txt", "nothing here", "no column 'model'"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(ProxyError, match=message):
        import_scores([put(tmp_path / name, text)])


def test_contradictions_wrong_formats_and_missing_files_are_refused(tmp_path: Path) -> None:
    one, two = (
        put(tmp_path / "a.json", INSPECT),
        put(tmp_path / "b.json", json.dumps(INSPECT).replace("0.44", "0.5")),
    )
    with pytest.raises(ProxyError, match=r"b\.json: org/model has 0.5 on arc, but 0.44 in .*a\.json"):
        import_scores([one, two])
    with pytest.raises(ProxyError, match="looks like inspect, not lm-eval"):
        import_scores([one], form="lm-eval")
    summary = put(tmp_path / "summary.txt", OPENCOMPASS)
    with pytest.raises(ProxyError, match="looks like opencompass, not lm-eval; use --format opencompass"):
        import_scores([summary], form="lm-eval")
    with pytest.raises(ProxyError, match="no such file"):
        import_scores([tmp_path / "none.json"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ProxyError, match="no result files in this folder"):
        import_scores([tmp_path / "empty"])


@real
def test_real_files_of_inspect_and_opencompass() -> None:
    folder = DATA / "format_samples"
    files = [path for name in ("inspect", "opencompass") for path in sorted((folder / name).iterdir())]
    shapes = {path.name: import_scores([path]).matrix.shape for path in files}
    assert len(shapes) == 19
    assert shapes["docs__en__advanced_guides__contamination_eval.txt"] == (8, 3)
    assert shapes["opencompass__configs__datasets__IFEval__IFEval.csv"] == (6, 1)
    for name in [name for name in shapes if name.endswith(".txt")]:
        assert shapes[name] == shapes[name.replace(".txt", ".csv")]


@real
def test_real_lm_eval_files_keep_every_score(tmp_path: Path) -> None:
    with tarfile.open(DATA / "pythia_evals" / "raw_lm_eval_json.tar.gz") as archive:
        names = [
            n for n in archive.getnames() if "pythia-160m/zero-shot" in n and n.endswith("step143000.json")
        ]
        archive.extractall(tmp_path, members=[archive.getmember(n) for n in names], filter="data")
    matrix = import_scores([tmp_path], metric="acc").matrix
    (path,) = tmp_path.rglob("*.json")
    raw = json.loads(path.read_text())["results"]
    assert matrix.shape == (1, len(raw))
    assert matrix.scores[0, matrix.tasks.index("piqa")] == raw["piqa"]["acc"]
    assert matrix.n is not None
    known = dict(zip(matrix.tasks, matrix.n[0], strict=True))
    assert (known["piqa"], known["winogrande"], known["hendrycksTest-management"]) == (1838, 1267, 103)
