"""SCORES.csv in both forms, and tables joined with one another."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from proxy import ProxyError, ScoreMatrix, join_scores, read_scores, write_scores
from proxy.scores import read_mapping


@pytest.fixture
def csv(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes lines to a file and gives its path."""

    def write(*lines: str, name: str = "scores.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def test_the_wide_form(csv: Callable[..., Path]) -> None:
    matrix = read_scores(csv("Model,family,mmlu,loss", "a,x,25.5,2.0", "b,y,,1.5", "c,z,-,1"))
    assert (matrix.models, matrix.tasks) == (("a", "b", "c"), ("mmlu", "loss"))
    assert np.isnan(matrix.scores[1:, 0]).all()
    assert matrix.notes == ("columns without a name or numbers were left out: family",)


def test_the_long_form_with_what_it_may_know(csv: Callable[..., Path]) -> None:
    matrix = read_scores(
        csv(
            "model,task,score,stderr,n,direction,baseline",
            "a,q,0.5,0.01,100,,0.25",
            "b,q,0.6,,,,",
            "a,l,3,,,-1,",
        )
    )
    assert matrix.tasks == ("q", "l")
    assert dict(matrix.direction) == {"l": -1}
    assert dict(matrix.baseline) == {"q": 0.25}
    assert matrix.n is not None
    assert matrix.n[0, 0] == 100
    assert np.isnan(matrix.n[1, 0])
    assert np.isnan(matrix.scores[1, 1])


def test_a_metric_becomes_part_of_the_task(csv: Callable[..., Path]) -> None:
    assert read_scores(csv("model,task,metric,score", "a,q,acc,1", "a,q,f1,2")).tasks == ("q:acc", "q:f1")


def test_the_two_forms_agree_and_are_read_back_equal(csv: Callable[..., Path], tmp_path: Path) -> None:
    matrix = ScoreMatrix(
        ("a", "b"), ("q", "l"), np.array([[0.1, 3.25], [1 / 3, np.nan]]), stderr=np.array([[0.1, np.nan], [0.2, 0.3]]),
        direction={"l": -1}, baseline={"q": 0.25},
    )  # fmt: skip
    assert write_scores(tmp_path / "out.csv", matrix) == 3
    again = read_scores(tmp_path / "out.csv")
    assert np.array_equal(again.scores, matrix.scores, equal_nan=True)
    assert (dict(again.direction), dict(again.baseline)) == ({"q": 1, "l": -1}, {"q": 0.25})
    wide = read_scores(csv("model,q,l", "a,0.1,3.25", f"b,{1 / 3!r},"))
    assert np.array_equal(wide.scores, matrix.scores, equal_nan=True)


def test_a_gzipped_file_and_several_name_columns(tmp_path: Path) -> None:
    path = tmp_path / "s.csv.gz"
    path.write_bytes(gzip.compress(b"Model,sha,q\nm,1,0.1\nm,2,0.2\n"))
    assert read_scores(path, model_columns=("Model", "sha")).models == ("m@1", "m@2")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["model,q", "a,1", "b,x"], "line 3, column q: 'x' is not a number"),
        (["model,q", "a,1", "b"], "line 3: 1 cell under 2 columns"),
        (["name,q", "a,1"], "no column 'model'; there are name, q"),
        (["model,q,q", "a,1,2"], "column 'q' is there twice"),
        (["model,q", "a,1", "a,2"], "line 3: model 'a' has 2 on 'q', but 1 on line 2"),
        (["model,task,score", "a,q,1", "a,q,2"], "line 3: model 'a' has 2 on 'q', but 1 on line 2"),
        (["model,q", "a,inf"], "infinite"),
        (["model,q", ",1"], "line 2, column model: empty"),
        (["model,q"], "no scores"),
        (["model,q", "a,1", "A,2"], "differ only in case"),
        (["model,q", "a,0.5", "b,61.2", "c,70"], "percent mixed with fractions"),
        (["model,task,score,baseline", "a,q,1,0", "b,q,2,1"], "line 3, column baseline: 1 for 'q', 0 before"),
        (['model,q', '"a,1'], "not a CSV line"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_with_the_place(
    csv: Callable[..., Path], lines: list[str], message: str
) -> None:
    with pytest.raises(ProxyError, match=message):
        read_scores(csv(*lines))


def test_duplicates_can_be_merged_and_that_is_said(csv: Callable[..., Path]) -> None:
    path = csv("model,q", "a,1", "a,1", "b,2", "b,4")
    assert read_scores(path, duplicates="first").scores.ravel().tolist() == [1, 2]
    mean = read_scores(path, duplicates="mean")
    assert mean.scores.ravel().tolist() == [1, 3]
    assert len(mean.notes) == 2
    assert read_scores(csv("model,q", "A,1", "a,2", "b,3"), case="first").models == ("A", "b")


def test_a_join_says_which_names_it_took_for_the_same() -> None:
    base = ScoreMatrix(("Llama-7B", "qwen-7b-hf", "yi"), ("q",), np.array([[1.0], [2.0], [3.0]]))
    chat = ScoreMatrix(
        ("org/llama-7b-chat", "Qwen-7B-Chat", "other"), ("t",), np.array([[4.0], [5.0], [6.0]])
    )
    joined = join_scores(base, chat, pairs=True)
    assert [(m.left, m.right, m.how) for m in joined.matches] == [
        ("Llama-7B", "org/llama-7b-chat", "alike"),
        ("qwen-7b-hf", "Qwen-7B-Chat", "alike"),
    ]
    assert (joined.left_only, joined.right_only) == (("yi",), ("other",))
    assert any(
        "Llama-7B was joined with org/llama-7b-chat (a guess: the names are alike)" in note
        for note in joined.matrix.notes
    )
    mapped = join_scores(base, chat, mapping={"yi": "other"})
    assert [(m.left, m.how) for m in mapped.matches] == [("yi", "mapped")]
    assert mapped.matrix.scores.tolist() == [[3, 6]]


def test_two_candidates_for_a_guess_are_no_match() -> None:
    base = ScoreMatrix(("m-hf", "m-vllm", "same"), ("q",), np.array([[1.0], [2.0], [3.0]]))
    other = ScoreMatrix(("m", "same"), ("t",), np.array([[4.0], [5.0]]))
    assert [m.left for m in join_scores(base, other, guess=True).matches] == ["same"]


def test_joins_that_cannot_be_are_refused(csv: Callable[..., Path]) -> None:
    one, two = (ScoreMatrix((name,), (task,), np.array([[1.0]])) for name, task in (("a", "q"), ("b", "t")))
    with pytest.raises(ProxyError, match="no model is in both"):
        join_scores(one, two)
    with pytest.raises(ProxyError, match="both tables have the task 'q'"):
        join_scores(one, one)
    with pytest.raises(ProxyError, match="names 'zz', which is not in the second"):
        join_scores(one, two, mapping={"a": "zz"})
    assert read_mapping(csv("base,chat", "a,b")) == {"a": "b"}
    with pytest.raises(ProxyError, match="line 3: 'a' is mapped"):
        read_mapping(csv("base,chat", "a,b", "a,c"))


def test_a_declared_scale_is_written_where_the_scores_do_not_show_it(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    low = ScoreMatrix(("a", "b"), ("x", "y"), [[0.5, 0.2], [0.8, 0.4]], scale={"x": 100})  # type: ignore[arg-type]
    write_scores(path, low)
    assert read_scores(path).scale == low.scale == {"x": 100, "y": 1}
    mixed = ScoreMatrix(tuple("abcd"), ("x",), [[0.5], [50], [60], [55]], scale={"x": 100})  # type: ignore[arg-type]
    write_scores(path, mixed)
    assert read_scores(path).scores.tolist() == mixed.scores.tolist()
