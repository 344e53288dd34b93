"""What a folder of checkpoints says of each: by its headers, by what the trainer wrote, by its name."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.files.errors import Refused
from firstlight.registry.folders import find_checkpoints, find_in_table, from_name
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


def test_a_table_names_folders_with_what_is_known_of_them(root: Path) -> None:
    for name in ("a", "step5"):
        write_tiny_llama(root / name, d=32, layers=1, heads=1)
    table = b"folder,name,tokens,step,configuration\r\na,first,2M,,mixture b\r\nstep5,,,,\r\n"
    first, second = find_in_table(table)
    assert (first.name, first.tokens, first.step, first.configuration) == (
        "first",
        2_000_000,
        None,
        "mixture b",
    )
    assert (second.name, second.step, second.told["step"]) == ("step5", 5, "from its name")
    assert first.told["tokens"] == "from the CSV"


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (b"", "names its columns"),
        (b"name\nx\n", "names its columns"),
        (b"folder,colour\na,red\n", "names its columns"),
        (b"folder\n", "names no checkpoint"),
        (b"folder\nnowhere\n", "line 2 of the CSV: no such folder"),
        (b"folder,step\na,many\n", "line 2 of the CSV: step"),
        (b"folder,tokens\na,-5\n", "line 2 of the CSV: tokens"),
        (b"folder\na,b\n", "more cells"),
        (b"folder\n\xff\n", "no UTF-8"),
        (b'folder\n"a\n', "cannot be read"),
        (b"folder\n/etc\n", "outside the allowed folders"),
    ],
)
def test_a_table_that_cannot_be_read_says_where(root: Path, table: bytes, told: str) -> None:
    write_tiny_llama(root / "a", d=32, layers=1, heads=1)
    with pytest.raises(Refused, match=told):
        find_in_table(table)
