"""A real web process, as `firstlight up` starts it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import free_port, wait_for_port

ROOT = Path(__file__).resolve().parents[2]


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
        wait_for_port(port)
        yield port, scratch
    finally:
        server.terminate()
        server.wait()
