"""Standard input and packed files, wherever a command reads a table or a result file; and the options of plain CSVs."""

import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Call, refused

TALLIES = "model,n_params,instance,draws,passes\n" + "".join(
    f"m{i},{10 ** (6 + i)},a,40,{1 + 5 * i}\nm{i},{10 ** (6 + i)},b,40,{2 + 3 * i}\n" for i in range(4)
)
SCORES = "model,a,b,t\n" + "".join(
    f"m{i},0.{i + 1},0.{(i * 7) % 9 + 1},0.{(i * i) % 7 + 1}\n" for i in range(8)
)
RESULTS = json.dumps(
    {"results": {"t": {"acc": 0.5}, "u": {"acc": 0.25}}, "versions": {}, "config": {"model": "lab/m"}}
)
Pipe = Callable[[str, bool], None]


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Pipe:
    """Put a text on standard input, packed or not."""

    def put(text: str, packed: bool) -> None:
        data = gzip.compress(text.encode()) if packed else text.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return put


@pytest.mark.parametrize("packed", [False, True])
def test_every_command_on_tables_reads_standard_input(
    call: Call, pipe: Pipe, tmp_path: Path, packed: bool
) -> None:
    for text, words in (
        (TALLIES, ["forecast", "-", "--target", 1e10]),
        (SCORES, ["relevance", "-", "--target", "t", "--permutations", 99, "--rounds", 20]),
        (SCORES, ["select", "-", "--target", "t", "--rounds", 20]),
        (SCORES, ["rank", "-", "--target", "t"]),
    ):
        table = tmp_path / "table"
        table.write_text(text)
        from_file = call(*[table if word == "-" else word for word in words], "--json")
        pipe(text, packed)
        piped = call(*words, "--json")
        assert (piped.status, piped.err) == (0, "")
        assert piped.json() == from_file.json()


@pytest.mark.parametrize("packed", [False, True])
def test_import_reads_standard_input(call: Call, pipe: Pipe, tmp_path: Path, packed: bool) -> None:
    out = tmp_path / "out.csv"
    for text, form in ((RESULTS, "lm-eval"), (SCORES, "csv")):
        pipe(text, packed)
        told = call("import", "-", "--out", out, "--json").json()
        assert told["formats"] == [form]
    assert told["rows"] == 24


def test_packed_files_are_known_by_their_bytes_not_their_names(call: Call, tmp_path: Path) -> None:
    tallies, scores, results = (tmp_path / name for name in ("tallies.csv", "scores.csv", "results.json"))
    for path, text in ((tallies, TALLIES), (scores, SCORES), (results, RESULTS)):
        path.write_bytes(gzip.compress(text.encode()))
    assert call("forecast", tallies, "--target", 1e10).status == 0
    assert call("relevance", scores, "--target", "t", "--permutations", 99).status == 0
    told = call("import", results, "--out", tmp_path / "o.csv", "--json").json()
    assert (told["formats"], told["rows"]) == (["lm-eval"], 2)
    plain = tmp_path / "plain.csv.gz"  # not packed, whatever it is called
    plain.write_text(SCORES)
    assert call("relevance", plain, "--target", "t", "--permutations", 99).status == 0
    broken = tmp_path / "broken.csv"
    broken.write_bytes(gzip.compress(TALLIES.encode())[:40])
    refused(call("forecast", broken), str(broken), "a broken gzip file")
    refused(call("import", broken, "--out", tmp_path / "o.csv"), str(broken), "a broken gzip file")


def test_an_empty_standard_input_is_named(call: Call, pipe: Pipe, tmp_path: Path) -> None:
    for words in (
        ["forecast", "-"],
        ["relevance", "-", "--target", "t"],
        ["import", "-", "--out", tmp_path / "o.csv"],
    ):
        pipe("", False)
        refused(call(*words), "standard input")


def test_a_leaderboard_is_imported_with_the_options_of_tables(call: Call, tmp_path: Path) -> None:
    board, out = tmp_path / "board.csv", tmp_path / "out.csv"
    board.write_text(
        "Model,Precision,arc,gsm8k\nlab/m,bf16,0.1,0.5\nlab/m,int8,0.1,0.25\nlab/n,bf16,0.2,0.75\n"
    )
    refused(call("import", board, "--out", out), "where 'Precision' makes another model", "--model-column")
    told = call(
        "import", board, "--model-column", "model", "--model-column", "precision", "--out", out, "--json"
    )
    assert told.json()["models"] == 3
    assert "lab/m@int8,gsm8k,0.25" in out.read_text().splitlines()
    board.write_text("Model,arc,gsm8k\nlab/m,0.1,0.5\nlab/m,0.1,0.25\nLAB/M,0.2,0.75\n")
    refused(
        call("import", board, "--out", out), "line 3: model 'lab/m' has 0.25 on 'gsm8k', but 0.5 on line 2"
    )
    told = call("import", board, "--duplicates", "mean", "--case", "first", "--out", out, "--json")
    assert out.read_text().splitlines()[1:] == ["lab/m,arc,0.1", "lab/m,gsm8k,0.375"]
    assert any("differs from another's only in case" in note for note in told.json()["notes"])
