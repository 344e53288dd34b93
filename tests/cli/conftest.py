"""The `firstlight` command, called in this process or in one of its own, and small things to give it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_model import write_tiny_llama
from workers.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
LADDER = ROOT / "examples" / "ladder"


@dataclass(frozen=True)
class Answer:
    """What a call of the command left behind."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """Standard output as one JSON document, the strict kind: no NaN."""
        return json.loads(self.out, parse_constant=_refuse)


Call = Callable[..., Answer]


def _refuse(constant: str) -> float:
    raise AssertionError(f"{constant} is no JSON")


def refused(answer: Answer, *words: str, status: int = 1) -> None:
    """Assert a refusal: the exit status, and exactly one line on stderr that holds all the words."""
    assert answer.status == status, answer
    assert answer.err.endswith("\n")
    assert len(answer.err.splitlines()) == 1, answer.err
    assert answer.err.startswith("firstlight")
    for word in words:
        assert word in answer.err


def instance(**changes: Any) -> dict[str, Any]:
    """An instance that the tiny model passes now and then."""
    return {"id": "a", "prompt": "abc=", "answer": "a", "grader": "contains", "max_tokens": 4, **changes}


def write_task(file: Path, *instances: dict[str, Any] | str) -> Path:
    """A task file; a string stands for a line as it is."""
    lines = [line if isinstance(line, str) else json.dumps(line) for line in instances]
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Call the command in this process."""

    def run(*arguments: object) -> Answer:
        capsys.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = int(stop.code or 0)
        captured = capsys.readouterr()
        return Answer(status, captured.out, captured.err)

    return run


@pytest.fixture
def program(tmp_path: Path) -> Call:
    """Call the command in a process of its own, with an installation of its own."""

    def run(*arguments: object, **environment: str) -> Answer:
        env = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTLIGHT_")}
        env |= {
            "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
            "PYTHONWARNINGS": "default",
            "FIRSTLIGHT_HOME": str(tmp_path / "home"),
            **environment,
        }
        done = subprocess.run(
            [sys.executable, "-m", "workers.cli.main", *map(str, arguments)],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint."""
    return write_tiny_llama(tmp_path_factory.mktemp("checkpoints") / "tiny", d=32, layers=1, heads=1, seed=1)


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A task of two instances."""
    return write_task(tmp_path / "task.jsonl", instance(), instance(id="b", prompt="b=", answer="b"))
