"""Who reads a digest is killed: another goes on once the lease is over, and the digest is right."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from firstlight.files.model_folder import read_model_folder
from tests.tiny_model import write_tiny_llama

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


def test_a_killed_reader_is_followed_by_another(tmp_path: Path) -> None:
    folder = write_tiny_llama(tmp_path / "models" / "large", d=768, layers=1, heads=1)
    environment = os.environ | {
        "FIRSTLIGHT_HOME": str(tmp_path / "home"),
        "FIRSTLIGHT_MODEL_ROOTS": str(tmp_path / "models"),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
    }

    def start(*words: str) -> subprocess.Popen[str]:
        program = [sys.executable, "-m", "tests.faults.digest_reader", *words]
        return subprocess.Popen(program, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)

    def said(*words: str) -> list[str]:
        out, _ = start(*words).communicate(timeout=60)
        return out.split()

    state, read, size, *_ = said("register")
    assert (state, read) == ("waiting", "0")
    assert int(size) > 16 * 2**20
    reader = start("read")
    until = time.monotonic() + 30
    while (now := said("look"))[:1] != ["reading"] or now[1] == "0":
        assert time.monotonic() < until, now
        time.sleep(0.1)
    os.kill(reader.pid, signal.SIGKILL)
    reader.wait()
    assert said("look")[0] == "reading"
    state, read, size, digest = said("wait")
    assert (state, read, digest) == ("known", size, read_model_folder(folder).digest)
