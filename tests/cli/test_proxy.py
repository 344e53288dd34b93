"""`firstlight relevance`, `select`, `rank` and `import`: shapes that others rely on, and refusals in one line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Call, refused

TASKS = ("arc", "mmlu", "chance", "boolq")


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Path]:
    """Scores of twelve models on four tasks and a target; groups of small models; a truth."""
    rng = np.random.default_rng(0)
    ability = rng.normal(size=12)
    columns = [40 + 8 * ability + rng.normal(size=12), 50 + 6 * ability + 4 * rng.normal(size=12),
               25 + 0.3 * rng.normal(size=12), 60 + 3 * rng.normal(size=12), 30 + 9 * ability]  # fmt: skip

    def write(name: str, header: tuple[str, ...], rows: Any) -> Path:
        path = tmp_path / name
        lines = [",".join(("model", *header))]
        lines += [",".join([f"m{i}", *(f"{value:.4f}" for value in row)]) for i, row in enumerate(rows)]
        path.write_text("\n".join(lines) + "\n")
        return path

    scores = np.column_stack(columns)
    data = 30 + rng.normal(size=(5, 4)) * [5, 4, 1, 3]
    noise = 30 + rng.normal(size=(4, 4)) * [1, 1, 1, 3]
    # Guessing among four options, exactly: no test may take it for more.
    data[:, 2], noise[:, 2] = 25 + np.array([-0.3, -0.2, 0, 0.2, 0.3]), 25 + np.array([-0.1, 0, 0, 0.1])
    return {
        "scores": write("scores.csv", (*TASKS, "tools"), scores),
        "data": write("d.csv", TASKS, data),
        "noise": write("r.csv", TASKS, noise),
        "truth": write("truth.csv", ("score",), scores[:, 4:]),
        "folder": tmp_path,
    }


def test_relevance_has_every_metric_raw_and_two_way(call: Call, tables: dict[str, Path]) -> None:
    answer = call("relevance", tables["scores"], "--target", "tools", "--json", "--permutations", 199)
    assert (answer.status, answer.err) == (0, "")
    study = answer.json()
    assert study.keys() >= {"target", "metric", "tasks", "consistency", "flags", "notes"}
    assert {row["task"] for row in study["tasks"]} == set(TASKS)
    assert study["tasks"][0]["task"] == "arc"
    for row in study["tasks"]:
        for normalisation in ("raw", "two_way"):
            assert row[normalisation].keys() >= {
                "pearson",
                "spearman",
                "kendall",
                "p_value",
                "p_adjusted",
                "partial",
            }
        assert row["relevance"] == row["raw"][study["metric"]]
    for one in study["consistency"].values():
        assert set(one["metrics"]) == {"pearson", "spearman", "kendall"}
        assert one["metrics"]["kendall"].keys() >= {"baseline", "sampling", "baseline_se", "sampling_se"}


def test_select_gives_weights_and_a_reason_for_every_task(call: Call, tables: dict[str, Path]) -> None:
    answer = call(
        "select", tables["scores"], "--target", "tools", "--data-group", tables["data"], "--noise-group",
        tables["noise"], "--baseline", "chance=25", "--json",
    )  # fmt: skip
    assert (answer.status, answer.err) == (0, "")
    selection = answer.json()
    assert selection.keys() >= {"target", "metric", "weights", "tasks"}
    assert sum(selection["weights"].values()) == pytest.approx(1)
    assert {row["task"] for row in selection["tasks"]} == set(TASKS)
    for row in selection["tasks"]:
        assert row.keys() >= {"task", "relevance", "robustness", "phi", "kept", "why"}
        assert row["kept"] == (row["task"] in selection["weights"])
        assert row["why"]
    assert "arc" in selection["weights"]
    assert "chance" not in selection["weights"]


def test_select_works_without_groups_and_its_weights_go_into_rank(
    call: Call, tables: dict[str, Path]
) -> None:
    weights = tables["folder"] / "weights.json"
    answer = call("select", tables["scores"], "--target", "tools", "--out", weights, "--json")
    assert answer.status == 0
    assert json.loads(weights.read_text())["weights"] == answer.json()["weights"]
    assert answer.json()["tasks"][0]["robustness"] is None
    ranked = call("rank", tables["scores"], "--weights", weights, "--truth", tables["truth"], "--json")
    assert (ranked.status, ranked.err) == (0, "")
    ranking = ranked.json()
    assert len(ranking["ranking"]) == 12
    for row in ranking["ranking"]:
        assert row.keys() >= {"model", "score", "rank", "rank_low", "rank_high"}
        assert row["rank_low"] <= row["rank"] <= row["rank_high"]
    assert ranking["truth"].keys() >= {"kendall_tau", "decision_accuracy", "inversions", "p_value"}
    assert ranking["truth"]["kendall_tau"] > 0.6
    assert ranking["controls"]


def test_rank_fits_weights_for_a_target(call: Call, tables: dict[str, Path]) -> None:
    answer = call("rank", tables["scores"], "--target", "tools", "--truth", tables["truth"], "--json")
    assert (answer.status, answer.err) == (0, "")
    assert answer.json()["truth"]["decision_accuracy"] > 0.7


def test_rank_takes_loss_forecasts_and_budgets(call: Call, tables: dict[str, Path]) -> None:
    def column(name: str, header: str, values: list[object]) -> Path:
        path = tables["folder"] / name
        path.write_text(f"model,{header}\n" + "".join(f"m{i},{value}\n" for i, value in enumerate(values)))
        return path

    ability = [float(line.rsplit(",", 1)[1]) for line in tables["truth"].read_text().splitlines()[1:]]
    answer = call(
        "rank", tables["scores"], "--target", "tools", "--truth", tables["truth"], "--json",
        "--loss", column("loss.csv", "loss", [5 - one / 50 for one in ability]),
        "--forecast", column("forecast.csv", "score", [one + i % 3 for i, one in enumerate(ability)]),
        "--forecast-noise", 2, "--budget", column("budget.csv", "size", ["1B"] * 6 + ["7B"] * 6),
        "--noise-group", tables["noise"], "--data-group", tables["data"],
    )  # fmt: skip
    assert (answer.status, answer.err) == (0, "")
    ranking = answer.json()
    assert {"loss", "passuntil"} <= set(ranking["controls"])
    assert ranking["controls"]["loss"]["inversions"] == 0
    assert ranking["truth"]["pairs"] == 30
    assert ranking["weights"]["passuntil"] > 0


def test_seeds_says_what_a_pilot_knows(call: Call, tables: dict[str, Path]) -> None:
    weights = tables["folder"] / "weights.json"
    weights.write_text('{"arc": 2, "mmlu": 1}')
    arguments = ("seeds", tables["data"], "--noise-group", tables["noise"], "--weights", weights)
    advice = call(*arguments, "--json").json()["advice"]
    assert list(advice) == ["weighted mean", *TASKS]
    assert advice["arc"].keys() >= {"seeds", "accuracy", "limit", "low", "high", "sentence"}
    told = call(*arguments)
    assert told.status == 0
    assert "weighted mean: " in told.out
    refused(
        call("seeds", tables["data"], "--noise-group", tables["truth"]), "no task is scored by at least 2"
    )


def test_without_json_a_person_reads_tables(call: Call, tables: dict[str, Path]) -> None:
    target = ("--target", "tools")
    assert {"kendall", "arc", "two-way"} <= set(call("relevance", tables["scores"], *target).out.split())
    assert {"relevance", "weight", "passed"} <= set(call("select", tables["scores"], *target).out.split())
    ranked = call("rank", tables["scores"], *target, "--truth", tables["truth"])
    assert {"m0", "accuracy", "uniform", "best", "set", "(Holm)"} <= set(ranked.out.split())


def test_import_writes_scores_that_the_other_commands_read(call: Call, tables: dict[str, Path]) -> None:
    summary = tables["folder"] / "summary.csv"
    models = [f"m{i}" for i in range(6)]
    lines = ["dataset,version,metric,mode," + ",".join(models)]
    lines += [f"{task},1,accuracy,gen," + ",".join(str(10 + 3 * i + (i * j) % 4) for i in range(6))
              for j, task in enumerate(("a", "b", "c"))]  # fmt: skip
    summary.write_text("\n".join(lines) + "\n")
    out = tables["folder"] / "out.csv"
    answer = call("import", summary, "--format", "auto", "--out", out, "--json")
    assert answer.status == 0
    assert answer.json() | {"flags": []} == {
        "out": str(out), "formats": ["opencompass"], "files": 1, "models": 6, "tasks": 3, "rows": 18,
        "metrics": dict.fromkeys("abc", "accuracy"), "lower_is_better": [], "flags": [], "notes": [],
        "names": {"models": {model: model for model in models},
                  "tasks": {f"{task} | mode=gen | version=1": task for task in "abc"}}, "skipped": [],
    }  # fmt: skip
    assert out.read_text().splitlines()[0] == "model,task,score"
    assert call("relevance", out, "--target", "c", "--json", "--permutations", 19).status == 0


def test_the_target_may_come_from_the_chat_models_of_another_table(
    call: Call, tables: dict[str, Path]
) -> None:
    base, chat, pairs = (tables["folder"] / name for name in ("base.csv", "chat.csv", "pairs.csv"))
    base.write_text("model,q,r\n" + "".join(f"b{i},{i + 1},{(i * 3) % 7}\n" for i in range(6)))
    chat.write_text("model,tools\n" + "".join(f"c{i},{2 * i}\n" for i in range(6)))
    pairs.write_text("base,chat\n" + "".join(f"b{i},c{i}\n" for i in range(5)))
    answer = call("relevance", base, "--target", "tools", "--target-from", chat, "--pairs", pairs, "--json",
                  "--permutations", 19)  # fmt: skip
    study = answer.json()
    assert study["models"] == 5
    assert "b0 was joined with c0 (by the mapping)" in study["notes"]
    pairs.write_text("base,chat\nb0,c0\n")
    refused(call("relevance", base, "--target", "tools", "--target-from", chat, "--pairs", pairs),
            "only 1 model of", "b0 with c0", "--pairs")  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["a,1,2", "b,2,3", "c,3,1"], ["3 models", "at least 4"]),
        (["a,1,2", "b,2,2", "c,3,2", "d,4,2"], ["target", "2 for every model"]),
        (["a,5,2", "b,5,3", "c,5,1", "d,5,7"], ["no candidate", "the same score, 5"]),
        (["a,1,2", "b,2,", "c,3,", "d,4,5"], ["2 models have a score on the target"]),
        (["a,1,2", "a,2,2", "c,3,3", "d,4,5"], ["line 3", "'a'", "keep one"]),
        (["a,1,2", "A,2,2", "c,3,3", "d,4,5"], ["differ only in case"]),
        (["a,0.41,2", "b,52,3", "c,63,1", "d,45,7"], ["percent mixed with fractions"]),
        (["a,1,2", "b,x,3", "c,63,1", "d,45,7"], ["line 3", "not a number"]),
    ],
)
@pytest.mark.parametrize("command", ["relevance", "select"])
def test_bad_scores_are_refused_in_one_line(
    call: Call, tmp_path: Path, command: str, rows: list[str], words: list[str]
) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("\n".join(["model,q,t", *rows]) + "\n")
    refused(call(command, path, "--target", "t", "--json"), *words)


def test_a_target_with_some_gaps_says_whom_it_left_out(call: Call, tables: dict[str, Path]) -> None:
    lines = tables["scores"].read_text().splitlines()
    lines[3] = lines[3].rsplit(",", 1)[0] + ","
    tables["scores"].write_text("\n".join(lines) + "\n")
    study = call("relevance", tables["scores"], "--target", "tools", "--json", "--permutations", 19).json()
    assert (study["without_target"], study["models"]) == (["m2"], 11)


def test_groups_that_cannot_be_compared_are_refused(call: Call, tables: dict[str, Path]) -> None:
    one = tables["folder"] / "one.csv"
    one.write_text("\n".join(tables["noise"].read_text().splitlines()[:2]) + "\n")
    select = ("select", tables["scores"], "--target", "tools", "--data-group", tables["data"])
    refused(call(*select, "--noise-group", one), "noise group has 1 model", "at least 2")
    refused(call(*select), "no noise group")


def test_zero_noise_variance_is_said_and_capped(call: Call, tables: dict[str, Path]) -> None:
    still = tables["folder"] / "still.csv"
    still.write_text("model," + ",".join(TASKS) + "\na,30,30,25,60\nb,30,31,25.2,61\nc,30,33,25.1,60\n")
    selection = call(
        "select",
        tables["scores"],
        "--target",
        "tools",
        "--data-group",
        tables["data"],
        "--noise-group",
        still,
        "--json",
    ).json()
    row = next(row for row in selection["tasks"] if row["task"] == "arc")
    assert (row["robustness"], row["robustness_details"]["infinite"]) == (1000, True)
    assert "infinite" in row["why"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["relevance", "SCORES", "--target", "nothing"], ["no task 'nothing'"]),
        (["relevance", "missing.csv", "--target", "q"], ["missing.csv", "cannot be read"]),
        (["relevance", "SCORES", "--target", "tools", "--subset", "99"], ["subset must be from 3 to 11"]),
        (["select", "SCORES", "--target", "tools", "--baseline", "arc"], ["expected TASK=NUMBER"]),
        (["select", "SCORES", "--target", "tools", "--relevance-threshold", "1"], ["no candidate may weigh"]),
        (["rank", "SCORES"], ["--weights or --target"]),
        (["rank", "SCORES", "--weights", "SCORES"], ["not JSON"]),
        (
            ["rank", "SCORES", "--weights", "w.json", "--panel", "SCORES"],
            ["--panel fits weights", "leave one out"],
        ),
        (["rank", "SCORES", "--target", "tools", "--data-group", "SCORES"], ["no noise group"]),
        (["rank", "SCORES", "--target", "tools", "--budget", "SCORES"], ["--budget", "give --truth"]),
        (["import", "SCORES", "--format", "inspect", "--out", "out.csv"], ["looks like csv, not inspect"]),
    ],
)
def test_wrong_calls_are_refused_in_one_line(
    call: Call, tables: dict[str, Path], arguments: list[str], words: list[str]
) -> None:
    refused(call(*[str(tables["scores"]) if one == "SCORES" else one for one in arguments]), *words)
