"""The client of training loops, against a site that answers over HTTP."""

import csv
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from firstlight.client import Firstlight, SiteError
from firstlight.evaluations.models import Run
from firstlight.registry import downloads
from firstlight.registry.models import Checkpoint, HubDownload
from firstlight.teams.tokens import create_token
from tests.cli.conftest import Answer
from tests.site.conftest import World, finish, lines, measured, world  # noqa: F401  # fixtures
from workers.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def token(world: World) -> str:  # noqa: F811
    return create_token(world.owner, name="loop", scope="write", days=1)[1]


@pytest.fixture
def site(live_server: Any, token: str) -> Firstlight:
    return Firstlight(str(live_server.url), token=token, patience=5)


def test_three_lines_register_a_checkpoint_and_start_its_evaluation(
    site: Firstlight,
    world: World,  # noqa: F811
    tmp_path: Path,
) -> None:
    (run,) = site.register(world.folder, series="loop", configuration="base", step=1000).evaluate(
        "sums", rule={"r": 2, "floor": 10, "cap": 100}
    )
    row = Run.objects.get(pk=run.id)
    assert (row.checkpoint.series.name, row.checkpoint.step, row.task) == ("loop", 1000, world.task)
    finish(row, 5)
    assert run.wait(timeout=10).state == "complete"
    assert run.refresh().estimate is not None
    rows = list(csv.DictReader(run.export(tmp_path / "t.csv").open()))
    assert len(rows) == 4
    assert [one.id for one in site.runs(state="complete")] == [run.id]


def test_a_refusal_is_the_sentence_of_the_site(site: Firstlight, world: World) -> None:  # noqa: F811
    with pytest.raises(SiteError, match="no such folder") as refused:
        site.register("nowhere", series="s", configuration="c")
    assert refused.value.status == 422


def test_a_loop_that_is_not_strict_goes_on(
    live_server: Any, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    site = Firstlight(str(live_server.url), token=token, strict=False, patience=0.1)
    assert site.register("nowhere", series="s", configuration="c").evaluate("sums") == []
    assert "no such folder" in caplog.text
    for nothing in (
        Firstlight("http://127.0.0.1:9", token="fl_x", strict=False, patience=0.1),
        Firstlight("nonsense", token="fl_x", strict=False),
    ):
        assert nothing.register("x", series="s", configuration="c").evaluate("t") == []
        assert nothing.upload_task(__file__) == {}


@pytest.mark.parametrize(
    ("url", "token", "told"), [("nonsense", "x", "no address"), ("http://a", "", "no token")]
)
def test_what_is_missing_is_said(url: str, token: str, told: str) -> None:
    with pytest.raises(SiteError, match=told):
        Firstlight(url, token=token)


def test_a_task_is_uploaded(site: Firstlight, tmp_path: Path) -> None:
    file = tmp_path / "more sums.jsonl"
    file.write_bytes(b"\n".join(lines(3)))
    assert site.upload_task(file)["instances"] == 3


class _Flaky(BaseHTTPRequestHandler):
    """Hangs up after the change was made, then answers 503, then as it should: with the key of the first try."""

    keys: list[str] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.keys.append(self.headers["Idempotency-Key"])
        if len(self.keys) == 1:
            self.connection.close()
            return
        self.send_response(503 if len(self.keys) == 2 else 201)
        body = json.dumps({"id": 7, "name": "x", "detail": "busy"}).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def flaky() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Flaky)
    _Flaky.keys = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_request_whose_answer_was_lost_is_sent_again_with_the_same_key(flaky: str) -> None:
    made = Firstlight(flaky, token="fl_x", patience=20).register("f", series="s", configuration="c")
    assert made.id == 7
    assert len(_Flaky.keys) == 3
    assert len(set(_Flaky.keys)) == 1


def test_the_client_needs_no_extra() -> None:
    """In a fresh interpreter: neither Django nor anything else that does not come with Python."""
    code = (
        "import sys; import firstlight.client; "
        "print([m for m in sys.modules if m.split('.')[0] in ('django', 'numpy', 'ninja', 'httpx', 'requests')])"
    )
    path = f"{ROOT}:{ROOT / 'platform'}"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


def call(capsys: pytest.CaptureFixture[str], *words: str) -> Answer:
    status = main(words)
    said = capsys.readouterr()
    return Answer(status, said.out, said.err)


def test_the_commands_work_on_a_site_elsewhere(
    live_server: Any,
    token: str,
    world: World,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FIRSTLIGHT_URL", str(live_server.url))
    monkeypatch.setenv("FIRSTLIGHT_TOKEN", token)
    where = ("--series", "far", "--configuration", "base")
    assert "would register tiny" in call(capsys, "register", str(world.folder), *where, "--preview").out
    assert not Checkpoint.objects.filter(series__name="far").exists()
    done = call(capsys, "register", str(world.folder), *where, "--name", "t", "--tokens", "2M")
    assert done.status == 0, done.err
    assert Checkpoint.objects.get(series__name="far").tokens == 2_000_000
    table = tmp_path / "c.csv"
    table.write_text(f"folder,name,step\n{world.folder},from-csv,7\n")
    done = call(capsys, "register", "--csv", str(table), *where)
    assert done.status == 0, done.err
    assert Checkpoint.objects.get(series__name="far", name="from-csv").step == 7
    table.write_text("step\n7\n")
    assert "names its columns" in call(capsys, "register", "--csv", str(table), *where).err
    started = call(
        capsys,
        "run",
        "--series",
        "far",
        "--checkpoint",
        "t",
        "--task",
        "sums",
        "--floor",
        "10",
        "--cap",
        "50",
        "--json",
    )
    run = json.loads(started.out)["run"]
    assert call(capsys, "wait", str(run), "--timeout", "0.1").status == 1
    finish(Run.objects.get(pk=run), 5)
    assert call(capsys, "wait", str(run)).status == 0
    out = tmp_path / "o.csv"
    assert call(capsys, "export", "--series", "far", "--task", "sums", "--out", str(out)).status == 0
    assert len(out.read_text().splitlines()) == 5
    refused = call(capsys, "run", "--series", "none", "--checkpoint", "t", "--task", "sums")
    assert (refused.status, "no checkpoint 't' in series 'none'" in refused.err) == (1, True)


def test_a_hub_id_is_followed_on_a_site_elsewhere(
    live_server: Any,
    token: str,
    world: World,  # noqa: F811
    settings: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    settings.HUB_ONLINE = True
    monkeypatch.setenv("FIRSTLIGHT_URL", str(live_server.url))
    monkeypatch.setenv("FIRSTLIGHT_TOKEN", token)

    def worker() -> None:
        until = time.monotonic() + 20
        while not (row := HubDownload.objects.first()) and time.monotonic() < until:
            time.sleep(0.05)
        assert row is not None
        downloads.fail(row, "the line was cut")
        connection.close()

    other = threading.Thread(target=worker)
    other.start()
    said = call(capsys, "register", "lab/tiny", "--series", "far", "--configuration", "base")
    other.join()
    assert said.status == 1
    assert "lab/tiny@main: 0 of 0 bytes" in said.err
    assert "the line was cut" in said.err
