"""`firstlight doctor`: what this installation would use, and an exit status that a script can rely on."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.servers import free_port

CHECKS = ["python", "files", "database", "doorbell", "engines"]


def test_a_sound_installation_exits_0_and_tells_what_it_would_use(program: Call, tmp_path: Path) -> None:
    answer = program("doctor", "--json", FIRSTLIGHT_BROKER="filesystem")
    assert (answer.status, answer.err) == (0, "")
    found = answer.json()
    assert found["ok"] is True
    assert [check["check"] for check in found["checks"]] == CHECKS
    told = {check["check"]: check["found"] for check in found["checks"]}
    assert str(tmp_path / "home") in told["files"]
    assert told["database"].startswith("sqlite")
    assert told["doorbell"].startswith("folders")
    assert told["engines"].startswith("reference")


def test_without_json_every_check_is_a_line(call: Call, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIRSTLIGHT_REDIS_URL")
    monkeypatch.setenv("FIRSTLIGHT_BROKER", "filesystem")
    answer = call("doctor")
    assert (answer.status, answer.err) == (0, "")
    assert [line.split()[:2] for line in answer.out.splitlines()] == [["ok", check] for check in CHECKS]


def test_every_failed_check_is_a_line_and_the_exit_status_is_1(program: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    nobody = free_port()
    answer = program(
        "doctor",
        "--json",
        FIRSTLIGHT_HOME=str(tmp_path / "file" / "home"),
        FIRSTLIGHT_REDIS_URL=f"redis://127.0.0.1:{nobody}/0",
    )
    assert (answer.status, answer.err) == (1, "")
    found = json.loads(answer.out)
    assert found["ok"] is False
    failed = {check["check"]: check["found"] for check in found["checks"] if not check["ok"]}
    assert set(failed) == {"files", "database", "doorbell"}
    assert "set FIRSTLIGHT_HOME" in failed["database"]
    assert str(nobody) in failed["doorbell"]
