"""`passuntil` and `exact` agree on what a text is: models of which every draw's probability is known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import normalizers

from passuntil import read_tallies
from tests.cli.conftest import Call, instance, refused, write_task
from tests.known_model import characters, llama2, write_known_model

DRAWS = 4000


def model(folder: Path, tokenizer: Any, chances: dict[str | int, float]) -> Path:
    """The probability of tokens by their names, of those that the tokenizer does not know by their ids."""
    named = {
        token if isinstance(token, int) else tokenizer.token_to_id(token): p for token, p in chances.items()
    }
    size = max(*named, *tokenizer.get_vocab().values()) + 1
    return write_known_model(folder, tokenizer, [named.get(token, 0.0) for token in range(size)])


def measured(call: Call, folder: Path, task: Path, tmp_path: Path) -> tuple[list[float], list[float]]:
    """The likelihood of each instance, and the share of its draws that pass."""
    exact = [row["probability"] for row in call("exact", folder, task, "--json").json()["instances"]]
    assert call("passuntil", folder, task, "--fixed", DRAWS, "--out", tmp_path / "t.csv").status == 0
    return exact, [row.tally.passes / DRAWS for row in read_tallies(tmp_path / "t.csv")]


def agree(shares: list[float], chances: list[float]) -> bool:
    spread = np.sqrt(np.array(chances) * (1 - np.array(chances)) / DRAWS)
    return bool((np.abs(np.array(shares) - chances) < 4 * spread).all())


def test_a_blank_in_front_of_an_answer_is_drawn(call: Call, tmp_path: Path) -> None:
    folder = model(tmp_path / "m", llama2(), {"\u2581ab": 0.4, "ab": 0.1, "</s>": 0.5})
    task = write_task(
        tmp_path / "t.jsonl",
        instance(id="blank", prompt="a:", answer=" ab", grader="exact", max_tokens=3),
        instance(id="none", prompt="a:", answer="ab", grader="exact", max_tokens=3),
        instance(id="behind a blank", prompt="a ", answer="ab", grader="exact", max_tokens=3),
    )
    exact, shares = measured(call, folder, task, tmp_path)
    assert exact == pytest.approx([0.2, 0.05, 0.05], rel=1e-4)
    assert agree(shares, exact)


@pytest.mark.parametrize("grader", ["exact", "contains", "regex", "numeric"])
def test_a_drawn_id_that_the_tokenizer_does_not_know_is_a_wrong_answer(
    call: Call, tmp_path: Path, grader: str
) -> None:
    folder = model(tmp_path / "m", characters(), {"a": 0.4, 14: 0.3, "</s>": 0.3})
    task = write_task(
        tmp_path / "t.jsonl",
        instance(prompt="b", answer="1" if grader == "numeric" else "a", grader=grader, max_tokens=8),
    )
    assert call("passuntil", folder, task, "--fixed", DRAWS, "--out", tmp_path / "t.csv").status == 0
    (row,) = read_tallies(tmp_path / "t.csv")
    # one a and the end; for what is contained any number of them
    chance = {"exact": 0.12, "numeric": 0.0}.get(grader, sum(0.4**k * 0.3 for k in range(1, 8)) + 0.4**8)
    assert agree([row.tally.passes / DRAWS], [chance]) or row.tally.passes == chance == 0


def test_an_answer_that_holds_the_end_of_sequence_is_refused(call: Call, tmp_path: Path) -> None:
    tokenizer = characters()
    tokenizer.add_special_tokens(["</s>"])
    folder = model(tmp_path / "m", tokenizer, {"a": 0.4, "</s>": 0.6})
    task = write_task(tmp_path / "t.jsonl", instance(id="q", prompt="b", answer="a</s>", grader="exact"))
    refused(
        call("exact", folder, task), "instance q", "'a</s>' holds '</s>', the end of a sequence", "remove it"
    )


def test_an_answer_that_comes_back_as_another_text_is_refused(call: Call, tmp_path: Path) -> None:
    tokenizer = characters(normalizer=normalizers.NFC())
    folder = model(tmp_path / "m", tokenizer, {"\u00e9": 0.4, "e": 0.05, "\u0301": 0.05, "</s>": 0.5})
    task = write_task(tmp_path / "t.jsonl", instance(id="q", prompt="b", answer="e\u0301", grader="exact"))
    refused(call("exact", folder, task), "instance q", r"'e\u0301' comes back from its tokens as '\xe9'")


def test_what_is_longer_than_max_tokens_is_refused_and_what_just_fits_needs_no_end(
    call: Call, tmp_path: Path
) -> None:
    folder = model(tmp_path / "m", characters(), {"a": 0.5, "b": 0.2, "</s>": 0.3})
    long = write_task(tmp_path / "l.jsonl", instance(prompt="b", answer="aba", grader="exact", max_tokens=2))
    refused(call("exact", folder, long), "takes 3 tokens and max_tokens is 2", "raise max_tokens")
    task = write_task(
        tmp_path / "t.jsonl",
        *(instance(id=f"{k}", prompt="b", answer="ab", grader="exact", max_tokens=k) for k in (2, 3)),
    )
    exact, shares = measured(call, folder, task, tmp_path)
    assert exact == pytest.approx([0.1, 0.03], rel=1e-4)
    assert agree(shares, exact)


@pytest.mark.parametrize(
    ("stop", "most", "chance"),
    [
        (["b"], 9, 0.5 * (0.2 + 0.1)),
        (["ab", "b"], 9, 0.5 * (0.1 + 0.5 * 0.2)),  # a "b" by itself takes the a with it
        (["bb", "bbe"], 9, 0.5 * (0.1 + 0.2**2)),  # "bb" ends the draw before "bbe" is spelled
        (["bb", "bb"], 9, 0.5 * (0.1 + 0.2**2)),
        (["bb"], 2, 0.5 * 0.1),  # no room to spell it
        (["\u00fc"], 9, 0.5 * 0.1),  # the tokenizer does not know it
    ],
)
def test_stop_strings_that_overlap_are_not_counted_twice(
    call: Call, tmp_path: Path, stop: list[str], most: int, chance: float
) -> None:
    chances = {"a": 0.5, "b": 0.2, "e": 0.2, "</s>": 0.1}
    folder = model(tmp_path / "m", characters(), chances)
    task = write_task(
        tmp_path / "t.jsonl", instance(prompt="e", answer="a", grader="exact", stop=stop, max_tokens=most)
    )
    exact, shares = measured(call, folder, task, tmp_path)
    assert exact == pytest.approx([chance], rel=1e-4)
    assert agree(shares, exact)


def test_what_was_scored_is_named(call: Call, tmp_path: Path) -> None:
    folder = model(tmp_path / "m", characters(), {"a": 0.5, "b": 0.2, "</s>": 0.3})
    task = write_task(
        tmp_path / "t.jsonl",
        instance(id="both", prompt="b", answer="ab", grader="exact", stop=["\n", "e "]),
        instance(id="cut", prompt="b", answer="ab", grader="exact", max_tokens=2),
    )
    both, cut = call("exact", folder, task, "--json").json()["instances"]
    assert (both["ids"], both["terminator"]) == ([1, 2], ["</s>", "\n", "e "])
    assert (cut["ids"], cut["terminator"], cut["nll_terminator"]) == ([1, 2], ["max_tokens"], 0)


@pytest.mark.parametrize("command", [("exact",), ("passuntil", "--fixed", 20)])
def test_a_prompt_that_begins_as_the_tokenizer_begins_it_is_said(
    call: Call, tmp_path: Path, command: tuple[Any, ...]
) -> None:
    folder = model(tmp_path / "m", llama2(), {"\u2581ab": 0.4, "ab": 0.1, "</s>": 0.5})
    prompts = ("<s>a:", "a:", "<s> a")
    task = write_task(
        tmp_path / "t.jsonl",
        *(instance(id=f"i{k}", prompt=p, answer=" ab", grader="exact") for k, p in enumerate(prompts)),
    )
    said = call(*command, folder, task, "--json")
    (warning,) = said.json()["warnings"]
    assert "2 of 3 begin with it already (instance i0 for one)" in warning
    assert f"warning: {warning}\n" in said.err
    clean = write_task(tmp_path / "c.jsonl", instance(prompt="a:", answer=" ab", grader="exact"))
    assert call(*command, folder, clean, "--json").json()["warnings"] == []
