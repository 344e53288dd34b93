"""A real web process, as `firstlight up` starts it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.1)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """Gunicorn as `firstlight up` starts it: its port, and the folder of its temporary files."""
    home = tmp_path_factory.mktemp("home")
    scratch = home / "scratch"
    scratch.mkdir()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FIRSTLIGHT_")},
        "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
        "FIRSTLIGHT_HOME": str(home),
        "FIRSTLIGHT_REDIS_URL": "memory://",
        "TMPDIR": str(scratch),
    }
    subprocess.run([sys.executable, "manage.py", "migrate", "-v", "0"], env=environment, cwd=ROOT, check=True)
    port = free_port()
    argv = [sys.executable, "-m", "gunicorn", "firstlight.config.wsgi:application", "-b", f"127.0.0.1:{port}",
            "-w", "1", "--threads", "4", "--log-level", "error", "--no-control-socket"]  # fmt: skip
    server = subprocess.Popen(argv, env=environment, cwd=ROOT)
    try:
        wait_for(port)
        yield port, scratch
    finally:
        server.terminate()
        server.wait()
