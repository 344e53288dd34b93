"""No traceback from any command, whatever it is given: a table of commands, their inputs and kinds of bad input.

Each call ends well, or is refused in exactly one line that starts with the command. Refusals of single cases, with
the words that they must say, stand in test_bad_input.py; here the kinds are crossed with every place they can come to.
"""

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import ROOT, Answer, Call, instance, write_task
from tests.tiny_model import write_tiny_llama
from workers.cli.main import COMMANDS, build_parser, main

DEEP = "[" * 100_000 + "]" * 100_000
#: Contents of a file, or what else may stand in its place.
BAD_FILES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(missing_ok=True),
    "directory": lambda path: (path.unlink(missing_ok=True), path.mkdir()),
    "empty": lambda path: path.write_bytes(b""),
    "blank lines": lambda path: path.write_bytes(b"\n\n\n"),
    "undecodable": lambda path: path.write_bytes(b"model,a\n\xff\xfe,1\n"),
    "UTF-16": lambda path: path.write_bytes("model,a\nm,1\n".encode("utf-16")),
    "NUL": lambda path: path.write_bytes(b"model,a\0\nm\0,1\n\0\0"),
    "torn gzip": lambda path: path.write_bytes(gzip.compress(b"model,a\nm,1\n" * 50)[:30]),
    "garbled gzip": lambda path: path.write_bytes(b"\x1f\x8b" + b"\x07" * 40),
    "deep JSON": lambda path: path.write_text(DEEP),
    "deep objects": lambda path: path.write_text('{"a":' * 50_000 + "1" + "}" * 50_000),
    "torn JSON": lambda path: path.write_text('{"model": "m", "results": {"a": '),
    "JSON number": lambda path: path.write_text("17"),
    "JSON null": lambda path: path.write_text("null"),
    "JSON list of lists": lambda path: path.write_text("[[1, [2]], [3]]"),
    "JSON of odd types": lambda path: path.write_text(
        '{"results": [1], "config": 3, "weights": {"a": [1], "b": null}, "version": {}, "eval": "x"}'
    ),
    "endless integer": lambda path: path.write_text('{"a": ' + "9" * 5000 + "}"),
    "NaN in JSON": lambda path: path.write_text('{"a": NaN, "b": 1e999, "t1": Infinity}'),
    "one column": lambda path: path.write_text("model\nm\n"),
    "header only": lambda path: path.write_text("model,n_params,instance,draws,passes,task,score,t0,t1\n"),
    "odd quotes": lambda path: path.write_text('model,t0\n"m,1\n'),
    "short rows": lambda path: path.write_text("model,t0,t1\nm\nn,1,2,3,4\n"),
    "numbers that are none": lambda path: path.write_text(
        "model,n_params,instance,draws,passes,t0,t1\na,nan,q,1e400,-1,inf,1e400\nb,-7B,q,9,1,nan,nan\n"
    ),
    "endless cell": lambda path: path.write_text("model,t0\nm," + "9" * 200_000 + "\n"),
    "long integers": lambda path: path.write_text(
        f"model,n_params,instance,draws,passes,t0\na,{'9' * 30},q,{'9' * 30},{'9' * 18},{'9' * 400}\n"
    ),
}
#: Values of an option.
BAD_VALUES = (
    "nan",
    "inf",
    "-inf",
    "1e400",
    "-1",
    "0",
    "0.5",
    "9" * 18,
    "9" * 400,
    "9" * 5000,
    "x",
    "",
    "1,5M",
    "٣",
    DEEP,
)
#: The commands that would start servers or write to a database: they are asked only what their parsers refuse.
OF_THE_SITE = ("up", "demo", "worker", "register", "run", "wait", "export", "user", "team", "token")


def sound(name: str, folder: Path) -> list[str]:
    """A call of the command that ends well, with files of its own in the folder."""
    return {
        "passuntil": ["model", "task.jsonl", "--fixed", "2", "--out", "o.csv"],
        "exact": ["model", "task.jsonl", "--out", "o.csv"],
        "forecast": [
            "tallies.csv", "--target", "8e9", "--losses", "losses.csv", "--beside", "beside.csv", "--task", "a",
        ],
        "relevance": [
            "scores.csv", "--target", "t0", "--target-from", "truths.csv", "--pairs", "pairs.csv", "--rounds", "9",
            "--permutations", "9",
        ],
        "select": [
            "scores.csv", "--target", "t0", "--data-group", "group.csv", "--noise-group", "noise.csv",
            "--rounds", "9", "--relevance-threshold", "-1", "--robustness-threshold", "0", "--out", "o.json",
        ],
        "rank": [
            "scores.csv", "--weights", "weights.json", "--truth", "truth.csv", "--budget", "budget.csv",
            "--noise-group", "noise.csv", "--loss", "loss.csv", "--forecast", "truth.csv", "--forecast-noise", "1",
        ],
        "seeds": ["scores.csv", "--noise-group", "noise.csv", "--weights", "weights.json"],
        "import": ["results.json", "--names", "names.csv", "--out", "o.csv"],
        "tallies": ["samples.jsonl", "--model", "m", "--n-params", "7B", "--out", "o.csv"],
        "doctor": [],
    }[name]  # fmt: skip


def write_files(folder: Path) -> None:
    """Everything that a sound call reads."""
    write_tiny_llama(folder / "model", d=32, layers=1, heads=1, seed=1)
    write_task(folder / "task.jsonl", instance(grader="exact", answer="a"))
    rows = [
        f"{task},m{n},{n}e9,i{k},100,{10 * (n + 1) + k}" for task in "ab" for n in (1, 2, 3) for k in range(3)
    ]
    header = "task,model,n_params,instance,draws,passes"
    write(folder / "tallies.csv", header, *rows[:9])
    write(folder / "beside.csv", header, *rows[9:])
    write(folder / "losses.csv", "model,n_params,loss", *(f"m{n},{n}B,{4 - n / 2}" for n in (1, 2, 3)))
    tasks = [f"t{j}" for j in range(4)]
    table = [
        [f"m{i}", *(f"{0.2 + 0.05 * i + 0.01 * ((7 * i + 3 * j) % 5):.3f}" for j in range(4))]
        for i in range(8)
    ]
    for name in ("scores", "group", "noise"):
        write(folder / f"{name}.csv", ",".join(["model", *tasks]), *(",".join(row) for row in table))
    write(folder / "truths.csv", "model,t0", *(f"n{i},{0.1 * i:.2f}" for i in range(8)))
    write(folder / "pairs.csv", "a,b", *(f"m{i},n{i}" for i in range(8)))
    write(folder / "truth.csv", "model,score", *(f"m{i},{0.1 * i:.2f}" for i in range(8)))
    write(folder / "loss.csv", "model,loss", *(f"m{i},{3 - 0.1 * i:.2f}" for i in range(8)))
    write(folder / "budget.csv", "model,label", *(f"m{i},7B" for i in range(8)))
    (folder / "weights.json").write_text(json.dumps({"t1": 1.0, "t2": 0.5}))
    results = {
        "results": {"arc": {"acc,none": 0.5}},
        "config": {"model_args": "pretrained=lab/m"},
        "versions": {"arc": 1},
    }
    (folder / "results.json").write_text(json.dumps(results))
    write(folder / "names.csv", "kind,identity,name")
    sample = {"doc_id": 0, "doc": {}, "target": "a", "filter": "none", "metrics": ["acc"], "acc": 1.0}
    write(folder / "samples.jsonl", json.dumps(sample))


def write(path: Path, *lines: str) -> None:
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    write_files(folder)
    return folder


@pytest.fixture
def here(pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that a sound call reads, and the call's own place."""
    folder = Path(shutil.copytree(pristine, tmp_path / "here"))
    monkeypatch.chdir(folder)
    monkeypatch.delenv("FIRSTLIGHT_TRACEBACK", raising=False)
    return folder


def clean(answer: Answer, *statuses: int) -> None:
    """Assert that a call ended well or was refused in one line, and not for a fault of ours."""
    assert answer.status in (statuses or (0, 1, 2)), answer
    if answer.status:
        lines = answer.err.splitlines()
        assert len(lines) == 1, answer.err[:2000]
        assert lines[0].startswith("firstlight"), lines
        assert "a fault of Firstlight" not in answer.err, answer.err[:2000]
        assert answer.err.isprintable() or answer.err.rstrip("\n").isprintable(), ascii(answer.err[:300])


def actions(name: str) -> list[argparse.Action]:
    """The arguments of a command."""
    (commands,) = (a for a in build_parser(name)._actions if isinstance(a, argparse._SubParsersAction))
    return list(commands.choices[name]._actions)


FILE_PLACES = [
    (name, place)
    for name in (
        "passuntil",
        "exact",
        "forecast",
        "relevance",
        "select",
        "rank",
        "seeds",
        "import",
        "tallies",
    )
    for place in sound(name, Path())
    if "." in place and place.rpartition(".")[2] in ("csv", "json", "jsonl") and not place.startswith("o.")
]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in (*OF_THE_SITE, "doctor")])
def test_the_sound_calls_end_well(call: Call, here: Path, name: str) -> None:
    answer = call(name, *sound(name, here))
    assert answer.status == 0, answer


@pytest.mark.parametrize("kind", BAD_FILES)
@pytest.mark.parametrize(("name", "place"), FILE_PLACES)
def test_a_bad_file_is_refused_in_one_line(call: Call, here: Path, name: str, place: str, kind: str) -> None:
    BAD_FILES[kind](here / place)
    clean(call(name, *sound(name, here)))


@pytest.mark.parametrize("kind", BAD_FILES)
@pytest.mark.parametrize(
    "place", ["config.json", "tokenizer.json", "model.safetensors", "generation_config.json"]
)
@pytest.mark.parametrize("name", ["passuntil", "exact"])
def test_a_bad_file_of_a_checkpoint_is_refused_in_one_line(
    call: Call, here: Path, name: str, place: str, kind: str
) -> None:
    BAD_FILES[kind](here / "model" / place)
    clean(call(name, *sound(name, here)))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads and writes everything")
@pytest.mark.parametrize(("name", "place"), FILE_PLACES)
def test_an_unreadable_file_is_refused_in_one_line(call: Call, here: Path, name: str, place: str) -> None:
    (here / place).chmod(0)
    clean(call(name, *sound(name, here)), 1)


@pytest.mark.parametrize("place", ["", ".", "no/such/folder/o.csv", "/dev/full", "/proc/o.csv", "x" * 300])
@pytest.mark.parametrize("name", ["passuntil", "exact", "select", "import", "tallies"])
def test_an_output_that_cannot_be_written_is_refused_in_one_line(
    call: Call, here: Path, name: str, place: str
) -> None:
    words = sound(name, here)
    words[words.index("--out") + 1] = place
    clean(call(name, *words), 1)


def _options() -> list[tuple[str, str]]:
    return [
        (name, action.option_strings[-1])
        for name in COMMANDS
        if name not in OF_THE_SITE
        for action in actions(name)
        if action.option_strings and action.nargs is None and action.dest not in ("out", "help")
    ]


@pytest.mark.parametrize("value", BAD_VALUES, ids=lambda value: value[:8])
@pytest.mark.parametrize(("name", "option"), _options())
def test_a_bad_value_of_an_option_is_refused_in_one_line(
    call: Call, here: Path, name: str, option: str, value: str
) -> None:
    clean(call(name, *sound(name, here), f"{option}={value}"))


@pytest.mark.parametrize("value", ["nan", "1e400", "x", "", "0.5", "9" * 5000], ids=lambda value: value[:8])
@pytest.mark.parametrize(
    ("name", "option"),
    [
        (name, action.option_strings[-1])
        for name in OF_THE_SITE
        for action in actions(name)
        if action.option_strings and action.type is int
    ],
)
def test_a_bad_number_of_a_command_of_the_site_is_refused_in_one_line(
    call: Call, here: Path, name: str, option: str, value: str
) -> None:
    clean(call(name, f"{option}={value}"), 2)


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_option_is_refused_in_one_line(call: Call, here: Path, name: str) -> None:
    clean(call(name, *(sound(name, here) if name not in OF_THE_SITE else ()), "--no-such-option"), 2)


@pytest.mark.parametrize(
    "value",
    ["foo=1", "rows=true", "rows=x", "rows=1e400", "rows=", "=", "rows", f"rows={DEEP}"],
    ids=lambda v: v[:9],
)
@pytest.mark.parametrize("name", ["passuntil", "exact"])
def test_a_bad_option_of_an_engine_is_refused_in_one_line(
    call: Call, here: Path, name: str, value: str
) -> None:
    clean(call(name, *sound(name, here), "--option", value), 1)


@pytest.mark.parametrize("engine", ["torch", "vllm", "openai", "warp", ""])
def test_an_engine_that_is_not_there_is_refused_in_one_line(call: Call, here: Path, engine: str) -> None:
    clean(call("exact", *sound("exact", here), "--engine", engine))


def test_ctrl_c_ends_a_command_without_a_word(
    call: Call, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("workers.cli.forecast.read_tallies", interrupted)
    answer = call("forecast", *sound("forecast", here))
    assert (answer.status, answer.out, answer.err) == (130, "", "")


def test_a_fault_of_ours_is_one_line_too_and_shows_its_place_where_it_is_asked_for(
    call: Call, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("one\nand another")

    monkeypatch.setattr("workers.cli.forecast.read_tallies", faulty)
    answer = call("forecast", *sound("forecast", here))
    assert answer.status == 1
    assert answer.err.startswith(
        "firstlight forecast: a fault of Firstlight, not of the input: ZeroDivisionError: one and"
    )
    monkeypatch.setenv("FIRSTLIGHT_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        main(["forecast", *sound("forecast", here)])


@pytest.mark.parametrize(
    ("shell", "status", "lines"),
    [
        ("{firstlight} relevance scores.csv --target t0 --rounds 9 --permutations 9 | true", 0, 0),
        ("{firstlight} relevance scores.csv --target t0 --rounds 9 --permutations 9 | head -1", 0, 0),
        ("{firstlight} relevance scores.csv --target t0 --rounds 9 --permutations 9 > /dev/full", 1, 1),
        ("{firstlight} relevance scores.csv --target t0 --rounds 9 --permutations 9 >&-", 0, 0),
        ("{firstlight} exact model task.jsonl | true", 0, 0),
        ("{firstlight} exact model task.jsonl > /dev/full", 1, 1),
        ("{firstlight} doctor < /dev/null | true", 0, 0),
        ("{firstlight} relevance - --target t0 < /dev/null", 1, 1),
        ("{firstlight} relevance - --target t0 <&-", 1, 1),
    ],
)
def test_streams_that_are_closed_or_full_are_no_traceback(
    here: Path, shell: str, status: int, lines: int
) -> None:
    command = shell.format(firstlight=f"{sys.executable} -m workers.cli.main")
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}", "FIRSTLIGHT_HOME": str(here / "home")}
    done = subprocess.run(
        ["bash", "-c", command], cwd=here, env=env, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (status, lines), done.stderr
