"""ScoreMatrix, its flags, and which scale its scores are on."""

import numpy as np
import pytest

from proxy import ProxyError, ScoreMatrix
from proxy.scores import above_chance, flag_tasks

NAMES = ("a", "b", "c", "d")


def table(columns: dict[str, list[float]], **facts: object) -> ScoreMatrix:
    """A matrix of four models from its columns."""
    return ScoreMatrix(NAMES, tuple(columns), np.array(list(columns.values())).T, **facts)  # type: ignore[arg-type]


def test_scores_are_oriented_and_less_guessing() -> None:
    matrix = table(
        {"q": [0.25, 0.5, 0.75, 1.0], "loss": [3.0, 2.0, 1.0, 0.5]},
        direction={"loss": -1},
        baseline={"q": 0.25},
    )
    assert matrix.oriented()[:, 0].tolist() == [0, 0.25, 0.5, 0.75]
    assert matrix.oriented()[:, 1].tolist() == [-3, -2, -1, -0.5]


def test_a_selection_keeps_everything_that_belongs_to_it() -> None:
    matrix = table(
        {"q": [10.0, 20, 30, 40], "r": [1.0, 2, 3, 4]}, stderr=np.ones((4, 2)), n=np.full((4, 2), 7.0),
        direction={"r": -1}, baseline={"q": 25.0},
    )  # fmt: skip
    part = matrix.select(tasks=["r"], models=["d", "b"])
    assert (part.models, part.tasks, part.scores.ravel().tolist()) == (("d", "b"), ("r",), [4, 2])
    assert (dict(part.direction), dict(part.baseline)) == ({"r": -1}, {})
    assert part.n is not None
    assert part.n.shape == (2, 1)
    with pytest.raises(ProxyError, match="no task 'Q'; is 'q' meant"):
        matrix.select(tasks=["Q"])


def test_scores_cannot_be_changed_behind_its_back() -> None:
    with pytest.raises(ValueError, match="read-only"):
        table({"q": [1.0, 2, 3, 4]}).scores[0, 0] = 5


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (("Llama", "llama"), "'Llama' and 'llama' differ only in case"),
        (("x", "x"), "'x' is there twice"),
        (("x", " "), "name of 1 to 500 characters"),
    ],
)
def test_names_that_could_be_confused_are_refused(models: tuple[str, ...], message: str) -> None:
    with pytest.raises(ProxyError, match=message):
        ScoreMatrix(models, ("q",), np.array([[1.0], [2.0]]))


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"direction": {"q": 0}}, "direction of q is 0"),
        ({"direction": {"zz": 1}}, "names the task 'zz'"),
        ({"stderr": [[-1.0]] * 4}, "stderr of a on q is -1"),
        ({"n": [[0.0]] * 4}, "n of a on q is 0"),
        ({"baseline": {"q": float("inf")}}, "baseline of q"),
        ({"scale": {"q": 1.0}}, "whose scale ends at 1"),
    ],
)
def test_facts_that_contradict_are_refused(facts: dict[str, object], message: str) -> None:
    with pytest.raises(ProxyError, match=message):
        table({"q": [1.0, 2, 3, 4]}, **facts)


def test_scales_are_found() -> None:
    matrix = table({"f": [0.1, 0.2, 0.3, 1.0], "p": [10.0, 20, 30, 4], "elo": [1200.0, 900, 100, 50]})
    assert dict(matrix.scale) == {"f": 1.0, "p": 100.0}


@pytest.mark.parametrize(
    "columns",
    [
        {"q": [45.0, 0.52, 61.0, 55.0]},  # one slip, nothing else to go by
        {"q": [0.45, 52.0, 61.0, 0.55]},
        {"q": [0.45, 52.0, 61.0, 55.0], "r": [0.3, 40.0, 44.0, 41.0]},  # a whole model in fractions
        {"q": [45.0, 52.0, 0.61, 55.0], "r": [30.0, 40.0, 44.0, 41.0]},  # a good model's one slip
    ],
)
def test_percent_mixed_with_fractions_is_refused(columns: dict[str, list[float]]) -> None:
    with pytest.raises(ProxyError, match="percent mixed with fractions"):
        table(columns)


@pytest.mark.parametrize(
    "columns",
    [
        # the weakest model, nearly 0%
        {"humaneval": [0.6, 12.0, 16.0, 23.0], "mmlu": [25.0, 45.0, 50.0, 60.0]},
        {"hard": [0.0, 0.4, 1.2, 3.0]},
        {"f": [0.1, 0.2, 0.3, 0.4], "p": [10.0, 20.0, 30.0, 40.0]},  # two tasks of their own scales
        {"fives": [0.5, 0.9, 2.0, 4.0]},
    ],
)
def test_low_percents_and_whole_tasks_of_another_scale_are_let_through(
    columns: dict[str, list[float]],
) -> None:
    assert table(columns).shape == (4, len(columns))


def test_a_declared_scale_settles_the_doubt() -> None:
    assert dict(table({"q": [45.0, 0.52, 61.0, 55.0]}, scale={"q": 100.0}).scale) == {"q": 100.0}


def test_flags_name_constant_repeated_and_guessed_tasks_and_gaps() -> None:
    matrix = table(
        {
            "flat": [0.5] * 4, "one": [0.1, 0.2, 0.3, 0.4], "two": [0.1, 0.2, 0.3, 0.4],
            "guess": [0.24, 0.26, 0.25, 0.25], "holes": [0.9, np.nan, 0.7, 0.8],
        },
        baseline={"guess": 0.25},
    )  # fmt: skip
    flags = {(flag.kind, flag.name) for flag in flag_tasks(matrix)}
    assert flags == {
        ("zero_variance", "flat"), ("duplicate_task", "two"), ("near_chance", "guess"), ("gaps", "holes"),
    }  # fmt: skip


def test_two_models_tuned_from_one_base_are_flagged() -> None:
    matrix = table({"q": [1.0, 1, 2, 3], "r": [5.0, 5, 6, 7], "s": [1.0, 1, 9, 4], "target": [1.0, 2, 3, 4]})
    assert [(flag.kind, flag.name) for flag in flag_tasks(matrix)] == [("duplicate_model", "b")]


def test_the_above_chance_test_holds_its_level_when_models_share_their_guesses() -> None:
    # All models give the same random answers: the worst case for a test that would pool them.
    rng, false = np.random.default_rng(0), 0
    for _ in range(400):
        right = rng.binomial(200, 0.25) / 200
        matrix = table({"q": [right] * 4}, n=np.full((4, 1), 200.0), baseline={"q": 0.25})
        false += above_chance(matrix)["q"].above
    assert false / 400 <= 0.05


def test_the_above_chance_test_sees_what_is_there() -> None:
    matrix = table({"q": [0.25, 0.26, 0.35, 0.25]}, n=np.full((4, 1), 1000.0), baseline={"q": 0.25})
    assert (above_chance(matrix)["q"].test, above_chance(matrix)["q"].above) == ("binomial", True)
    percent = table({"q": [25.0, 26.0, 35.0, 25.0]}, n=np.full((4, 1), 1000.0), baseline={"q": 25.0})
    assert above_chance(percent)["q"].p_value == pytest.approx(above_chance(matrix)["q"].p_value)
    with_errors = table({"q": [0.3, 0.31, 0.32, 0.3]}, stderr=np.full((4, 1), 0.01), baseline={"q": 0.25})
    assert (above_chance(with_errors)["q"].test, above_chance(with_errors)["q"].above) == ("z", True)


def test_a_frame_goes_in_and_out() -> None:
    matrix = table({"q": [1.0, 2, 3, 4], "r": [4.0, 3, 2, 1]})
    again = ScoreMatrix.from_frame(matrix.to_frame())
    assert (again.models, again.tasks, again.scores.tolist()) == (
        matrix.models,
        matrix.tasks,
        matrix.scores.tolist(),
    )


def test_one_model_alone_is_no_constant_task() -> None:
    assert flag_tasks(ScoreMatrix(("a",), ("x",), [[0.5]])) == ()  # type: ignore[arg-type]
    two = ScoreMatrix(("a", "b"), ("x",), [[0.5], [0.5]])  # type: ignore[arg-type]
    assert [flag.kind for flag in flag_tasks(two)] == ["zero_variance"]
