"""What a folder of checkpoints says of each: by its headers, by what the trainer wrote, by its name."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.files.errors import Refused
from firstlight.registry.folders import find_checkpoints, from_name
from tests.tiny_model import write_tiny_llama


@pytest.fixture
def root(tmp_path: Path, settings: object) -> Path:
    settings.MODEL_ROOTS = [tmp_path]  # type: ignore[attr-defined]
    return tmp_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("checkpoint-1000", {"step": 1000}),
        ("step1000", {"step": 1000}),
        ("step-1000-seed-2", {"step": 1000, "seed": 2}),
        ("global_step1000", {"step": 1000}),
        ("iter_0001000", {"step": 1000}),
        ("ladder-98k-s2", {"seed": 2}),
        ("olmo-1b-step2000-300B-tokens", {"step": 2000, "tokens": 300 * 10**9}),
        ("run-a/ckpt_5", {"step": 5}),
        ("models-1b", {}),
        ("pythia-70m-deduped", {}),
        ("gpt2", {}),
        ("seeds3", {}),
        ("steps", {}),
        ("epoch-3", {}),
    ],
)
def test_a_name_says_step_seed_and_tokens(name: str, said: dict[str, int]) -> None:
    assert from_name(name) == said


@given(
    st.integers(0, 10**9),
    st.integers(0, 10**6),
    st.sampled_from(["step", "checkpoint-", "iter_", "global_step"]),
)
def test_every_step_and_seed_comes_back_from_its_name(step: int, seed: int, word: str) -> None:
    assert from_name(f"model-{word}{step}-seed{seed}") == {"step": step, "seed": seed}


@given(st.text(max_size=40))
def test_no_name_is_an_error(name: str) -> None:
    assert set(from_name(name)) <= {"step", "seed", "tokens"}


def test_what_the_trainer_wrote_goes_before_the_name(root: Path) -> None:
    folder = write_tiny_llama(root / "step5-seed1", d=32, layers=1, heads=1)
    state = {"global_step": 7, "num_input_tokens_seen": 4096}
    (folder / "trainer_state.json").write_text(json.dumps(state))
    (one,) = find_checkpoints("step5-seed1")
    assert (one.step, one.seed, one.tokens) == (7, 1, 4096)
    assert one.told["step"] == "from trainer_state.json"
    assert one.told["seed"] == "from its name"


@pytest.mark.parametrize(
    "written", ["{", "[]", '{"global_step": "7"}', '{"global_step": -1}', '{"global_step": true}']
)
def test_a_state_that_says_nothing_changes_nothing(root: Path, written: str) -> None:
    folder = write_tiny_llama(root / "model", d=32, layers=1, heads=1)
    (folder / "trainer_state.json").write_text(written)
    (one,) = find_checkpoints("model")
    assert (one.step, one.refused) == (None, "")


def test_checkpoints_come_by_size_and_those_refused_last(root: Path) -> None:
    for name, d in (("b", 64), ("a", 32)):
        write_tiny_llama(root / "run" / name, d=d, layers=1, heads=1)
    (root / "run" / "0").mkdir()
    (root / "run" / "0" / "config.json").write_text("{}")
    assert [one.name for one in find_checkpoints("run")] == ["a", "b", "0"]


def test_a_link_is_not_followed_out_of_the_folder(root: Path) -> None:
    (root / "run").mkdir()
    (root / "run" / "out").symlink_to("/etc")
    with pytest.raises(Refused, match="holds no checkpoint"):
        find_checkpoints("run")
