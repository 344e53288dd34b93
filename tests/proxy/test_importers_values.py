"""What a file says of its scores: directions, items, units, groups, marks; and files that cannot be read."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxy import ProxyError, ScoreMatrix, import_scores, read_scores
from proxy.scores import flag_tasks


def put(path: Path, document: Any) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def lm_eval(model: str, results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"results": results, "configs": {}, "config": {"model_args": f"pretrained={model}"}, **more}


def imported(folder: Path, *documents: Any, **options: Any) -> ScoreMatrix:
    files = [put(folder / f"{place}.json", document) for place, document in enumerate(documents)]
    return import_scores(files, **options).matrix


def test_the_direction_that_a_file_states_goes_before_the_metrics_name(tmp_path: Path) -> None:
    said = {"toxicity": {"score": False}, "gsm8k": {"exact_match": True}, "wiki": {"word_perplexity": None}}
    documents = [
        lm_eval(
            f"m{i}",
            {
                "toxicity": {"score,none": 0.6 - 0.05 * i},
                "gsm8k": {"exact_match,strict-match": 0.1 + 0.08 * i},
                "wiki": {"word_perplexity,none": 20.0 - i},
            },
            higher_is_better=said,
        )
        for i in range(6)
    ]
    matrix = imported(tmp_path, *documents)
    assert dict(matrix.direction) == {"toxicity": -1, "wiki": -1}
    assert np.corrcoef(matrix.oriented().T)[0, 1] == pytest.approx(1)  # less toxic and better at sums
    contrary = lm_eval("x", {"toxicity": {"score,none": 0.1}}, higher_is_better={"toxicity": {"score": True}})
    with pytest.raises(ProxyError, match=r"toxicity: lower is better in .*, but higher in"):
        imported(tmp_path, documents[0], contrary)


def test_a_model_that_has_other_metrics_only_is_named(tmp_path: Path) -> None:
    matrix = imported(
        tmp_path,
        lm_eval("m1", {"gsm8k": {"exact_match,strict-match": 0.5}, "arc": {"acc,none": 0.5}}),
        lm_eval("m2", {"gsm8k": {"exact_match,get-answer": 0.1}}),
        lm_eval("m3", {"gsm8k": {"exact_match,get-answer": 0.1}, "arc": {"acc,none": 0.4}}),
    )
    assert matrix.models == ("m1", "m3")
    (note,) = [note for note in matrix.notes if "m2" in note]
    assert note.startswith(
        "gsm8k: m2, m3 have no exact_match,strict-match and so no score, and 1 model is not in"
    )


GROUPS = lm_eval(
    "m1",
    {
        "mmlu": {"acc,none": 0.5, "acc_stderr,none": 0.01},
        "mmlu_stem": {"acc,none": 0.4, "acc_stderr,none": 0.05},
        "mmlu_anatomy": {"acc,none": 0.4, "acc_stderr,none": 0.04},
    },
    groups={"mmlu": {}, "mmlu_stem": {}},
    group_subtasks={"mmlu": ["mmlu_stem"], "mmlu_stem": ["mmlu_anatomy"]},
    **{"n-samples": {"mmlu_anatomy": {"original": 135, "effective": 135}}},
)


@pytest.mark.parametrize("listed", [True, False])
def test_groups_beside_their_parts_are_noted_or_dropped(tmp_path: Path, listed: bool) -> None:
    document = GROUPS if listed else {**GROUPS, "group_subtasks": {}, "groups": {"mmlu": {}}}
    groups = ["mmlu", "mmlu_stem"] if listed else ["mmlu"]
    kept = imported(tmp_path, document)
    assert kept.tasks == ("mmlu", "mmlu_stem", "mmlu_anatomy")
    assert any(note.startswith(f"{', '.join(groups)}: ") and "--groups drop" in note for note in kept.notes)
    assert kept.n is not None
    assert np.isnan(kept.n[0, 0])  # the items of a group are its tasks', not its standard error's
    assert kept.n[0, 2] == 135
    assert [flag.kind for flag in flag_tasks(kept)] == []
    dropped = imported(tmp_path, document, groups="drop")
    assert dropped.tasks == tuple(task for task in kept.tasks if task not in groups)
    assert any(note.startswith(f"left out: {', '.join(groups)}") for note in dropped.notes)
    alone = {**document, "results": {"mmlu": {"acc,none": 0.5}}}
    assert imported(tmp_path, alone, groups="drop").tasks == ("mmlu",)


OPENCOMPASS = """dataset,version,metric,mode,m1_hf,m2_hf
cmmlu,-,naive_average,gen,40.00,60.00
cmmlu-stem,-,naive_average,gen,30.00,50.00
cmmlu-anatomy,f3e8b1,accuracy,gen,30.00,50.00
gsm8k,1d7fe4,accuracy,gen,20.0*,33.0
math,1d7fe4,accuracy,gen,82.00 (7/8),n/a?
cmmlu,-,weighted_average,gen,41.00,61.00
"""


def test_marks_of_opencompass_are_said_and_its_averages_are_groups(tmp_path: Path) -> None:
    path = put(tmp_path / "s.csv", OPENCOMPASS)
    matrix = import_scores([path]).matrix
    assert matrix.scores[0].tolist() == [40.0, 30.0, 30.0, 20.0, 82.0]
    notes = " ".join(matrix.notes)
    assert "2 scores have marks that were left out: 20* (m1_hf on gsm8k), 82(7/8) (m1_hf on math)" in notes
    assert "1 cell holds no number and was left empty ('n/a?' of m2_hf on math)" in notes
    assert "cmmlu: naive_average was taken, not weighted_average" in notes
    dropped = import_scores([path], groups="drop").matrix
    assert dropped.tasks == ("cmmlu-anatomy", "gsm8k", "math")


def test_lighteval_says_its_items_directions_and_averages(tmp_path: Path) -> None:
    document = {
        "config_general": {"model_config": {"base_model": "lab/m", "adapter_weights": "lab/lora"}},
        "results": {
            "math_500|0": {"pass@k:k=1": 0.0, "pass@k:k=1_stderr": 0.0},
            "lighteval|bias|5": {"gap": 0.31},
            "mgsm:_average|8": {"em": 0.25},
            "all": {"em": 0.1},
        },
        "config_tasks": {
            "math_500|0": {"effective_num_docs": 500},
            "lighteval|bias": {"effective_num_docs": -1, "original_num_docs": 541,
                               "metrics": [{"metric_name": "gap", "higher_is_better": False}]},
        },
    }  # fmt: skip
    matrix = imported(tmp_path, document)
    assert (matrix.models, matrix.tasks) == (("lab/m+lab/lora",), ("math_500", "bias"))
    assert matrix.n is not None
    assert matrix.n.tolist() == [[500, 541]]
    assert dict(matrix.direction) == {"bias": -1}
    assert matrix.notes == ("0.json: 2 averages over tasks were left out (mgsm:_average|8, all)",)


def every_eval(model: str, score: Any, **config: Any) -> dict[str, Any]:
    result = {"evaluation_name": "arc", "metric_config": config, "score_details": {"score": score}}
    return {"model_info": {"id": model}, "evaluation_results": [result]}


def test_units_of_files_are_brought_together(tmp_path: Path) -> None:
    matrix = imported(
        tmp_path, every_eval("a", 0.4, metric_unit="proportion"), every_eval("b", 50, metric_unit="percent")
    )
    assert matrix.scores.ravel().tolist() == [0.4, 0.5]
    assert matrix.notes == ("arc: 1 score was brought to fractions, as the others are",)
    assert dict(imported(tmp_path, every_eval("a", 0.4, max_score=100.0)).scale) == {"arc": 100}
    beyond = imported(tmp_path, every_eval("a", 45.0, max_score=1.0))
    assert beyond.notes == ("arc: a file says that scores end at 1, but a has 45",)
    unknown = every_eval("a", -1, has_unknown_level=True)
    unknown["evaluation_results"] += every_eval("a", 2, has_unknown_level=True)["evaluation_results"]
    assert imported(tmp_path, unknown).scores.tolist() == [[2]]


def test_decorated_cells_of_a_table_are_read(tmp_path: Path) -> None:
    table = 'model,a,b,c,d\nx,45.1%,0.5 ± 0.01,"1,037",20.0*\ny,50 %,**0.6**,2000,87.5 (7/8)\nz,−,-,,−3\n'
    matrix = read_scores(put(tmp_path / "s.csv", table))
    assert matrix.scores[:2].tolist() == [[45.1, 0.5, 1037, 20], [50, 0.6, 2000, 87.5]]
    assert matrix.scores[2, 3] == -3
    assert np.isnan(matrix.scores[2, :3]).all()
    assert matrix.scale["a"] == 100
    assert matrix.stderr is not None
    assert matrix.n is not None
    assert (matrix.stderr[0, 1], matrix.n[1, 3]) == (0.01, 8)
    assert matrix.notes == (
        "1 number behind a ± became the standard error of its score",
        "1 score has a mark that was left out: 20.0* (line 2, column d)",
    )
    long = put(tmp_path / "l.csv", 'model,task,score,n\nx,a,0.4%,"1,319"\ny,a,0.2%,\n')
    low = read_scores(long)
    assert low.scale == {"a": 100}
    assert low.n is not None
    assert low.n[0, 0] == 1319


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("model,a\nx,45.1%\ny,0.451\n", r"line 3, column a: '0.451' has no %, but '45.1%' on line 2 has"),
        ("model,a\nx,\"0,45\"\ny,1\n", "line 2, column a: '0,45' is not a number"),
        ("model,a\nx,0.45 ± 1.2%\ny,1\n", "is not a number"),
        ("model,a\nx,7B\ny,1\n", "'7B' is not a number"),
        ("model,task,value\nx,a,1\nx,b,2\n", "line 1: a long table has .*; rename 'value' to score"),
        ("model,benchmark,acc,n\nx,a,1,5\nx,b,2,6\n", "rename 'benchmark' to task and the column of scores to score"),
        ("model,date,a\nx,mon,1\nx,mon,2\n", "line 3: model 'x' has 2 on 'a', but 1 on line 2"),
    ],
)  # fmt: skip
def test_what_a_cell_cannot_mean_is_refused(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(ProxyError, match=message):
        read_scores(put(tmp_path / "s.csv", table))


def test_a_foreign_file_in_a_folder_is_left_out_with_a_note(tmp_path: Path) -> None:
    put(tmp_path / "a.json", lm_eval("m", {"t": {"acc,none": 0.5}}))
    put(tmp_path / "logs.json", {"x.eval": {"status": "success", "eval": {"task": "t", "model": "m"}}})
    put(tmp_path / "notes.txt", "nothing here")
    put(tmp_path / "broken.json", "{")
    put(tmp_path / "table.csv", "model,q\na,1\nb,2\n")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00")
    found = import_scores([tmp_path])
    assert found.matrix.scores.tolist() == [[0.5]]
    assert [Path(file).name for file in found.files] == ["a.json"]
    assert [Path(reason.split(":")[0].split(",")[0]).name for reason in found.skipped] == [
        "b.txt", "broken.json", "logs.json", "notes.txt", "table.csv",
    ]  # fmt: skip
    assert sum(note.startswith("left out: ") for note in found.matrix.notes) == 5
    with pytest.raises(ProxyError, match="JSON of no known form"):
        import_scores([tmp_path / "logs.json", tmp_path])
    (tmp_path / "a.json").unlink()
    (tmp_path / "table.csv").unlink()
    with pytest.raises(ProxyError, match="neither UTF-8"):
        import_scores([tmp_path])


RESULTS = {"t": {"acc": 0.5}}
ABOUT = {"model": "a", "task": "b"}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"results": RESULTS, "versions": {}, "config": "x"}, "says no model name"),
        (
            {"results": RESULTS, "versions": {}, "config": {"model_args": ["pretrained=x"]}},
            "model_args is neither",
        ),
        ({"results": RESULTS, "config": {"model_args": '{"pretrained"'}}, "model_args is broken JSON"),
        (
            {"evaluation_results": [{"metric_config": {}}], "model_info": {"id": "x"}},
            "neither an evaluation_name",
        ),
        ({"evaluation_results": "x", "model_info": {"id": "x"}}, "evaluation_results is no list"),
        ({"evaluation_results": [], "model_info": "x"}, "says no model name"),
        ({"eval": ABOUT, "results": {"scores": {"a": 1}}}, "results.scores is no list"),
        (
            {"eval": ABOUT, "results": {"scores": [{"name": "s", "metrics": [{"value": 1}]}]}},
            "'s' has no metrics",
        ),
        (
            {"status": "success", "eval": ABOUT, "results": {"scores": []}},
            "ended without scores; score it with",
        ),
        (
            {"status": "cancelled", "eval": ABOUT, "results": None},
            r"no scores \(status cancelled\); finish it",
        ),
        ('{"a":' * 100000 + "1" + "}" * 100000, "nested too deeply"),
        ('{"results": {"t": {"acc": 0.5, "acc": 0.6}}, "versions": {}}', "key 'acc' twice"),
        ('{"a": 1}\n{"a": 2}\n', "JSON lines of no known form"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON"),
        (
            {"results": {"t": {"acc": float("nan"), "em": float("inf")}}, "config": {"model": "m"}},
            "holds no scores",
        ),
    ],
)
def test_broken_files_are_refused_in_one_line(tmp_path: Path, document: Any, message: str) -> None:
    with pytest.raises(ProxyError, match=message) as refused:
        imported(tmp_path, document)
    assert "\n" not in str(refused.value)
    assert "0.json" in str(refused.value)


def test_an_old_log_of_inspect_has_one_scorer(tmp_path: Path) -> None:
    results = {"scorer": {"name": "match"}, "metrics": {"accuracy": 0.5}}
    assert imported(tmp_path, {"eval": ABOUT, "results": results}).scores.tolist() == [[0.5]]


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("_journal/start.json", "finish the run first"),
        ("word/document.xml", "an archive, but no log of Inspect"),
    ],
)
def test_archives_without_results_are_told_apart(tmp_path: Path, member: str, message: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.eval", "w") as archive:
        archive.writestr(member, "{}")
    with pytest.raises(ProxyError, match=message):
        import_scores([tmp_path / "a.eval"])


def test_two_scores_that_nothing_tells_apart_are_refused_by_their_file(tmp_path: Path) -> None:
    table = "dataset,version,metric,mode,m\nq,1,accuracy,gen,5\nq,1,accuracy,gen,6\n"
    with pytest.raises(ProxyError, match="m has 5 and 6 on q, and nothing there tells them apart"):
        import_scores([put(tmp_path / "s.csv", table)])


def test_scores_that_are_texts_are_read_as_cells_are(tmp_path: Path) -> None:
    matrix = imported(
        tmp_path,
        lm_eval("m", {"q": {"alias": "7", "acc,none": "0.4% ± 0.1%", "acc_stderr,none": "N/A"}}),
        every_eval("m", "20.0*"),
        every_eval("n", "none at all"),
    )
    assert matrix.scores.tolist() == [[0.4, 20.0]]
    assert matrix.stderr is not None
    assert matrix.stderr[0, 0] == 0.1
    assert dict(matrix.scale) == {"q": 100, "arc": 100}
    assert matrix.notes == (
        "2.json: 1 result has no number for a score and no row",
        "1 score has a mark that was left out: 20* (m on arc)",
    )


def test_half_a_character_in_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProxyError, match="half a character in its name"):
        imported(tmp_path, lm_eval("\ud800", {"q": {"acc,none": 0.5}}))
