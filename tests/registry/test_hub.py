"""Checkpoints by their hub id, from a cache of the real layout."""

import shutil
from pathlib import Path

import pytest

from firstlight.files.errors import Refused
from firstlight.files.model_folder import read_model_folder
from firstlight.registry import actions
from firstlight.registry.folders import find_checkpoints
from firstlight.registry.locations import resolve_location
from tests.evaluations import conftest as site
from tests.tiny_model import write_tiny_llama

world = site.world  # the fixture
World = site.World
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """models--lab--tiny with its blobs, a snapshot of links to them, and the branch main."""
    root = tmp_path / "hub-cache"
    repository = root / "models--lab--tiny"
    plain = write_tiny_llama(tmp_path / "plain", d=32, layers=1, heads=1, seed=5)
    snapshot = repository / "snapshots" / COMMIT
    for folder in (repository / "blobs", repository / "refs", snapshot):
        folder.mkdir(parents=True)
    for number, file in enumerate(sorted(plain.iterdir())):
        shutil.copy(file, repository / "blobs" / f"blob{number}")
        (snapshot / file.name).symlink_to(f"../../blobs/blob{number}")
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(root))
    return root


@pytest.mark.parametrize(
    "text", ["lab/tiny", "lab/tiny@main", f"lab/tiny@{COMMIT}", f"lab/tiny@{COMMIT[:8]}"]
)
def test_a_hub_id_is_its_snapshot_with_its_commit(world: World, cache: Path, text: str) -> None:
    (found,) = find_checkpoints(text)
    assert (found.name, found.source, found.refused) == (text, f"lab/tiny@{COMMIT}", "")
    made = actions.register_checkpoint(
        world.user, world.series, world.checkpoint.configuration, name=found.name, location=found.location
    )
    assert made.source == f"lab/tiny@{COMMIT}"
    assert made.digest == read_model_folder(cache.parent / "plain").digest


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lab/other", "hf download lab/other"),
        ("lab/tiny@v2", "not its revision 'v2' \\(there are 0123456789ab\\)"),
        ("lab/tiny@../../x", "not its revision|outside"),
        ("lab/tiny@0000000", "not its revision"),
    ],
)
def test_nobody_with_a_hub_id_is_told_of_a_missing_folder(
    world: World, cache: Path, text: str, told: str
) -> None:
    with pytest.raises(Refused, match=told) as refused:
        resolve_location(text)
    assert "no such folder" not in str(refused.value)


def test_a_folder_of_that_name_below_a_root_goes_first(world: World, cache: Path) -> None:
    own = write_tiny_llama(world.models / "lab" / "tiny", d=64, layers=1, heads=1)
    assert resolve_location("lab/tiny") == own.resolve()


def test_without_the_extra_it_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstlight.registry.hub.cache_root", lambda: None)
    with pytest.raises(Refused, match=r"firstlight\[hub\]"):
        resolve_location("lab/tiny")


def test_a_place_elsewhere_in_the_cache_is_no_way_out(world: World, cache: Path) -> None:
    (cache / "out").symlink_to("/etc")
    with pytest.raises(Refused, match="outside"):
        resolve_location(str(cache / "out"))
