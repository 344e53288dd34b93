"""A site in processes of its own, over the embedded default or over Redis and PostgreSQL."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_model import write_tiny_llama

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Site:
    """Starts programs of one installation and ends the ones it started."""

    home: Path
    environment: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FIRSTLIGHT_")},
            "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
            "FIRSTLIGHT_HOME": str(self.home),
            "FIRSTLIGHT_MODEL_ROOTS": str(self.home / "models"),
            "FIRSTLIGHT_LOG_LEVEL": "WARNING",
            "DJANGO_SETTINGS_MODULE": "firstlight.config.settings",
            "OPENBLAS_NUM_THREADS": "1",
            **self.environment,
        }
        write_tiny_llama(self.home / "models" / "tiny", d=64, layers=3, seed=3)

    def create_run(self, *, instances: int, cap: int, seed: int = 5) -> int:
        answer = self._call("create", str(self.home / "models"), str(instances), str(cap), str(seed))
        return int(answer["run"])

    def state(self, run: int) -> dict[str, Any]:
        return self._call("state", str(run))

    def start_worker(self, processes: int = 2) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "celery", "-A", "firstlight.config.celery", "worker", "-c", str(processes),
                "-Q", "site,engine.reference", "--without-gossip", "--without-mingle", "-l", "WARNING"]  # fmt: skip
        with (self.home / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                argv, env=self.env, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
        self.processes.append(worker)
        return worker

    def start_engines(self, *, processes: int = 2) -> subprocess.Popen[bytes]:
        """Supervised engine processes, without Celery."""
        argv = [sys.executable, "-m", "workers.cli.main", "worker", "--engine", "reference"]
        argv += ["--processes", str(processes), "--option", "rows=128"]
        with (self.home / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                argv, env=self.env, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
        self.processes.append(worker)
        return worker

    def engines(self, supervisor: subprocess.Popen[bytes]) -> list[int]:
        """Process ids of the engines of a supervisor."""
        children = Path(f"/proc/{supervisor.pid}/task").glob("*/children")
        return [int(pid) for file in children for pid in file.read_text().split()]

    def wait_for_engines(self, supervisor: subprocess.Popen[bytes], count: int, seconds: float) -> list[int]:
        """The engines of a supervisor, once there are that many, or after `seconds`."""
        end = time.monotonic() + seconds
        while len(engines := self.engines(supervisor)) != count and time.monotonic() < end:
            time.sleep(0.5)
        return engines

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """kill -9 of a worker and of its pool at once, as when the machine's memory runs out."""
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()

    def wait(self, run: int, until: Callable[[dict[str, Any]], bool], seconds: float) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while True:
            state = self.state(run)
            if until(state):
                return state
            if time.monotonic() > end:
                log = (self.home / "worker.log").read_text()[-3000:]
                pytest.fail(
                    f"run {run} stands at {state} after {seconds:.0f} s; the worker's log ends:\n{log}"
                )
            time.sleep(0.5)

    def state_of_tables(self) -> str:
        """ "whole" where every model can be read, and written in a small world."""
        self.create_run(instances=1, cap=64)
        program = (
            "from workers.database import set_up_django; set_up_django()\n"
            "from django.apps import apps\n"
            "[model.objects.first() for model in apps.get_models()]\n"
            "print('whole')"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=self.env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.stdout.strip() or done.stderr[-2000:]

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                self.kill(process)

    def _call(self, *arguments: str) -> dict[str, Any]:
        program = [sys.executable, str(ROOT / "tests" / "faults" / "site_process.py"), *arguments]
        done = subprocess.run(program, env=self.env, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-3000:]
        return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    sites: list[Site] = []

    def make(**environment: str) -> Site:
        home = tmp_path / f"site{len(sites)}"
        home.mkdir()
        sites.append(Site(home, environment))
        return sites[-1]

    yield make
    for site in sites:
        site.close()
