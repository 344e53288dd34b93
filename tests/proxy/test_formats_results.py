"""Readers of whole tasks' scores: small documents in each program's shape, and real files where they are at hand."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from proxy import ProxyError, import_scores

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "format_samples"
real = pytest.mark.skipif(not DATA.is_dir(), reason="the real result files are not beside this checkout")

EVALSCOPE = {
    "name": "m@mmlu", "dataset_name": "mmlu", "model_name": "lab/m", "score": 0.6, "metrics": [
        {"name": "mean_acc", "num": 30, "score": 0.6, "macro_score": 0.65, "categories": [
            {"name": ["stem"], "num": 20, "score": 0.55, "subsets": [
                {"name": "anatomy", "score": 0.5, "num": 10}, {"name": "algebra", "score": 0.6, "num": 10}]},
            {"name": ["other"], "num": 10, "score": 0.7, "subsets": [
                {"name": "law", "score": 0.7, "num": 10},
                {"name": "ALL", "score": 0.9, "num": 30, "is_aggregate": True}]}]},
        {"name": "acc", "num": 30, "score": 0.1, "categories": []},
    ],
}  # fmt: skip
OLMES_LINE = {
    "task_name": "arc_easy", "num_instances": 1000, "model_config": {"model": "lab/m", "revision": "step10"},
    "task_config": {"task_name": "arc_easy", "primary_metric": "acc_per_char", "num_shots": 5, "split": "test",
                    "metadata": {"alias": "arc_easy:rc::olmes"}},
    "metrics": {"acc_raw": 0.5, "acc_per_char": 0.55, "predicted_index_raw": 1.2, "primary_score": 0.55},
}  # fmt: skip
OLMO_EVAL = {
    "experiment_id": "x", "timestamp": "t", "config": {"provider": {"kind": "vllm", "model": "lab/m"}}, "tasks": [
        {"task": "popqa", "num_instances": 8, "primary_metric": "accuracy:containment",
         "metrics": {"f1": {"f1": 0.44}, "accuracy": {"squad_exact_match": 0.28, "containment": 0.53}}},
        {"task": "humaneval:bpb", "num_instances": 164, "primary_metric": "bits_per_byte",
         "metrics": {"bits_per_byte": 2.0}}],
    "summary": {"suite": {"metric": "primary_score:average", "score": 0.5}}, "errors": [{"task": "gsm8k"}],
}  # fmt: skip
NEMO = """command: run
config:
  type: gpqa_diamond
results:
  groups:
    gpqa_diamond:
      metrics: {score: {scores: {micro: {value: 0.4}}}}
    all:
      metrics: {score: {scores: {macro: {value: 0.35}}}}
  tasks:
    gpqa_diamond:
      metrics:
        score:
          scores:
            micro:
              stats: {stddev: 0.4898979485566356, stderr: 0.16329931618554522}
              value: 0.4
target:
  api_endpoint:
    model_id: lab/m
"""
HELM_SPEC = {
    "name": "mmlu:subject=law,method=joint,model=lab_m", "scenario_spec": {"class_name": "x", "args": {}},
    "adapter_spec": {"method": "joint", "model": "lab/m", "model_deployment": "hf/m"},
}  # fmt: skip


def stat(name: str, mean: float | None, **place: Any) -> dict[str, Any]:
    """A statistic of HELM; None: of nothing."""
    count = {"count": 0, "sum": 0} if mean is None else {"count": 1, "sum": mean, "mean": mean}
    return {"name": {"name": name, "split": "test", **place}, **count}


HELM_STATS = [
    stat("num_instances", 5.0), stat("num_references", 4.0), stat("inference_runtime", 1.5),
    stat("training_co2_cost", None), stat("exact_match", 0.4), stat("quasi_exact_match", 0.6),
    stat("exact_match", 0.5, split="valid"), stat("num_instances", 8.0, split="valid"),
    stat("exact_match", 0.2, perturbation={"name": "robustness", "computed_on": "worst"}),
]  # fmt: skip


def put(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def cells(*paths: Path, **options: Any) -> dict[tuple[str, str], tuple[float, float]]:
    """Model and task -> score and number of items."""
    matrix = import_scores(paths, **options).matrix
    n = matrix.n
    return {
        (model, task): (float(matrix.scores[i, j]), math.nan if n is None else float(n[i, j]))
        for i, model in enumerate(matrix.models)
        for j, task in enumerate(matrix.tasks)
        if matrix.scores[i, j] == matrix.scores[i, j]
    }


def test_a_report_of_evalscope_has_its_data_set_and_the_subsets(tmp_path: Path) -> None:
    path = put(tmp_path / "mmlu.json", EVALSCOPE)
    assert cells(path) == {
        ("lab/m", "mmlu"): (0.6, 30), ("lab/m", "mmlu/anatomy"): (0.5, 10),
        ("lab/m", "mmlu/algebra"): (0.6, 10), ("lab/m", "mmlu/law"): (0.7, 10),
    }  # fmt: skip
    found = import_scores([path])
    assert found.metrics["mmlu"] == "mean_acc"  # the first of the report, not the one of the usual name
    assert any(note.startswith("mmlu: a mean of tasks that are here too") for note in found.matrix.notes)
    assert cells(path, groups="drop").keys() == cells(path).keys() - {("lab/m", "mmlu")}


def test_metrics_of_olmes_in_each_of_its_files(tmp_path: Path) -> None:
    expected = {("lab/m@step10", "arc_easy:rc::olmes"): (0.55, 1000)}
    assert cells(put(tmp_path / "task-000-arc_easy-metrics.json", OLMES_LINE)) == expected
    other = {**OLMES_LINE, "task_config": {**OLMES_LINE["task_config"], "metadata": {"alias": "b"}}}  # type: ignore[dict-item]
    assert cells(put(tmp_path / "metrics-all.jsonl", lines(OLMES_LINE, other))) == {
        **expected,
        ("lab/m@step10", "b"): (0.55, 1000),
    }
    task = {key: OLMES_LINE[key] for key in ("metrics", "num_instances", "task_config")}
    whole = {
        "all_primary_scores": ["x: 0.55"], "model_config": OLMES_LINE["model_config"],
        "tasks": [{"alias": "arc_easy:rc::olmes", **task}],
    }  # fmt: skip
    assert cells(put(tmp_path / "metrics.json", whole)) == expected
    old = {
        "all_primary_scores": ["x: 0.55"], "model_config": OLMES_LINE["model_config"], "metrics": [
            {"task": "arc_easy:rc::olmes", "acc_raw": 0.5, "primary_score": 0.55, "num_instances": 1000,
             "task_config": {"primary_metric": "acc_per_char"}}],
    }  # fmt: skip
    assert cells(put(tmp_path / "old.json", old)) == expected
    assert import_scores([tmp_path / "metrics.json"]).metrics == {"arc_easy:rc::olmes": "acc_per_char"}


def test_a_suite_of_olmes_is_the_group_of_its_tasks(tmp_path: Path) -> None:
    def line(alias: str, metric: str, score: float) -> dict[str, Any]:
        config = {"primary_metric": metric, "metadata": {"alias": alias}}
        return {"task_name": alias, "num_instances": 10, "model_config": {"model": "m"}, "task_config": config,
                "metrics": {"primary_score": score}}  # fmt: skip

    rows = [line("mmlu:mc::olmes", "macro", 0.3), line("mmlu_law:mc::olmes", "acc_raw", 0.2),
            line("mmlu_law:rc::olmes", "acc_raw", 0.4)]  # fmt: skip
    path = put(tmp_path / "metrics-all.jsonl", lines(*rows))
    assert [task for _, task in cells(path)] == ["mmlu:mc::olmes", "mmlu_law:mc::olmes", "mmlu_law:rc::olmes"]
    assert [task for _, task in cells(path, groups="drop")] == ["mmlu_law:mc::olmes", "mmlu_law:rc::olmes"]


def test_metrics_of_olmo_eval(tmp_path: Path) -> None:
    path = put(tmp_path / "metrics.json", OLMO_EVAL)
    assert cells(path) == {("lab/m", "popqa"): (0.53, 8), ("lab/m", "humaneval:bpb"): (2.0, 164)}
    found = import_scores([path])
    assert (found.formats, found.metrics["popqa"]) == (("olmo-eval",), "accuracy,containment")
    assert dict(found.matrix.direction) == {"humaneval:bpb": -1}
    assert "metrics.json: failed there: gsm8k" in found.matrix.notes
    assert "metrics.json: means over tasks were left out: suite" in found.matrix.notes


def test_results_of_nemo_evaluator_in_yaml_and_json(tmp_path: Path) -> None:
    expected = {("lab/m", "gpqa_diamond"): (0.4, 10.0), ("lab/m", "all"): (0.35, math.nan)}
    read = cells(put(tmp_path / "results.yml", NEMO))
    assert repr(read) == repr(expected)
    yaml = pytest.importorskip("yaml")
    assert repr(cells(put(tmp_path / "results.json", yaml.safe_load(NEMO)))) == repr(expected)
    assert import_scores([tmp_path / "results.yml"]).matrix.stderr is not None


def test_an_export_of_nemo_evaluator(tmp_path: Path) -> None:
    run = {"harness": "x", "scores": {"mbpp_pass@1": 0.25, "mbpp_pass@10": 0.5}}
    export = {"export_timestamp": "t", "benchmarks": {"mbpp": {"models": {"lab/m": [run]}}}}
    path = put(tmp_path / "processed_results.json", export)
    assert repr(cells(path)) == repr({("lab/m", "mbpp"): (0.25, math.nan)})
    assert import_scores([path]).metrics == {"mbpp": "pass@1"}


def test_a_run_folder_of_helm(tmp_path: Path) -> None:
    run = tmp_path / "run"
    put(run / "run_spec.json", HELM_SPEC)
    put(run / "stats.json", HELM_STATS)
    put(run / "scenario_state.json", {"adapter_spec": HELM_SPEC["adapter_spec"], "request_states": []})
    put(run / "per_instance_stats.json", [{"instance_id": "id1", "stats": HELM_STATS}])
    task = "mmlu:subject=law,method=joint"
    expected = {
        ("lab/m", f"{task}@test"): (0.4, 5.0), ("lab/m", f"{task}@valid"): (0.5, 8.0),
        ("lab/m", f"{task}@robustness-worst@test"): (0.2, 5.0),
    }  # fmt: skip
    assert cells(run) == expected
    for name in ("run_spec.json", "scenario_state.json", "stats.json"):
        assert cells(run / name) == expected
    assert import_scores([run]).metrics[f"{task}@test"] == "exact_match"
    left_out = next(note for note in import_scores([run]).matrix.notes if "were left out" in note)
    assert "3 files" in left_out
    (run / "stats.json").unlink()
    with pytest.raises(
        ProxyError, match=r"of a HELM run, without its scores; give the folder, or its stats\.json"
    ):
        import_scores([run / "run_spec.json"])


def test_statistics_of_helm_without_the_run_take_the_name_of_the_folder(tmp_path: Path) -> None:
    path = put(tmp_path / "boolq:model=lab_m,seed=1" / "stats.json", HELM_STATS[4:5])
    assert repr(cells(path)) == repr({("lab/m", "boolq:seed=1"): (0.4, math.nan)})
    nameless = put(tmp_path / "run" / "stats.json", HELM_STATS[4:5])
    with pytest.raises(ProxyError, match="says no model name; give --model NAME"):
        import_scores([nameless])
    assert repr(cells(nameless, model="m")) == repr({("m", "stats"): (0.4, math.nan)})


def test_lines_of_every_eval_ever(tmp_path: Path) -> None:
    rows = [
        {"model_info": {"id": f"lab/{name}"}, "evaluation_results": [
            {"evaluation_name": "arc", "metric_config": {}, "score_details": {"score": score}}]}
        for name, score in (("a", 0.25), ("b", 0.5))
    ]  # fmt: skip
    assert [(model, score) for (model, _), (score, _) in cells(put(tmp_path / "all.jsonl", lines(*rows))).items()] == [
        ("lab/a", 0.25), ("lab/b", 0.5)
    ]  # fmt: skip


def test_a_document_of_another_shape_is_refused_in_one_line(tmp_path: Path) -> None:
    broken: dict[str, Any] = {
        "evalscope": {**EVALSCOPE, "metrics": [1]}, "olmes": {"all_primary_scores": 1, "metrics": 3},
        "helm": [{"name": {"name": "exact_match"}, "mean": {}}], "nemo": {"results": {"tasks": {"a": {"metrics": {}}}}},
        "olmo": {"tasks": [{"task": 1, "metrics": 2}]}, "eee": {"evaluation_results": 1, "model_info": {"id": "x"}},
    }  # fmt: skip
    for name, document in broken.items():
        with pytest.raises(ProxyError) as refusal:
            import_scores([put(tmp_path / f"{name}.json", document)], model="m")
        assert str(tmp_path / name) in str(refusal.value)


@real
@pytest.mark.parametrize("name", ["evalscope_qwen-plus_gsm8k.json", "evalscope_qwen-plus_ifeval.json"])
def test_real_reports_of_evalscope(name: str) -> None:
    raw = json.loads((DATA / "evalscope" / name).read_text())
    dataset = raw["dataset_name"]
    every = {
        (raw["model_name"], f"{dataset}:{one['name']}" if len(raw["metrics"]) > 1 else dataset): (
            one["score"],
            float(one["num"]),
        )
        for one in raw["metrics"]
    }
    assert cells(DATA / "evalscope" / name, all_metrics=True) == every
    assert cells(DATA / "evalscope" / name) == {
        (raw["model_name"], dataset): (raw["score"], float(raw["num"]))
    }


@real
def test_a_real_run_of_helm() -> None:
    raw = json.loads((DATA / "helm" / "helm_stats_narrativeqa.json").read_text())
    names = ("exact_match", "quasi_exact_match", "f1_score", "rouge_l", "bleu_1", "bleu_4")
    expected = {
        (
            f"narrative_qa:{one['name']['name']}",
            one["name"]["split"],
            json.dumps(one["name"].get("perturbation")),
        ): one["mean"]
        for one in raw
        if one["name"]["name"] in names and one["count"]
    }
    read = cells(DATA / "helm" / "helm_run_spec.json", all_metrics=True)
    assert {model for model, _ in read} == {"openai/gpt2"}
    mine = sorted(
        score for (_, task), (score, _) in read.items() if task.rpartition(":")[2].split("@")[0] in names
    )
    assert mine == sorted(expected.values())
