"""`firstlight passuntil` and `firstlight exact`: tables, summaries, and what the numbers agree with."""

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest

from passuntil import read_tallies
from tests.cli.conftest import LADDER, Call, instance, write_task

COLUMNS = "model,n_params,tokens,instance,draws,passes,stopped_at,r,floor,cap,nll"
PRODUCTS = LADDER / "tasks" / "products.jsonl"


def test_passuntil_writes_a_row_an_instance_in_the_order_of_the_file(
    call: Call, tiny: Path, task: Path, tmp_path: Path
) -> None:
    out = tmp_path / "tallies.csv"
    answer = call("passuntil", tiny, task, "--passes", 3, "--floor", 16, "--cap", 300, "--out", out)
    assert (answer.status, answer.out) == (0, "")
    assert out.read_text().splitlines()[0] == COLUMNS
    rows = read_tallies(out)
    assert [(row.model, row.instance) for row in rows] == [("tiny", "a"), ("tiny", "b")]
    for row in rows:
        assert (row.tally.r, row.tally.floor, row.tally.cap) == (3, 16, 300)
        assert row.tally.finished
        assert row.tally.draws == (max(16, row.tally.stopped_at) if row.tally.stopped_at else 300)


def test_stopped_at_is_empty_where_the_cap_came_first(call: Call, tiny: Path, tmp_path: Path) -> None:
    never = write_task(tmp_path / "never.jsonl", instance(answer="zzzzzz"))
    out = tmp_path / "tallies.csv"
    assert call("passuntil", tiny, never, "--floor", 16, "--cap", 50, "--out", out).status == 0
    (row,) = csv.DictReader(io.StringIO(out.read_text()))
    assert (row["draws"], row["passes"], row["stopped_at"], row["cap"]) == ("50", "0", "", "50")


def test_without_out_the_table_goes_to_stdout_and_the_summary_to_one_line_of_stderr(
    call: Call, tiny: Path, task: Path, tmp_path: Path
) -> None:
    printed = call("passuntil", tiny, task, "--fixed", 40)
    assert call("passuntil", tiny, task, "--fixed", 40, "--out", tmp_path / "t.csv").status == 0
    assert printed.status == 0
    assert printed.out == (tmp_path / "t.csv").read_text()
    assert len(printed.err.splitlines()) == 1
    assert printed.err.startswith("PU ")


def test_the_same_seed_draws_the_same_and_another_seed_does_not(call: Call, tiny: Path, task: Path) -> None:
    first, again, other = (
        call("passuntil", tiny, task, "--passes", 4, "--seed", seed).out for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other


def test_fixed_draws_exactly_so_many_whatever_passes(call: Call, tiny: Path, task: Path) -> None:
    found = call("passuntil", tiny, task, "--fixed", 70, "--json").json()
    assert found["rule"] == {"kind": "fixed_draws", "n": 70}
    assert (found["instances"], found["draws"], found["overshoot"]) == (2, 140, 0)


def test_the_json_summary_accounts_for_the_table(call: Call, tiny: Path, task: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.csv"
    answer = call(
        "passuntil",
        tiny,
        task,
        "--passes",
        2,
        "--floor",
        8,
        "--cap",
        400,
        "--out",
        out,
        "--json",
        "--seed",
        5,
    )
    assert (answer.status, answer.err) == (0, "")
    found = answer.json()
    tallies = [row.tally for row in read_tallies(out)]
    assert found["draws"] == sum(tally.draws for tally in tallies)
    assert found["passes"] == sum(tally.passes for tally in tallies)
    assert found["overshoot"] >= 0
    assert found["mean"] == pytest.approx(sum(tally.estimate() for tally in tallies) / 2)
    assert found["low"] <= found["mean"] <= found["high"]
    assert (found["seed"], found["rule"]["r"], found["out"]) == (5, 2, str(out))
    assert found["engine"].startswith("reference ")
    assert found["tokens"] >= found["draws"]


@pytest.mark.parametrize("fixed", [1, 20])
def test_the_json_of_a_single_instance_holds_no_nan(
    call: Call, tiny: Path, tmp_path: Path, fixed: int
) -> None:
    one = write_task(tmp_path / "one.jsonl", instance())
    found = call("passuntil", tiny, one, "--fixed", fixed, "--json").json()
    assert 0 <= found["low"] <= found["mean"] <= found["high"] <= 1


def test_temperature_and_top_p_reach_the_draws(call: Call, tiny: Path, task: Path) -> None:
    plain, cold, narrow = (
        call("passuntil", tiny, task, "--fixed", 200, *more).out
        for more in ((), ("--temperature", 0.2), ("--top-p", 0.3))
    )
    assert len({plain, cold, narrow}) == 3


def test_exact_agrees_with_brute_force_over_every_token_that_may_follow(
    call: Call, tiny: Path, tmp_path: Path
) -> None:
    """P(text) is P(text, then the end) plus the sum of P(text + token) over all other tokens."""
    tokens = json.loads((tiny / "tokenizer.json").read_text())["model"]["vocab"]
    others = [token for token in tokens if token != "<eos>"]
    assert len(others) == 63
    for start in ("q", "zz"):
        file = write_task(
            tmp_path / "all.jsonl",
            *(instance(id=f"then {token}", answer=start + token, grader="exact") for token in ["", *others]),
        )
        itself, *longer = call("exact", tiny, file, "--json").json()["instances"]
        assert itself["probability"] == math.exp(-itself["nll_answer"] - itself["nll_terminator"])
        total = itself["probability"] + sum(math.exp(-row["nll_answer"]) for row in longer)
        assert total == pytest.approx(math.exp(-itself["nll_answer"]), rel=1e-5)


def test_exact_agrees_with_the_frequency_of_drawn_passes(call: Call, tiny: Path, tmp_path: Path) -> None:
    file = write_task(
        tmp_path / "exact.jsonl",
        *(instance(id=f"i{k}", answer="abcd"[k], grader="exact", stop=["\n"]) for k in range(4)),
    )
    exact = {
        row["instance"]: row["probability"] for row in call("exact", tiny, file, "--json").json()["instances"]
    }
    call("passuntil", tiny, file, "--fixed", 20_000, "--out", tmp_path / "t.csv")
    squares = [
        (row.tally.passes - 20_000 * exact[row.instance]) ** 2 / (20_000 * exact[row.instance])
        for row in read_tallies(tmp_path / "t.csv")
    ]
    assert sum(squares) < 23.5  # the 0.9999 quantile of chi squared with 4 degrees of freedom


def test_exact_agrees_with_the_scores_of_the_ladder(call: Call, tmp_path: Path) -> None:
    with (LADDER / "scores" / "instances.csv").open(newline="") as file:
        known = {
            (row["model"], row["instance"]): (float(row["logprob_answer"]), float(row["logprob"]))
            for row in csv.DictReader(file)
        }
    for model in ("ladder-24k", "ladder-425k", "ladder-1.8m"):
        out = tmp_path / f"{model}.csv"
        assert call("exact", LADDER / "models" / model, PRODUCTS, "--out", out).status == 0
        rows = list(csv.DictReader(io.StringIO(out.read_text())))
        assert len(rows) == 48
        found = np.array([[-float(row["nll_answer"]), -float(row["nll"])] for row in rows])
        expected = np.array([known[model, row["instance"]] for row in rows])
        assert np.abs(found - expected).max() < 1e-4
        answers = [json.loads(line)["answer"] for line in PRODUCTS.read_text().splitlines()]
        assert [int(row["tokens"]) for row in rows] == [len(text) for text in answers]


def test_exact_prints_a_table_of_these_columns(call: Call, tiny: Path, tmp_path: Path) -> None:
    file = write_task(tmp_path / "exact.jsonl", instance(grader="exact", answer="ab"))
    answer = call("exact", tiny, file)
    assert (answer.status, answer.err) == (0, "")
    head, row = answer.out.splitlines()
    assert head == "model,n_params,instance,nll_answer,nll_terminator,nll,probability,tokens,ids,terminator"
    assert row.startswith("tiny,")
    assert "\r" not in answer.out
