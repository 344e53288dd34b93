"""Folders of checkpoints: only below the allowed roots, whatever the path looks like."""

import os
from pathlib import Path
from typing import Any

import pytest

from firstlight.files.errors import Refused
from firstlight.registry.locations import known_folders, resolve_location
from tests.tiny_model import write_tiny_llama


@pytest.fixture
def root(tmp_path: Path, settings: Any) -> Path:
    """The allowed root, with one checkpoint; a secret lies beside it."""
    allowed = tmp_path / "allowed"
    (allowed / "series" / "model").mkdir(parents=True)
    (allowed / "series" / "model" / "config.json").write_text("{}")
    (tmp_path / "secret").mkdir()
    settings.MODEL_ROOTS = [allowed]
    return allowed


def test_a_folder_below_a_root_is_found_by_its_whole_path_and_relative_to_the_root(root: Path) -> None:
    expected = root / "series" / "model"
    assert resolve_location(str(expected)) == expected
    assert resolve_location("series/model") == expected
    assert resolve_location("series/../series/./model") == expected


@pytest.mark.parametrize(
    "text",
    ["/", "/etc", "../secret", "series/../../secret", "series/model/../../../secret", "{root}/../secret"],
)
def test_a_path_that_leads_out_of_the_roots_is_refused(root: Path, text: str) -> None:
    asked = text.format(root=root)
    with pytest.raises(Refused, match="outside the allowed folders") as refusal:
        resolve_location(asked)
    assert asked in str(refusal.value)
    assert "FIRSTLIGHT_MODEL_ROOTS" in str(refusal.value)


def test_a_symlink_that_leads_out_of_the_roots_is_refused(root: Path) -> None:
    (root / "innocent").symlink_to(root.parent / "secret")
    with pytest.raises(Refused, match="outside the allowed folders"):
        resolve_location("innocent")
    with pytest.raises(Refused, match="outside the allowed folders"):
        resolve_location(str(root / "innocent"))


def test_a_symlink_within_the_roots_is_followed(root: Path) -> None:
    (root / "latest").symlink_to("series/model")
    assert resolve_location("latest") == root / "series" / "model"


def test_a_neighbour_whose_name_begins_like_the_root_is_outside(root: Path) -> None:
    (root.parent / "allowed-not").mkdir()
    with pytest.raises(Refused, match="outside the allowed folders"):
        resolve_location(str(root.parent / "allowed-not"))


@pytest.mark.parametrize("text", ["", "series/model\x00", "\x00/etc"])
def test_an_empty_path_and_a_nul_are_refused(root: Path, text: str) -> None:
    with pytest.raises(Refused, match="empty or holds a NUL"):
        resolve_location(text)


@pytest.mark.parametrize("text", ["series/nowhere", "series/model/config.json"])
def test_what_is_no_folder_is_refused_by_its_name(root: Path, text: str) -> None:
    with pytest.raises(Refused, match=r"no such folder|no allowed folder has that name") as refusal:
        resolve_location(text)
    assert text in str(refusal.value)


@pytest.mark.parametrize(
    "text", ["a" * 300, "a/" * 3000, "loop", "\ud800"], ids=["name", "path", "loop", "surrogate"]
)
def test_a_path_that_the_system_itself_refuses_is_refused_in_one_line(root: Path, text: str) -> None:
    (root / "loop").symlink_to("loop")
    with pytest.raises(Refused):
        resolve_location(text)


def test_the_form_offers_the_folders_with_a_config(root: Path) -> None:
    os.makedirs(root / "empty")
    assert list(known_folders()) == [str(root / "series" / "model")]
    assert list(known_folders(limit=1)) == [str(root / "series" / "model")]


def test_a_file_that_is_a_link_out_of_the_roots_is_refused(tmp_path: Path, settings: Any) -> None:
    """Whose folder is allowed may not read what is not, by a link among its weights."""
    models = tmp_path / "models"
    folder = write_tiny_llama(models / "tiny", d=16, layers=1, heads=1)
    settings.MODEL_ROOTS = [models]
    secret = tmp_path / "elsewhere.safetensors"
    (folder / "model.safetensors").rename(secret)
    (folder / "model.safetensors").symlink_to(secret)
    with pytest.raises(Refused, match=r"model.safetensors is a link to .*elsewhere.safetensors, outside"):
        resolve_location(str(folder))
    (folder / "model.safetensors").unlink()
    secret.rename(models / "blob")
    (folder / "model.safetensors").symlink_to("../blob")  # as in the hub's cache
    assert resolve_location(str(folder)) == folder
