"""Bad input to the commands that need no site: one clear line that names the value and the remedy."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Call, instance, refused, write_task
from tests.tiny_model import write_tiny_llama

COLUMNS = "model,n_params,instance,draws,passes"
Make = Callable[[Path], object]


def copy(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to))


def test_a_folder_that_is_not_there_is_named(call: Call, tmp_path: Path, task: Path) -> None:
    refused(call("passuntil", tmp_path / "nowhere", task), str(tmp_path / "nowhere"), "no such folder")


def test_a_file_in_place_of_the_folder_is_told_what_is_expected(call: Call, task: Path) -> None:
    refused(call("passuntil", task, task), str(task), "expected the folder that holds config.json")


def test_a_folder_without_config_json_is_no_checkpoint(call: Call, tmp_path: Path, task: Path) -> None:
    refused(call("exact", tmp_path, task), "reference answer")  # the task is read first: it costs less
    refused(call("passuntil", tmp_path, task), str(tmp_path), "no config.json", "register the folder")


def test_a_folder_without_a_tokenizer_is_told_to_save_one(
    call: Call, tiny: Path, tmp_path: Path, task: Path
) -> None:
    (copy(tiny, tmp_path / "mute") / "tokenizer.json").unlink()
    refused(call("passuntil", tmp_path / "mute", task), "no tokenizer.json", "save the tokenizer")


def test_tensors_that_do_not_fit_the_config_are_named(call: Call, tmp_path: Path, task: Path) -> None:
    wide = write_tiny_llama(tmp_path / "wide", d=32, layers=1, heads=1, config={"hidden_size": 64})
    refused(call("passuntil", wide, task), "model.embed_tokens.weight", "[64, 64]", "[64, 32]")
    deep = write_tiny_llama(tmp_path / "deep", d=32, layers=1, heads=1, config={"num_hidden_layers": 2})
    refused(call("passuntil", deep, task), "model.layers.1.", "is missing, though config.json promises it")


def test_a_truncated_file_of_weights_is_told_apart_by_its_length(
    call: Call, tiny: Path, tmp_path: Path, task: Path
) -> None:
    file = copy(tiny, tmp_path / "cut") / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    refused(
        call("passuntil", tmp_path / "cut", task), f"{len(whole):,}", f"{len(whole) - 100:,}", "copy it again"
    )
    file.write_bytes(whole[:5])
    refused(call("passuntil", tmp_path / "cut", task), "truncated", "found 5", "copy it again")


def test_damaged_weights_are_refused_and_never_counted_as_failures(
    call: Call, tmp_path: Path, task: Path
) -> None:
    damaged = write_tiny_llama(tmp_path / "nan", d=32, layers=1, heads=1, scale=float("nan"))
    out = tmp_path / "t.csv"
    refused(call("passuntil", damaged, task, "--out", out), "not finite", "weights are damaged")
    assert not out.exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"id": "b", "prompt": ', ("line 2", "is not JSON", "column")),
        ('{"id": "b", "prompt": "x", "answer": NaN, "grader": "exact"}', ("line 2", "NaN")),
        ("[1]", ("line 2", "expected a JSON object")),
        (
            json.dumps(instance(id="b", grader="vibes")),
            ("line 2", "'vibes'", "known: exact, contains, regex"),
        ),
        (json.dumps(instance()), ("line 2", "'a'", "already stands on line 1", "unique")),
        (json.dumps(instance(id="b", prompt="")), ("line 2", "prompt is empty")),
        (json.dumps(instance(id="b", max_tokens=0)), ("line 2", "max_tokens is 0", "of 1 to")),
        (json.dumps(instance(id="b", grader="regex", answer="(")), ("line 2", "'('", "not a valid pattern")),
    ],
    ids=[
        "broken JSON",
        "NaN",
        "no object",
        "unknown grader",
        "id twice",
        "empty prompt",
        "no tokens",
        "pattern",
    ],
)
def test_a_bad_line_of_the_task_file_is_named_by_its_number(
    call: Call, tiny: Path, tmp_path: Path, line: str, words: tuple[str, ...]
) -> None:
    file = write_task(tmp_path / "bad.jsonl", instance(), line)
    out = tmp_path / "t.csv"
    refused(call("passuntil", tiny, file, "--out", out), str(file), *words)
    assert not out.exists()


def test_a_task_file_that_is_absent_empty_or_a_folder_is_refused(
    call: Call, tiny: Path, tmp_path: Path
) -> None:
    refused(call("passuntil", tiny, tmp_path / "none.jsonl"), "none.jsonl", "cannot be read")
    refused(call("passuntil", tiny, tmp_path), str(tmp_path), "cannot be read")
    refused(
        call("passuntil", tiny, write_task(tmp_path / "e.jsonl", "")),
        "no instances",
        "one JSON object a line",
    )


def test_a_prompt_longer_than_the_context_names_the_instance_and_both_lengths(
    call: Call, tiny: Path, tmp_path: Path
) -> None:
    file = write_task(tmp_path / "long.jsonl", instance(), instance(id="long one", prompt="a" * 300))
    refused(
        call("passuntil", tiny, file), "'long one'", "300", "256", "shorten the prompt or lower max_tokens"
    )
    file = write_task(tmp_path / "long.jsonl", instance(id="long one", prompt="a" * 300, grader="exact"))
    refused(call("exact", tiny, file), "long one", "300", "256", "shorten the prompt")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"grader": "contains"}, ("instance q7", "no reference answer in exact grading")),
        ({"answer": ""}, ("instance q7", "no reference answer")),
        ({"answer": "é"}, ("instance q7", "'é'", "does not know")),
        ({"answer": "a\nb", "stop": ["\n"]}, ("instance q7", "holds a stop string")),
    ],
    ids=["another grader", "empty answer", "unknown character", "stop string"],
)
def test_exact_names_the_instance_that_has_no_likelihood(
    call: Call, tiny: Path, tmp_path: Path, changes: dict[str, object], words: tuple[str, ...]
) -> None:
    file = write_task(
        tmp_path / "t.jsonl", instance(grader="exact"), instance(**{"id": "q7", "grader": "exact", **changes})
    )
    refused(call("exact", tiny, file, "--out", tmp_path / "exact.csv"), *words)
    assert not (tmp_path / "exact.csv").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--floor", 100, "--cap", 50), ("cap (50)", "floor (100)", "raise the cap or lower the floor")),
        (("--passes", 1), ("not 1", "take r >= 2")),
        (("--passes", 9, "--floor", 0, "--cap", 8), ("cap (8)", "raise the cap")),
        (("--floor", -5), ("-5", "at least 0")),
        (("--fixed", 0), ("not 0", "at least 1")),
        (("--seed", -1), ("not -1", "from 0 to")),
        (("--seed", 2**63), (str(2**63), "from 0 to")),
        (("--temperature", 0), ("temperature", "not 0.0", "(0, 10]")),
        (("--temperature", -1), ("temperature", "not -1.0", "(0, 10]")),
        (("--temperature", "nan"), ("temperature", "not nan", "(0, 10]")),
        (("--temperature", "inf"), ("temperature", "not inf", "(0, 10]")),
        (("--top-p", 0), ("top-p", "not 0.0", "(0, 1]")),
        (("--top-p", 1.5), ("top-p", "not 1.5", "(0, 1]")),
        (("--top-p", "nan"), ("top-p", "not nan", "(0, 1]")),
        (("--engine", "warp"), ("'warp'", "reference")),
    ],
    ids=str,
)
def test_an_option_out_of_range_is_named_with_its_range(
    call: Call, tiny: Path, task: Path, options: tuple[object, ...], words: tuple[str, ...]
) -> None:
    refused(call("passuntil", tiny, task, *options), *words)


@pytest.mark.parametrize("command", ["passuntil", "exact"])
def test_an_out_that_cannot_be_written_is_found_before_the_drawing(
    call: Call, tiny: Path, tmp_path: Path, command: str
) -> None:
    file = write_task(tmp_path / "t.jsonl", instance(grader="exact"))
    absent = tmp_path / "not there" / "t.csv"
    refused(call(command, tiny, file, "--out", absent), str(absent), "name a file in a folder that exists")
    refused(call(command, tiny, file, "--out", tmp_path), str(tmp_path), "name a file")
    # with neither model nor task to be read, the complaint is still about the table
    refused(call(command, "nowhere", "nothing", "--out", absent), str(absent))


def test_a_table_that_is_there_already_outlives_a_refused_call(
    call: Call, task: Path, tmp_path: Path
) -> None:
    out = tmp_path / "t.csv"
    out.write_text("precious")
    refused(call("passuntil", tmp_path / "nowhere", task, "--out", out), "no such folder")
    assert out.read_text() == "precious"


def tallies(file: Path, *sizes: int, passes: int = 10, draws: int = 100) -> Path:
    rows = [
        f"m{size},{size},i{k},{draws},{min(draws, passes * (n + 1))}"
        for n, size in enumerate(sizes)
        for k in range(3)
    ]
    file.write_text("\n".join([COLUMNS, *rows]) + "\n")
    return file


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--target", 4000), ("target 4,000", "largest fitted size, 4,000", "give a larger target")),
        (("--target", 1500), ("target 1,500", "give a larger target")),
        (("--target", -5), ("-5", "above 0")),
        (("--target", "nan"), ("nan", "finite")),
        (("--target", 8000, "--level", 2), ("not 2", "between 0 and 1")),
        (("--hold-out", "m9"), ("m9", "the models are m1000, m2000, m4000")),
        (("--hold-out", "m4000", "--target", 8000), ("2 sizes are left", "hold out fewer models")),
    ],
    ids=str,
)
def test_a_forecast_that_cannot_be_is_refused_with_the_way_out(
    call: Call, tmp_path: Path, options: tuple[object, ...], words: tuple[str, ...]
) -> None:
    file = tallies(tmp_path / "t.csv", 1000, 2000, 4000)
    refused(call("forecast", file, *options, "--json"), *words)


def test_fewer_than_three_sizes_are_no_series(call: Call, tmp_path: Path) -> None:
    file = tallies(tmp_path / "t.csv", 1000, 2000)
    refused(call("forecast", file, "--target", 4000), "2 sizes", "at least 3", "measure more sizes")


def test_a_series_that_never_passed_has_nothing_to_fit(call: Call, tmp_path: Path) -> None:
    file = tallies(tmp_path / "t.csv", 1000, 2000, 4000, passes=0)
    refused(call("forecast", file, "--target", 8000), "no model passed any draw", "draw more")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{COLUMNS}\nm,1000,i,100,101\n", ("line 2", "column passes", "passes (101) exceed draws (100)")),
        (f"{COLUMNS}\nm,1000,i,ten,1\n", ("line 2", "column draws", "'ten'", "whole number")),
        (f"{COLUMNS}\nm,big,i,10,1\n", ("line 2", "column n_params", "'big'")),
        (f"{COLUMNS}\nm,1000,i,10,1\nm,1000,i,10,1\n", ("line 3", "appears twice", "keep one")),
        ("model,instance,draws,passes\nm,i,10,1\n", ("no column n_params", "the header needs")),
        ("", ("no rows", "expected a header")),
    ],
    ids=["passes above draws", "words for numbers", "no size", "a row twice", "a column missing", "empty"],
)
def test_a_bad_table_is_named_by_file_line_and_column(
    call: Call, tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    file = tmp_path / "t.csv"
    file.write_text(text)
    refused(call("forecast", file, "--target", 10_000), str(file), *words)


def test_a_table_that_cannot_be_read_is_refused(call: Call, tmp_path: Path) -> None:
    refused(call("forecast", tmp_path / "none.csv", "--target", 1), "none.csv", "cannot be read")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    refused(call("forecast", tmp_path / "b.csv", "--target", 1), "b.csv", "save it as UTF-8")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "COMMAND"),
        (("frobnicate",), "'frobnicate'"),
        (("passuntil",), "MODEL_DIR"),
        (("passuntil", "a", "b", "--passes", "many"), "'many'"),
        (("passuntil", "a", "b", "--wat"), "--wat"),
        (("exact", "a"), "TASK.jsonl"),
        (("forecast", "t.csv", "--target", "big"), "'big'"),
        (("up", "--port", "http"), "'http'"),
        (("register", "folder"), "--series"),
        (("run", "--series", "s"), "--checkpoint"),
    ],
    ids=str,
)
def test_a_wrong_call_exits_2_with_one_line_that_points_to_the_help(
    call: Call, arguments: tuple[str, ...], word: str
) -> None:
    answer = call(*arguments)
    refused(answer, word, "--help", status=2)
    assert answer.out == ""


def test_a_process_of_its_own_prints_the_line_and_nothing_else(
    program: Call, tiny: Path, tmp_path: Path
) -> None:
    """Warnings of libraries and tracebacks would show here and not in a call within the tests' process."""
    file = write_task(tmp_path / "long.jsonl", instance(prompt="a" * 300))
    answer = program("passuntil", tiny, file)
    refused(answer, "shorten the prompt")
    assert answer.out == ""
