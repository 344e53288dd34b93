"""Downloads from a hub, which runs on loopback, by the hub's own library, in the worker's own process."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from firstlight.files.errors import Refused
from firstlight.files.model_folder import read_model_folder
from firstlight.registry import downloads
from firstlight.registry.folders import find_checkpoints
from firstlight.registry.models import Checkpoint, HubDownload
from tests.registry.fake_hub import Hub, hub
from tests.site import conftest as site
from tests.tiny_model import write_tiny_llama
from workers import hub as worker
from workers.cli.main import main

world = site.world  # the fixture
World = site.World
FIRST, SECOND = "a" * 40, "b" * 40


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Hub]:
    """lab/tiny with two branches; its folder holds a pickle and code too."""
    folders = [
        write_tiny_llama(tmp_path / name, d=64, layers=1, heads=1, seed=n) for n, name in enumerate("ab")
    ]
    (folders[0] / "pytorch_model.bin").write_bytes(b"pickle")
    (folders[0] / "modeling.py").write_text("raise SystemExit")
    cache = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(worker, "PACE", 0.05)
    with hub("lab/tiny", {"main": (FIRST, folders[0]), "v2": (SECOND, folders[1])}) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(cache))
        settings.HUB_ONLINE = True
        yield running


@pytest.mark.parametrize(
    ("text", "commit", "which"),
    [("lab/tiny", FIRST, "a"), ("lab/tiny@v2", SECOND, "b"), (f"lab/tiny@{SECOND}", SECOND, "b")],
)
def test_a_hub_id_is_downloaded_once_and_then_found(
    world: World,
    lab: Hub,
    tmp_path: Path,
    text: str,
    commit: str,
    which: str,
) -> None:
    row = downloads.have(world.mate, text)
    assert row is not None
    assert downloads.have(world.owner, text) == row
    assert worker.download(row.pk)
    row.refresh_from_db()
    assert (row.state, row.error) == ("done", "")
    assert row.done == row.total > 0
    (found,) = find_checkpoints(text)
    assert (found.source, found.refused) == (f"lab/tiny@{commit}", "")
    assert read_model_folder(Path(found.location)).digest == read_model_folder(tmp_path / which).digest
    assert not {"pytorch_model.bin", "modeling.py"} & set(lab.sent)
    assert downloads.have(world.mate, text) is None
    assert not worker.download(row.pk)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lab/other", "the hub has no lab/other, or it is private"),
        ("lab/tiny@v9", "no revision 'v9'"),
    ],
)
def test_what_the_hub_does_not_have_is_said(world: World, lab: Hub, text: str, told: str) -> None:
    row = downloads.have(world.mate, text)
    assert row is not None
    worker.download(row.pk)
    row.refresh_from_db()
    assert (row.state, told in row.error) == ("failed", True), row.error
    assert downloads.have(world.mate, text).state == "waiting"  # type: ignore[union-attr]


def test_a_gated_model_names_the_token(world: World, lab: Hub) -> None:
    lab.gated = True
    row = downloads.have(world.mate, "lab/tiny")
    assert row is not None
    worker.download(row.pk)
    row.refresh_from_db()
    assert "HF_TOKEN" in row.error


def test_weights_that_are_pickles_are_not_fetched(world: World, lab: Hub, tmp_path: Path) -> None:
    (tmp_path / "a" / "model.safetensors").unlink()
    row = downloads.have(world.mate, "lab/tiny")
    assert row is not None
    worker.download(row.pk)
    row.refresh_from_db()
    assert "no weights in safetensors" in row.error
    assert lab.sent == []


def test_a_hub_that_does_not_answer_is_said(
    world: World,
    lab: Hub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    row = downloads.have(world.mate, "lab/tiny")
    assert row is not None
    worker.download(row.pk)
    row.refresh_from_db()
    assert row.state == "failed"
    assert "could not be read" in row.error


def test_a_hub_that_hangs_is_given_up(world: World, lab: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "PATIENCE", 3.0)
    lab.pace = 1.0
    row = downloads.have(world.mate, "lab/tiny")
    assert row is not None
    began = time.monotonic()
    worker.download(row.pk)
    assert time.monotonic() - began < 30
    row.refresh_from_db()
    assert "nothing came for 3 s" in row.error
    assert "ask again" in row.error


def test_offline_is_said_with_what_to_run(world: World, lab: Hub, settings: Any) -> None:
    settings.HUB_ONLINE = False
    with pytest.raises(Refused, match="hf download lab/tiny"):
        downloads.have(world.mate, "lab/tiny")
    assert not HubDownload.objects.exists()


def test_who_may_register_nothing_downloads_nothing(world: World, lab: Hub) -> None:
    with pytest.raises(PermissionDenied):
        downloads.have(world.viewer, "lab/tiny")


def test_the_lease_of_a_dead_worker_is_taken_over(world: World, lab: Hub) -> None:
    row = downloads.have(world.mate, "lab/tiny")
    assert row is not None
    assert downloads.claim(row.pk)
    assert not worker.download(row.pk)
    HubDownload.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert list(downloads.waiting()) == [row]
    assert worker.download(row.pk)


def test_the_page_says_how_far_it_is_and_then_what_was_found(world: World, lab: Hub) -> None:
    client = world.client("mate")
    read = {"do": "read", "location": "lab/tiny"}
    page = client.post("/checkpoints/register", read).content.decode()
    assert "lab/tiny@main waits for a worker" in page
    row = HubDownload.objects.get()
    HubDownload.objects.update(state="running", done=34_000_000, total=120_000_000)
    part = client.post("/checkpoints/register", read | {"do": "look"}, headers={"HX-Request": "true"})
    assert "32.4\xa0MB of 114.4\xa0MB" in part.content.decode()
    downloads.fail(row, "the line was cut")
    assert "the line was cut" in client.post("/checkpoints/register", read | {"do": "look"}).content.decode()
    client.post("/checkpoints/register", read)
    worker.download(row.pk)
    page = client.post("/checkpoints/register", read | {"do": "look"}).content.decode()
    assert 'value="lab/tiny"' in page
    assert "Register</button>" in page


def test_an_api_client_asks_and_follows(world: World, lab: Hub) -> None:
    client = world.client("mate")
    ask = {"location": "lab/tiny"}
    said = client.post("/api/v1/downloads", ask, content_type="application/json")
    assert (said.status_code, said.json()["state"]) == (200, "waiting"), said.content
    assert client.get("/api/v1/downloads", ask).json()["state"] == "waiting"
    worker.download(HubDownload.objects.get().pk)
    assert client.get("/api/v1/downloads", ask).json()["state"] == "done"
    assert client.post("/api/v1/downloads", ask, content_type="application/json").json()["state"] == "done"


def test_whole_files_of_a_killed_download_are_not_fetched_again(
    world: World, lab: Hub, tmp_path: Path
) -> None:
    write_tiny_llama(tmp_path / "a", d=768, layers=1, heads=1)
    row = downloads.have(world.mate, "lab/tiny")
    assert row is not None
    lab.pace = 4e6
    first = subprocess.Popen([sys.executable, "-m", "workers.hub_fetch", "lab/tiny", "main"])
    until = time.monotonic() + 60
    while worker._bytes_of(row) < 6_000_000:
        assert time.monotonic() < until
        assert first.poll() is None
        time.sleep(0.1)
    first.kill()
    first.wait()
    lab.pace = None
    lab.sent.clear()
    (left,) = (tmp_path / "cache").rglob("*.incomplete")
    os.utime(left, (0, 0))
    assert worker.download(row.pk)
    row.refresh_from_db()
    assert (row.state, row.error) == ("done", "")
    assert lab.sent == ["model.safetensors"]
    assert not list((tmp_path / "cache").rglob("*.incomplete"))
    (found,) = find_checkpoints("lab/tiny")
    assert read_model_folder(Path(found.location)).digest == read_model_folder(tmp_path / "a").digest


def test_the_command_downloads_what_it_registers(
    world: World, lab: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "register",
        "lab/tiny@v2",
        "--series",
        "hub",
        "--configuration",
        "c",
        "--user",
        "mate",
        "--team",
        "Team",
    ]
    assert main(words) == 0
    assert "registered lab/tiny@v2" in capsys.readouterr().out
    assert Checkpoint.objects.get(series__name="hub").source == f"lab/tiny@{SECOND}"
    assert main(["register", "lab/other", *words[2:]]) == 1
    assert "the hub has no lab/other" in capsys.readouterr().err
