"""Readers of samples: every program's lines by hand, the passes that they are counted as, and real files."""

import gzip
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from proxy import ProxyError, import_scores
from proxy.scores.passes import Passes, count_passes

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "format_samples"
real = pytest.mark.skipif(not DATA.is_dir(), reason="the real result files are not beside this checkout")
TIME = "2026-01-21T03-44-18.458309"
DRAWN = {"gen_args_0": {"arg_0": "prompt", "arg_1": {"do_sample": True, "temperature": 0.8}}}
GREEDY = {"gen_args_0": {"arg_0": "prompt", "arg_1": {"do_sample": False, "temperature": 0.0}}}


def put(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def line(
    doc: int, *, answers: int = 1, of_filter: str = "none", drawn: bool = True, **metrics: Any
) -> dict[str, Any]:
    """A line of lm-eval's samples."""
    return {
        "doc_id": doc, "doc": {"q": "?"}, "target": "x", "arguments": DRAWN if drawn else GREEDY,
        "resps": [["a"] * answers], "filtered_resps": ["a"], "filter": of_filter, "metrics": list(metrics),
        "doc_hash": "h", **metrics,
    }  # fmt: skip


def counts(passes: Passes) -> dict[tuple[str, str, str], tuple[int, int]]:
    return {(one.model, one.task, one.instance): (one.draws, one.passes) for one in passes.counts}


def test_a_line_a_document_and_filter(tmp_path: Path) -> None:
    rows = [line(doc, of_filter=name, exact_match=value)
            for doc, values in enumerate(((1.0, 1.0), (0.0, 1.0), (0.0, 0.0)))
            for name, value in zip(("strict-match", "flexible-extract"), values, strict=True)]  # fmt: skip
    path = put(tmp_path / "lab__m" / f"samples_gsm8k_{TIME}.jsonl", lines(*rows))
    passes = count_passes([path])
    assert counts(passes) == {
        ("lab/m", "gsm8k", str(doc)): (1, passed) for doc, passed in enumerate((1, 0, 0))
    }
    assert passes.notes == (
        "gsm8k: exact_match,strict-match says what passed, not exact_match,flexible-extract",
    )
    flexible = count_passes([path], metric="exact_match,flexible-extract")
    assert [one.passes for one in flexible.counts] == [1, 1, 0]
    with pytest.raises(
        ProxyError, match="gsm8k: no metric 'acc'; there are exact_match,strict-match, exact_match,flex"
    ):
        count_passes([path], metric="acc")


def test_repeats_are_draws_where_the_metric_is_their_share(tmp_path: Path) -> None:
    rows = [
        line(0, answers=64, **{"pass@1": 3 / 64, "pass@8": 0.3}),
        line(1, answers=64, **{"pass@1": 0.0, "pass@8": 0.0}),
    ]
    path = put(tmp_path / "lab__m" / "samples_humaneval.jsonl", lines(*rows))
    passes = count_passes([path])
    assert counts(passes) == {("lab/m", "humaneval", "0"): (64, 3), ("lab/m", "humaneval", "1"): (64, 0)}
    with pytest.raises(ProxyError, match="pass@8 judges several answers together"):
        count_passes([path], metric="pass@8")


def test_a_score_of_each_repeat_is_a_draw_each(tmp_path: Path) -> None:
    rows = [
        line(0, answers=4, exact_match=[1, 0, 0, 1]),
        line(1, answers=4, exact_match=[False, False, True, False]),
    ]
    path = put(tmp_path / "lab__m" / "samples_t.jsonl", lines(*rows))
    assert counts(count_passes([path])) == {("lab/m", "t", "0"): (4, 2), ("lab/m", "t", "1"): (4, 1)}
    assert import_scores([path]).matrix.scores.tolist() == [[0.375]]


def test_a_vote_among_repeats_is_no_draw(tmp_path: Path) -> None:
    rows = [line(doc, answers=8, of_filter=name, exact_match=value) for doc in (0, 1)
            for name, value in (("maj@8", 1.0), ("score-first", float(doc)))]  # fmt: skip
    path = put(tmp_path / "lab__m" / "samples_t.jsonl", lines(*rows))
    passes = count_passes([path])
    assert (passes.metrics, [one.passes for one in passes.counts]) == (
        {"t": "exact_match,score-first"},
        [0, 1],
    )
    only = put(tmp_path / "lab__m" / "samples_u.jsonl", lines(*rows[::2]))
    with pytest.raises(
        ProxyError, match="u: no metric of passes and failures: exact_match,maj@8 judges several answers"
    ):
        count_passes([only])


def test_runs_in_several_files_add_up_and_a_copy_does_not(tmp_path: Path) -> None:
    folder = tmp_path / "lab__m"
    for run, value in enumerate((1.0, 0.0, 1.0)):
        row = {**line(0, exact_match=value), "resps": [[f"answer {run}"]]}
        path = put(folder / f"samples_t_2026-01-0{run + 1}T00-00-00.jsonl", lines(row))
    (folder / "samples_t_2026-01-09T00-00-00.jsonl").write_bytes(path.read_bytes())
    passes = count_passes([tmp_path])
    assert counts(passes) == {("lab/m", "t", "0"): (3, 2)}
    assert sum("the same file as" in note for note in passes.notes) == 1


def test_scores_between_pass_and_failure_are_refused_by_name(tmp_path: Path) -> None:
    path = put(tmp_path / "lab__m" / "samples_t.jsonl", lines(line(0, f1=1.0), line(1, f1=0.42)))
    with pytest.raises(
        ProxyError, match=r"t: no metric of passes and failures: f1 of 1 is 0\.42, neither a pass"
    ):
        count_passes([path])
    both = put(
        tmp_path / "lab__m" / "samples_u.jsonl", lines(line(0, f1=0.5, acc=1), line(1, f1=0.42, acc=0))
    )
    assert count_passes([both]).metrics == {"u": "acc"}
    with pytest.raises(
        ProxyError, match=r"u: f1 of 0 is 0\.5, neither a pass \(1\) nor a failure \(0\); there are acc"
    ):
        count_passes([both], metric="f1")


def test_greedy_answers_are_said_to_be_no_draws(tmp_path: Path) -> None:
    rows = [line(0, drawn=False, acc=1), line(1, drawn=False, acc=0), line(2, acc=0)]
    path = put(tmp_path / "lab__m" / "samples_t.jsonl", lines(*rows))
    assert any("2 of 3 lines are greedy or multiple choice" in note for note in count_passes([path]).notes)


def test_the_results_of_the_run_name_the_model_and_its_size(tmp_path: Path) -> None:
    folder = tmp_path / "whatever"
    results = {
        "results": {"t": {"acc,none": 0.5, "acc_stderr,none": 0.5}}, "configs": {}, "versions": {"t": 2},
        "config": {"model_args": "pretrained=lab/m,revision=step9", "model_num_parameters": 1234},
    }  # fmt: skip
    put(folder / f"results_{TIME}.json", results)
    path = put(folder / f"samples_t_{TIME}.jsonl", lines(line(0, acc=1), line(1, acc=0)))
    passes = count_passes([path])
    assert counts(passes) == {("lab/m@step9", "t", "0"): (1, 1), ("lab/m@step9", "t", "1"): (1, 0)}
    assert passes.n_params == {"lab/m@step9": 1234}
    folder_read = import_scores([folder])
    assert (folder_read.formats, folder_read.matrix.scores.tolist()) == (("lm-eval",), [[0.5]])
    assert counts(count_passes([folder])) == counts(passes)


def test_lines_of_the_fewest_words_need_a_name(tmp_path: Path) -> None:
    path = put(
        tmp_path / "samples.jsonl",
        lines({"doc_id": 0, "exact_match": 1.0}, {"doc_id": 1, "exact_match": 0.0}),
    )
    for read in (import_scores, count_passes):
        with pytest.raises(ProxyError, match="says no model name; give --model NAME"):
            read([path])
    assert counts(count_passes([path], model="m")) == {
        ("m", "samples", "0"): (1, 1),
        ("m", "samples", "1"): (1, 0),
    }
    matrix = import_scores([path], model="m").matrix
    assert matrix.n is not None
    assert (matrix.scores.tolist(), matrix.n.tolist()) == ([[0.5]], [[2]])
    listed = put(
        tmp_path / "old.jsonl",
        json.dumps([{"doc_id": 0, "exact_match": 1.0}, {"doc_id": 1, "exact_match": 1.0}]),
    )
    assert import_scores([listed], model="m").matrix.scores.tolist() == [[1.0]]


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = put(
        tmp_path / "lab__m" / "samples_t.jsonl", lines(line(0, acc=1), line(1, acc=1)) + '{"doc_id": \n'
    )
    with pytest.raises(ProxyError, match="line 3: not a JSON object"):
        count_passes([path])


def test_means_of_samples_have_the_items_and_the_standard_error(tmp_path: Path) -> None:
    values = [1, 0, 0, 1, 1]
    path = put(
        tmp_path / "lab__m" / "samples_t.jsonl", lines(*(line(i, acc=v) for i, v in enumerate(values)))
    )
    matrix = import_scores([path]).matrix
    assert matrix.stderr is not None
    assert matrix.scores[0, 0] == 0.6
    assert matrix.stderr[0, 0] == pytest.approx((0.6 * 0.4 / 4) ** 0.5)  # as the harness prints it


def test_epochs_of_inspect_are_draws(tmp_path: Path) -> None:
    about = {"task": "arc", "model": "lab/m", "dataset": {"samples": 2}, "config": {"epochs": 3}}
    grades = {("a", 1): "C", ("a", 2): "I", ("a", 3): "C", ("b", 1): "I", ("b", 2): "P"}
    rows = [{"id": name, "epoch": epoch, "scores": {"match": {"value": grade}, "yes": {"value": grade == "C"}}}
            for (name, epoch), grade in grades.items()]  # fmt: skip
    rows.append({"id": "b", "epoch": 3, "error": {"message": "x"}})
    log = {"version": 2, "status": "success", "eval": about, "results": {"completed_samples": 6, "scores": [
        {"name": "yes", "metrics": {"accuracy": {"value": 0.4}}}]}, "samples": rows}  # fmt: skip
    expected = {("lab/m", "arc", "a"): (3, 2), ("lab/m", "arc", "b"): (2, 0)}
    passes = count_passes([put(tmp_path / "log.json", log)])
    assert (counts(passes), passes.metrics) == (expected, {"arc": "yes"})  # a P is neither pass nor failure
    assert "log.json: 1 sample has no score" in passes.notes
    with zipfile.ZipFile(tmp_path / "log.eval", "w") as archive:
        archive.writestr("header.json", json.dumps({**log, "samples": None}))
        archive.writestr("summaries.json", json.dumps(rows))
    assert counts(count_passes([tmp_path / "log.eval"])) == expected


def test_a_log_compressed_by_zstd_is_left_to_inspect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.json", "{}")
    data = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):  # the method of compression, twice
        data[data.index(signature) + place] = 93
    path.write_bytes(data)
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    with pytest.raises(
        ProxyError, match=r"compressed by zstd, which needs Inspect; pip install 'firstlight\[inspect\]'"
    ):
        import_scores([path])


@real
def test_inspect_reads_what_it_compressed_by_zstd(tmp_path: Path) -> None:
    inspect_log = pytest.importorskip("inspect_ai.log")
    source = next((DATA / "inspect").glob("2025-02-11*.eval"))
    inspect_log.write_eval_log(inspect_log.read_eval_log(str(source)), str(tmp_path / "zstd.eval"))
    assert (
        import_scores([tmp_path / "zstd.eval"]).matrix.scores.tolist()
        == import_scores([source]).matrix.scores.tolist()
    )
    plain, packed = (count_passes([path]) for path in (source, tmp_path / "zstd.eval"))
    assert sorted(map(str, plain.counts)) == sorted(map(str, packed.counts))


def test_samples_of_every_eval_ever(tmp_path: Path) -> None:
    def row(sample: str, score: float, correct: bool | None) -> dict[str, Any]:
        return {"model_id": "lab/m", "evaluation_name": "gsm8k", "sample_id": sample, "schema_version": "0.2.1",
                "evaluation": {"score": score, "is_correct": correct}}  # fmt: skip

    rows = [row("a", 1.0, True), row("a", 0.0, False), row("b", 0.75, None)]
    path = put(tmp_path / "x_samples.jsonl", lines(*rows))
    passes = count_passes([path])
    assert (counts(passes), passes.metrics) == ({("lab/m", "gsm8k", "a"): (2, 1)}, {"gsm8k": "is_correct"})
    assert import_scores([path]).matrix.scores.tolist() == [[(0.5 + 0.75) / 2]]
    put(tmp_path / "x.json", {"model_info": {"id": "lab/m"}, "evaluation_results": [
        {"evaluation_name": "gsm8k", "score_details": {"score": 0.625}}]})  # fmt: skip
    assert import_scores([tmp_path]).formats == ("eee",)


def test_reviews_of_evalscope_new_and_old(tmp_path: Path) -> None:
    def review(index: int, group: int, acc: float) -> dict[str, Any]:
        return {"index": index, "messages": [{"role": "user"}, {"role": "assistant", "model": "lab/m"}],
                "sample_score": {"score": {"value": {"acc": acc}}, "sample_id": index, "group_id": group}}  # fmt: skip

    path = put(
        tmp_path / "reviews" / "m" / "gsm8k_main.jsonl",
        lines(review(0, 7, 1.0), review(1, 7, 0.0), review(2, 8, 1.0)),
    )
    assert counts(count_passes([path])) == {("lab/m", "gsm8k", "7"): (2, 1), ("lab/m", "gsm8k", "8"): (1, 1)}
    assert import_scores([path]).matrix.scores.tolist() == [[0.75]]
    old = [
        {"index": i, "model": "m", "choices": [{"review": {"gold": "1", "result": r}}]}
        for i, r in enumerate((True, False))
    ]
    path = put(tmp_path / "reviews" / "m" / "arc_ARC-Easy.jsonl", lines(*old))
    assert counts(count_passes([path])) == {
        ("m", "arc_ARC-Easy", "0"): (1, 1),
        ("m", "arc_ARC-Easy", "1"): (1, 0),
    }


def test_instances_of_helm(tmp_path: Path) -> None:
    def stats(instance: str, value: float, split: str = "test") -> dict[str, Any]:
        return {"instance_id": instance, "train_trial_index": 0, "stats": [
            {"name": {"name": "exact_match", "split": split}, "count": 1, "sum": value, "mean": value},
            {"name": {"name": "num_bytes", "split": split}, "count": 1, "sum": 2, "mean": 2.0}]}  # fmt: skip

    run = tmp_path / "run"
    put(run / "run_spec.json", {"name": "mmlu:subject=law,model=lab_m", "adapter_spec": {"model": "lab/m"}})
    put(run / "stats.json", [{"name": {"name": "exact_match", "split": "test"}, "count": 1, "mean": 0.5}])
    put(run / "per_instance_stats.json", [stats("id1", 1.0), stats("id2", 0.0)])
    expected = {("lab/m", "mmlu:subject=law", "id1"): (1, 1), ("lab/m", "mmlu:subject=law", "id2"): (1, 0)}
    assert counts(count_passes([run / "per_instance_stats.json"])) == expected
    assert counts(count_passes([run])) == expected
    with pytest.raises(ProxyError, match=r"stats\.json: has no scores of single instances"):
        count_passes([run / "stats.json"])


def test_predictions_of_olmes_and_olmo_eval(tmp_path: Path) -> None:
    rows = [{"doc_id": i, "native_id": f"q{i}", "metrics": {"exact_match": v, "num_tokens": 9}, "model_output": [{}]}
            for i, v in enumerate((1, 0))]  # fmt: skip
    path = put(tmp_path / "task-000-gsm8k-predictions.jsonl", lines(*rows))
    put(tmp_path / "task-000-gsm8k-metrics.json", {
        "task_name": "gsm8k", "model_config": {"model": "lab/m"}, "metrics": {"primary_score": 0.5},
        "task_config": {"primary_metric": "exact_match", "metadata": {"alias": "gsm8k::olmes"}}})  # fmt: skip
    assert counts(count_passes([path])) == {
        ("lab/m", "gsm8k::olmes", "q0"): (1, 1), ("lab/m", "gsm8k::olmes", "q1"): (1, 0)}  # fmt: skip
    metrics = {"model_name": "m", "tasks": [{"task": "gsm8k:cot", "task_hash": "00abcdef", "metrics": {}}]}
    put(tmp_path / "o" / "metrics.json", metrics)
    answers = [{"sample_metrics": {"exact_match": {"exact_match": value}}} for value in (1.0, 0.0, 0.0)]
    several = {
        "native_id": "a",
        "model_output": answers,
        "instance_metrics": {"accuracy": {"exact_match": 1 / 3}},
    }
    one = {"native_id": "b", "model_output": [{}], "instance_metrics": {"exact_match": {"exact_match": 1.0}}}
    path = put(
        tmp_path / "o" / "predictions" / "m" / "gsm8k_cot_abcdef_predictions.jsonl", lines(several, one)
    )
    assert counts(count_passes([path])) == {("m", "gsm8k:cot", "a"): (3, 1), ("m", "gsm8k:cot", "b"): (1, 1)}


def test_details_of_lighteval(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / "details" / "lab" / "m" / TIME
    folder.mkdir(parents=True)
    shapes: dict[str, list[Any]] = {
        "metric": [{"em": 1.0, "f1": 0.5}, {"em": 0.0, "f1": 0.25}],
        "__metric__": [{"em": 1.0}, {"em": 0.0}],
        "metrics": ["{'em': np.float64(1.0)}", "{'em': 0}"],
    }
    for place, (column, values) in enumerate(shapes.items()):
        path = folder / f"details_lighteval|gsm8k{place}|5_{TIME}.parquet"
        parquet.write_table(pyarrow.table({column: values, "other": [1, 2]}), path)
        task = f"gsm8k{place}"
        assert counts(count_passes([path])) == {("lab/m", task, "0"): (1, 1), ("lab/m", task, "1"): (1, 0)}
        found = import_scores([path])
        assert (found.formats, found.matrix.scores.tolist()) == (("lighteval-details",), [[0.5]])
    put(tmp_path / "results" / "lab" / "m" / f"results_{TIME}.json", {
        "config_general": {"model_name": "lab/m"}, "results": {"gsm8k0|5": {"em": 0.5}}})  # fmt: skip
    assert import_scores([tmp_path]).formats == ("lighteval",)
    parquet.write_table(pyarrow.table({"x": [1]}), tmp_path / "x.parquet")
    with pytest.raises(ProxyError, match="no details of lighteval: none of the columns metric"):
        import_scores([tmp_path / "x.parquet"])
    (tmp_path / "y.parquet").write_bytes(b"PAR1 broken")
    with pytest.raises(ProxyError, match=r"y\.parquet: a broken Parquet file"):
        import_scores([tmp_path / "y.parquet"])


@pytest.mark.parametrize(
    ("module", "name", "content", "extra"),
    [
        ("pyarrow", "x.parquet", b"PAR1", "firstlight[parquet]"),
        ("yaml", "results.yml", b"results:\n  tasks:\n", "firstlight[yaml]"),
    ],
)
def test_a_missing_extra_is_said_in_one_line(
    tmp_path: Path, module: str, name: str, content: bytes, extra: str
) -> None:
    (tmp_path / name).write_bytes(content)
    code = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from proxy import import_scores, ProxyError\n"
        f"try: import_scores([{str(tmp_path / name)!r}])\n"
        "except ProxyError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"pip install '{extra}'" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_samples_packed_or_from_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = lines(line(0, acc=1), line(1, acc=0)).encode()
    for data in (text, gzip.compress(text)):
        (tmp_path / "lab__m").mkdir(exist_ok=True)
        path = tmp_path / "lab__m" / "samples_t.jsonl"  # packed or not: the name does not say
        path.write_bytes(data)
        assert counts(count_passes([path])) == {("lab/m", "t", "0"): (1, 1), ("lab/m", "t", "1"): (1, 0)}
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert [one.passes for one in count_passes(["-"], model="m").counts] == [1, 0]
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert import_scores(["-"], model="m").matrix.scores.tolist() == [[0.5]]


@real
def test_real_samples_of_lm_eval_and_evalscope() -> None:
    for path, task, score in (
        (DATA / "lm_eval" / "samples_asdiv_head.jsonl", "asdiv_head", lambda row: row["acc"]),
        (
            DATA / "evalscope" / "review_gsm8k_head.jsonl",
            "gsm8k_head",
            lambda row: row["sample_score"]["score"]["value"]["acc"],
        ),
    ):
        raw = [json.loads(text) for text in path.read_text().splitlines()]
        passes = count_passes([path], model="m")
        assert {one.task for one in passes.counts} == {task}
        assert [one.passes for one in passes.counts] == [score(row) for row in raw]


@real
def test_real_logs_of_inspect() -> None:
    for path in sorted((DATA / "inspect").iterdir()):
        if path.suffix == ".eval":
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if name.startswith("samples/")]
                raw = [json.loads(archive.read(name)) for name in names]
        else:
            raw = json.loads(path.read_text()).get("samples") or []
        if not raw:
            continue
        passed = {str(one["id"]): int(next(iter(one["scores"].values()))["value"] == "C") for one in raw}
        assert {one.instance: one.passes for one in count_passes([path]).counts} == passed
