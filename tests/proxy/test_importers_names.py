"""Names of imported models and tasks: what a file tells apart stays apart, and short where nothing collides."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from proxy import ProxyError, import_scores, join_scores
from proxy.scores import Names, ScoreMatrix, read_names, write_names


def put(path: Path, document: Any) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def lm_eval(model_args: str, results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"results": results, "configs": {}, "config": {"model": "hf", "model_args": model_args}, **more}


def imported(folder: Path, *documents: Any, **options: Any) -> ScoreMatrix:
    files = [put(folder / f"{place}.json", document) for place, document in enumerate(documents)]
    return import_scores(files, **options).matrix


def test_adapters_of_one_base_are_models_of_their_own(tmp_path: Path) -> None:
    matrix = imported(
        tmp_path,
        lm_eval("pretrained=lab/base", {"arc_easy": {"acc,none": 0.5}}),
        lm_eval("pretrained=lab/base,peft=/ckpt/lora-a", {"piqa": {"acc,none": 0.7}}),
        lm_eval("pretrained=lab/base,peft=/ckpt/lora-b", {"sciq": {"acc,none": 0.8}}),
    )
    assert matrix.models == ("lab/base", "lab/base+/ckpt/lora-a", "lab/base+/ckpt/lora-b")


@pytest.mark.parametrize(
    ("model_args", "name"),
    [
        ("pretrained=lab/m1,subfolder=step2000,gguf_file=q4.gguf", "lab/m1:step2000/q4.gguf"),
        ("pretrained=lab/m1,revision=step7", "lab/m1@step7"),
        ("pretrained=lab/m1,revision=main,batch_size=8,device=cuda:0", "lab/m1"),
        ("pretrained=lab/m1,load_in_4bit=True", "lab/m1@4bit"),
        ("pretrained=lab/m1,load_in_8bit=False", "lab/m1"),
        ("pretrained=lab/m1,quantization=awq,delta=lab/d", "lab/m1@awq+lab/d"),
        ('{"pretrained": "lab/m1", "peft": "lab/a"}', "lab/m1+lab/a"),
        ({"pretrained": "lab/m1", "quantization_config": {"quant_method": "gptq"}}, "lab/m1@gptq"),
    ],
)
def test_a_name_holds_what_always_makes_it_another_model(tmp_path: Path, model_args: Any, name: str) -> None:
    assert imported(tmp_path, lm_eval(model_args, {"t": {"acc,none": 0.5}})).models == (name,)


def test_the_dtype_and_other_arguments_stand_in_names_where_two_differ(tmp_path: Path) -> None:
    one = {"t": {"acc,none": 0.5}}
    alone = imported(tmp_path, lm_eval("pretrained=lab/m,dtype=float16", one))
    assert alone.models == ("lab/m",)
    differ = imported(
        tmp_path,
        lm_eval("pretrained=lab/m,dtype=float16", one),
        lm_eval("pretrained=lab/m,dtype=bfloat16", {"t": {"acc,none": 0.6}}),
        lm_eval("pretrained=lab/m", {"t": {"acc,none": 0.7}}),
    )
    assert differ.models == ("lab/m@float16", "lab/m@bfloat16", "lab/m")
    thinking = imported(
        tmp_path,
        lm_eval("pretrained=lab/m,enable_thinking=True,max_length=8", one),
        lm_eval("pretrained=lab/m,max_length=9", {"t": {"acc,none": 0.6}}),
    )
    assert thinking.models == ("lab/m@enable_thinking=True", "lab/m")


def test_shots_versions_and_modes_stand_in_names_where_two_differ(tmp_path: Path) -> None:
    five = lm_eval("pretrained=a", {"gsm8k": {"acc,none": 0.5}}, **{"n-shot": {"gsm8k": 5}})
    none = lm_eval("pretrained=b", {"gsm8k": {"acc,none": 0.1}}, **{"n-shot": {"gsm8k": 0}})
    matrix = imported(tmp_path, five, none)
    assert matrix.tasks == ("gsm8k@5-shot", "gsm8k@0-shot")
    assert matrix.notes == ("gsm8k is 2 different tasks here: gsm8k@5-shot, gsm8k@0-shot",)
    assert imported(tmp_path, five, {**five, "config": none["config"]}).tasks == ("gsm8k",)
    unknown = lm_eval("pretrained=b", {"gsm8k": {"acc,none": 0.1}})
    assert imported(tmp_path, five, unknown).tasks == ("gsm8k",)
    versions = imported(tmp_path, {**five, "versions": {"gsm8k": 2}}, {**unknown, "versions": {"gsm8k": 3.0}})
    assert versions.tasks == ("gsm8k@v2", "gsm8k@v3")
    table = "dataset,version,metric,mode,m\nARC-c,1e0de5,accuracy,gen,55.0\nARC-c,2b1755,accuracy,ppl,40.0\n"
    modes = import_scores([put(tmp_path / "s.csv", table)]).matrix
    assert (modes.tasks, modes.scores.tolist()) == (("ARC-c@gen", "ARC-c@ppl"), [[55.0, 40.0]])


def test_groups_have_the_shots_of_their_tasks(tmp_path: Path) -> None:
    def group(shots: int, score: float) -> dict[str, Any]:
        return lm_eval(
            "pretrained=a",
            {"mmlu": {"acc,none": score}, "mmlu_law": {"acc,none": score + 0.01}},
            group_subtasks={"mmlu": ["mmlu_law"], "mmlu_law": []},
            **{"n-shot": {"mmlu_law": shots}},
        )

    matrix = imported(tmp_path, group(0, 0.3), group(5, 0.4))
    assert matrix.tasks == ("mmlu@0-shot", "mmlu_law@0-shot", "mmlu@5-shot", "mmlu_law@5-shot")


def test_the_dataset_behind_a_scorers_name_is_the_task(tmp_path: Path) -> None:
    def every_eval(model: str, name: str, dataset: str, score: float) -> dict[str, Any]:
        result = {
            "evaluation_name": name,
            "source_data": {"dataset_name": dataset},
            "metric_config": {"lower_is_better": False, "metric_name": "accuracy"},
            "score_details": {"score": score},
        }
        return {"model_info": {"id": model}, "evaluation_results": [result]}

    scorers = imported(
        tmp_path, every_eval("m", "choice", "arc", 0.4), every_eval("m", "choice", "mmlu", 0.6)
    )
    assert scorers.tasks == ("arc", "mmlu")
    subjects = imported(tmp_path, every_eval("m", "Law", "mmlu", 0.4), every_eval("m", "Law", "agieval", 0.6))
    assert subjects.tasks == ("Law@mmlu", "Law@agieval")
    assert imported(tmp_path, every_eval("m", "Law", "mmlu", 0.4)).tasks == ("Law",)


def inspect(score: float, about: dict[str, Any], **scorer: Any) -> dict[str, Any]:
    one = {"name": "choice", "metrics": {"accuracy": {"value": score}}, **scorer}
    return {
        "status": "success",
        "eval": {"task": "mmlu", "model": "x/y", **about},
        "results": {"scores": [one]},
    }


def test_arguments_of_a_task_are_shown_where_they_differ(tmp_path: Path) -> None:
    matrix = imported(
        tmp_path,
        inspect(0.5, {"task_args": {"language": "EN", "cot": False}}),
        inspect(0.6, {"task_args": {"language": "EN", "cot": True}}),
    )
    assert matrix.tasks == ("mmlu@cot=False", "mmlu@cot=True")
    assert imported(tmp_path, inspect(0.5, {}), inspect(0.6, {"task_args": {"cot": True}})).tasks == (
        "mmlu", "mmlu@cot=True",
    )  # fmt: skip
    graded = imported(
        tmp_path, *(inspect(0.5, {"model_roles": {"grader": {"model": name}}}) for name in "ab")
    )
    assert graded.tasks == ("mmlu@grader=a", "mmlu@grader=b")
    effort = imported(
        tmp_path, *(inspect(0.5, {"model_generate_config": {"reasoning_effort": e}}) for e in ("low", "high"))
    )
    assert effort.models == ("x/y@reasoning_effort=low", "x/y@reasoning_effort=high")


def test_reductions_over_epochs_are_metrics_of_their_own(tmp_path: Path) -> None:
    document = inspect(0.5, {"config": {"epochs": 4}}, reducer="mean")
    document["results"]["completed_samples"] = 40
    best = {"name": "choice", "reducer": "max", "metrics": {"accuracy": {"value": 0.9}}}
    passed = {"name": "choice", "reducer": "pass_at_2", "metrics": {"accuracy": {"value": 0.7}}}
    document["results"]["scores"] += [best, passed]
    matrix = imported(tmp_path, document)
    assert matrix.scores.tolist() == [[0.5]]
    assert matrix.n is not None
    assert matrix.n.tolist() == [[10]]
    assert any("4 epochs; n counts each sample once" in note for note in matrix.notes)
    every = imported(tmp_path, document, all_metrics=True)
    assert dict(zip(every.tasks, every.scores[0], strict=True)) == {
        "mmlu:choice/accuracy": 0.5, "mmlu:choice/accuracy,max@4": 0.9, "mmlu:choice/accuracy,pass_at_2": 0.7,
    }  # fmt: skip


def test_names_are_remembered_and_may_be_edited(tmp_path: Path) -> None:
    five = put(
        tmp_path / "5.json",
        lm_eval("pretrained=a", {"gsm8k": {"acc,none": 0.5}}, **{"n-shot": {"gsm8k": 5}}),
    )
    none = put(
        tmp_path / "0.json",
        lm_eval("pretrained=a", {"gsm8k": {"acc,none": 0.1}}, **{"n-shot": {"gsm8k": 0}}),
    )
    first = import_scores([five]).names
    assert first.tasks == {"gsm8k | shots=5-shot": "gsm8k"}
    write_names(tmp_path / "names.csv", first)
    again = import_scores([none], names=read_names(tmp_path / "names.csv"))
    assert again.matrix.tasks == ("gsm8k@0-shot",)
    assert again.names.tasks == {"gsm8k | shots=5-shot": "gsm8k", "gsm8k | shots=0-shot": "gsm8k@0-shot"}
    edited = Names(again.names.models, {**again.names.tasks, "gsm8k | shots=0-shot": "sums"})
    write_names(tmp_path / "names.csv", edited)
    both = import_scores([five, none], names=read_names(tmp_path / "names.csv"))
    assert (both.matrix.tasks, both.names) == (("gsm8k", "sums"), edited)
    with open(tmp_path / "names.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["kind", "identity", "name"]
    assert ["model", "a | dtype=default | arguments=default", "a"] in rows


def test_a_name_that_is_taken_by_another_is_not_given_twice(tmp_path: Path) -> None:
    taken = Names({}, {"other": "gsm8k"})
    matrix = imported(tmp_path, lm_eval("pretrained=a", {"gsm8k": {"acc,none": 0.5}}), names=taken)
    assert matrix.tasks == ("gsm8k",)  # nothing longer is known of it
    shots = lm_eval("pretrained=a", {"gsm8k": {"acc,none": 0.5}}, **{"n-shot": {"gsm8k": 5}})
    assert imported(tmp_path, shots, names=taken).tasks == ("gsm8k | shots=5-shot",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "line 1: expected the columns kind,identity,name"),
        ("kind,identity,name\nmodel,a,\n", "line 2: expected model or task, an identity and a name"),
        ("kind,identity,name\nx,a,b\n", "line 2: expected model or task"),
        ("kind,identity,name\ntask,a,b\ntask,a,c\n", "line 3: 'a' has the names 'b' and 'c'"),
    ],
)
def test_names_of_another_form_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProxyError, match=message):
        read_names(put(tmp_path / "names.csv", text))
    with pytest.raises(ProxyError, match="cannot be read"):
        read_names(tmp_path / "none.csv")


def test_an_adapters_path_is_no_name_to_join_by() -> None:
    left = ScoreMatrix(("lab/m1+/ckpt/lora", "b"), ("x",), [[1.0], [2.0]])
    right = ScoreMatrix(("lab/m2+/ckpt/lora", "b"), ("y",), [[3.0], [4.0]])
    assert [match.left for match in join_scores(left, right, guess=True).matches] == ["b"]
