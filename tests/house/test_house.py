"""The rules of the house that no linter knows."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_platform_is_a_bare_source_root() -> None:
    """A module directly in platform/ would shadow Python's own `platform` for everything started here."""
    assert [path.name for path in (ROOT / "platform").iterdir() if path.suffix == ".py"] == []
    process = subprocess.run(
        [sys.executable, "-c", "import platform; print(platform.python_version())"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert process.stdout.startswith("3.")


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_are_pinned_by_hash_and_name_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"^--(index|extra-index|find-links|trusted)", text, re.MULTILINE)
    pins = re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==", text, re.MULTILINE)
    assert len(pins) > 20
    for block in re.split(r"\n(?=[a-z])", text.strip()):
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_a_web_node_installs_neither_torch_nor_vllm() -> None:
    assert not re.search(
        r"^(torch|vllm|transformers|nvidia-\S*)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )


def test_the_repository_stays_under_40_megabytes() -> None:
    assert sum(path.stat().st_size for path in tracked()) < 40e6


def test_modules_stay_short() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked("*.py")
        if not {"migrations", "tests"} & set(path.parts)
        and (lines := len(path.read_text().splitlines())) > 400
    }
    assert long == {}


def test_the_site_and_the_workers_name_no_kind_of_stopping_rule() -> None:
    """A new rule is one file of passuntil and its test: who else asks a rule asks by its protocol."""
    from passuntil.rules import RULES

    names = "|".join(rule.__name__ for rule in RULES.values())
    named = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked(
            "platform/*.py", "workers/*.py", "templates/*.html", "platform/*.css", "platform/*.js"
        )
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(rf"\b({names}|{'|'.join(RULES)})\b", line) and "migrations" not in path.parts
    ]
    assert named == []
