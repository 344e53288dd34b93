"""TALLIES.csv: read, written, and every fault named by file, line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from passuntil import PassUntilError, Tally, TallyRow, read_tallies, write_tallies

HEADER = "model,n_params,tokens,instance,draws,passes,stopped_at,r,floor,cap,nll\n"


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    rows = [
        TallyRow(
            "small, first",
            36_175_872,
            "q\n1",
            Tally(40, 5, 40, 5, 0, 100),
            tokens=7.2e8,
            nll=12.345678901234567,
        ),
        TallyRow("small, first", 36_175_872, "q2", Tally(100, 4, None, 5, 64, 100), tokens=7.2e8),
        TallyRow("größer", 0.5, "q2", Tally(1600, 13)),
    ]
    path = tmp_path / "tallies.csv"
    write_tallies(path, rows)
    assert read_tallies(path) == rows
    assert path.read_text(encoding="utf-8").startswith(HEADER)


def test_optional_columns_may_be_absent_and_strange_ones_present(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "\ufeffinstance,model,n_params,draws,passes,colour\nq1,a,1.5e9,10,1,red\n\n", encoding="utf-8"
    )
    assert read_tallies(path) == [TallyRow("a", 1.5e9, "q1", Tally(10, 1))]


def test_an_empty_stopped_at_means_that_the_cap_came_first(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("model,n_params,instance,draws,passes,stopped_at,r\na,1,q,1000,1,,2\n")
    assert read_tallies(path)[0].tally == Tally(1000, 1, None, 2, None, 1000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: no rows"),
        (HEADER, "line 2: no rows"),
        ("model,n_params,draws,passes\n", "line 1: no column instance"),
        ("model,model,n_params,instance,draws,passes\n", "line 1: column model appears twice"),
        (
            HEADER.replace("stopped_at", "stoped_at"),
            "line 1: unknown column 'stoped_at'; did you mean 'stopped_at'?",
        ),
        (HEADER + "a,1,,q,10,1\n", "line 2: 6 cells under 11 columns"),
        (HEADER + "a,1,,q,10,1,,,,,\na,1,,r,x,1,,,,,\n", "line 3, column draws: 'x' is not a whole number"),
        (HEADER + "a,1,,q,10.0,1,,,,,\n", "line 2, column draws: '10.0' is not a whole number"),
        (HEADER + "a,1,,q,1_0,1,,,,,\n", "line 2, column draws: '1_0' is not a whole number"),
        (HEADER + "a,1,,q,٣,1,,,,,\n", "line 2, column draws: '٣' is not a whole number"),
        (HEADER + "a,1,,q,-3,1,,,,,\n", "line 2, column draws: draws must be at least 0, not -3"),
        (HEADER + "a,1,,q,0,0,,,,,\n", "line 2, column draws: no draws"),
        (HEADER + "a,1,,q,10,11,,,,,\n", r"line 2, column passes: passes \(11\) exceed draws \(10\)"),
        (HEADER + "a,1,,q,10,,,,,,\n", "line 2, column passes: empty"),
        (HEADER + ",1,,q,10,1,,,,,\n", "line 2, column model: empty"),
        (HEADER + "a,nan,,q,10,1,,,,,\n", "line 2, column n_params: n_params must be finite, not nan"),
        (HEADER + "a,inf,,q,10,1,,,,,\n", "line 2, column n_params: n_params must be finite"),
        (HEADER + "a,1e30,,q,10,1,,,,,\n", "line 2, column n_params: n_params must be above 0 and at most"),
        (HEADER + "a,0,,q,10,1,,,,,\n", "line 2, column n_params: n_params must be above 0"),
        (HEADER + "a,1X,,q,10,1,,,,,\n", "line 2, column n_params: '1X' is not a size; write one as"),
        (HEADER + "a,1,-5,q,10,1,,,,,\n", "line 2, column tokens: tokens must be above 0"),
        (HEADER + "a,1,,q,10,1,,,,,-2\n", "line 2, column nll: nll must lie between 0 and"),
        (HEADER + "a,1,,q,10,1,,,,,\na,1,,q,10,1,,,,,\n", "line 3, column instance: .* appears twice"),
        (
            HEADER + "a,1,,q,10,1,,,,,\na,2,,r,10,1,,,,,\n",
            "line 3, column n_params: model 'a' has two sizes, 1 and 2",
        ),
        (
            HEADER + "a,1,5,q,10,1,,,,,\na,1,6,r,10,1,,,,,\n",
            "line 3, column tokens: model 'a' has two token counts",
        ),
        (HEADER + "a,1,,q,10,2,3,2,,,\n", r"line 2, column draws: draws \(10\) go on after the stop"),
        (HEADER + 'a,1,,"q"x,10,1,,,,,\n', "line 2: not a CSV line"),
    ],
)
def test_a_fault_is_named_by_file_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "faulty.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PassUntilError, match=f"faulty.csv, {message}"):
        read_tallies(path)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PassUntilError, match=r"absent.csv: cannot be read \(No such file"):
        read_tallies(tmp_path / "absent.csv")
    (tmp_path / "binary.csv").write_bytes(b"model\xff\xfe")
    with pytest.raises(PassUntilError, match="not UTF-8 text"):
        read_tallies(tmp_path / "binary.csv")


@pytest.mark.parametrize("name", ["", "  ", "x" * 501, None, 7])
def test_a_row_needs_names(name: str) -> None:
    with pytest.raises(PassUntilError, match="model must be a name"):
        TallyRow(name, 1.0, "q", Tally(1, 0))


@pytest.mark.parametrize(
    ("written", "size"), [("7B", 7e9), ('"7,000,000"', 7e6), ("7e9", 7e9), ("1.5M", 1.5e6)]
)
def test_sizes_are_read_as_people_write_them(tmp_path: Path, written: str, size: float) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"model,n_params,tokens,instance,draws,passes\na,{written},{written},q,10,1\n")
    (row,) = read_tallies(path)
    assert (row.n_params, row.tokens) == (size, size)


def test_a_decimal_comma_is_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('model,n_params,instance,draws,passes\na,"1,5M",q,10,1\n')
    with pytest.raises(PassUntilError, match=r"line 2, column n_params: '1,5M' is not a size: commas"):
        read_tallies(path)


def test_one_model_of_two_spellings_of_its_size_is_one_model(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("model,n_params,instance,draws,passes\na,7B,q,10,1\na,7e9,r,10,1\n")
    assert [row.n_params for row in read_tallies(path)] == [7e9, 7e9]
