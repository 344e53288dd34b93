"""`firstlight doctor`: what this installation would use, and an exit status that a script can rely on."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Call
from tests.servers import free_port

CHECKS = ["python", "names", "extras", "files", "database", "doorbell", "engines"]


def test_a_sound_installation_exits_0_and_tells_what_it_would_use(program: Call, tmp_path: Path) -> None:
    answer = program("doctor", "--json", FIRSTLIGHT_BROKER="filesystem")
    assert (answer.status, answer.err) == (0, "")
    report = answer.json()
    assert report["ok"] is True
    assert [check["check"] for check in report["checks"]] == CHECKS
    told = {check["check"]: check["found"] for check in report["checks"]}
    assert str(tmp_path / "home") in told["files"]
    assert told["database"].startswith("sqlite")
    assert told["doorbell"].startswith("folders")
    assert told["engines"].startswith("reference")
    assert told["extras"].startswith("installed: engine, site")


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
    report = json.loads(answer.out)
    assert report["ok"] is False
    failed = {check["check"]: check["found"] for check in report["checks"] if not check["ok"]}
    assert set(failed) == {"files", "database", "doorbell"}
    assert "set FIRSTLIGHT_HOME" in failed["database"]
    assert str(nobody) in failed["doorbell"]


def another_distribution(folder: Path, name: str, package: str) -> None:
    """What pip leaves behind of a distribution with one package."""
    (folder / package).mkdir(parents=True)
    (folder / package / "__init__.py").write_text("")
    information = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "RECORD").write_text(f"{package}/__init__.py,,\n{information.name}/METADATA,,\n")


@pytest.mark.parametrize("first", [True, False], ids=["before ours", "after ours"])
@pytest.mark.parametrize(
    ("package", "distribution"), [("proxy", "other-proxy"), ("passuntil", "passuntil-fork")]
)
def test_another_distribution_of_one_of_our_names_is_named(
    program: Call, tmp_path: Path, package: str, distribution: str, first: bool
) -> None:
    other = tmp_path / "other"
    another_distribution(other, distribution, package)
    ours = [str(ROOT), str(ROOT / "platform")]
    path = [str(other), *ours] if first else [*ours, str(other)]
    answer = program("doctor", "--json", PYTHONPATH=":".join(path), FIRSTLIGHT_BROKER="filesystem")
    told = {check["check"]: check for check in answer.json()["checks"]}
    assert answer.status == 1
    assert told["names"]["ok"] is False
    sentence = told["names"]["found"]
    assert f"the distribution {distribution} installs a package named {package} too" in sentence
    assert (f"`import {package}` finds {other / package / '__init__.py'}" in sentence) == first
    assert "environment of its own" in sentence


def test_a_package_of_one_of_our_names_that_no_distribution_owns_is_named(
    program: Call, tmp_path: Path
) -> None:
    (tmp_path / "other" / "proxy").mkdir(parents=True)
    file = tmp_path / "other" / "proxy" / "__init__.py"
    file.write_text("")
    answer = program("doctor", PYTHONPATH=f"{tmp_path / 'other'}:{ROOT}:{ROOT / 'platform'}")
    assert answer.status == 1
    (line,) = [line for line in answer.out.splitlines() if line.startswith("FAIL names")]
    assert str(file) in line
