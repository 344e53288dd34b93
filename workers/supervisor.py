"""Children that stay up: `firstlight up` runs web, worker, beat and, where it is private, Redis, in one terminal."""

import ctypes
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from firstlight.config import places
from firstlight.files.errors import Refused

log = logging.getLogger("firstlight.up")
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Linux: this process is killed when the one that started it is gone, so a kill -9 leaves no orphans.

    Nothing is lost: what was acknowledged is in the database, and a lease of a dead process is free at once.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass
class Child:
    """One supervised program. It is started again when it ends, later each time while it keeps failing at once."""

    name: str
    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0

    def start(self, output: IO[bytes] | None) -> None:
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.argv,
            env={**os.environ, **self.env},
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which ends its children in order
            preexec_fn=die_with_parent,
        )

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0


class Supervisor:
    """Starts children in order, starts again the ones that end, ends all of them, the broker last."""

    def __init__(self, children: list[Child], *, logs: Path | None = None) -> None:
        self.children = children
        self.logs = logs
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        for child in self.children:
            self._start(child)
            if child.name == "redis":
                _wait_for_socket(places.redis_socket(), child)
        # PR_SET_PDEATHSIG speaks of the thread that forked: restarts must come from one that lives as long as we do
        self._thread = threading.Thread(target=self._watch, daemon=True, name="supervisor")
        self._thread.start()

    def stop(self, patience: float = 35.0) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()
        until = time.monotonic() + patience
        # a worker takes leave of its broker, so the broker goes last
        for group in (
            [c for c in self.children if c.name != "redis"],
            [c for c in self.children if c.name == "redis"],
        ):
            _end([child.process for child in group if child.process], until)

    def child(self, name: str) -> Child:
        return next(child for child in self.children if child.name == name)

    def _start(self, child: Child) -> None:
        if self.logs:
            self.logs.mkdir(parents=True, exist_ok=True)
            with (self.logs / f"{child.name}.log").open("ab") as output:
                child.start(output)
        else:
            child.start(None)

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            for child in self.children:
                code = child.process.poll() if child.process else 0
                if code is None:
                    continue
                lived = time.monotonic() - child.started
                child.failures = child.failures + 1 if lived < 10 else 0
                pause = min(0.5 * 2**child.failures, 30)
                if lived >= pause:
                    log.warning("%s ended (exit %s): started again", child.name, code)
                    self._start(child)


def _end(processes: list[subprocess.Popen[bytes]], until: float) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def require_free_port(host: str, port: int) -> None:
    """Raises Refused where the port cannot be bound."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OverflowError as error:
            raise Refused(f"a port lies in 1 to 65535, not {port}.") from error
        except OSError as error:
            raise Refused(
                f"port {port} on {host} cannot be used ({error.strerror}): choose another with --port."
            ) from error


def site_children(*, host: str, port: int, processes: int) -> list[Child]:
    """What `firstlight up` runs on this machine. Each worker process computes on one core of its own."""
    python = sys.executable
    celery = [python, "-m", "celery", "--quiet", "-A", "firstlight.config.celery"]
    one_core = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    children = []
    if places.broker_url().startswith("redis+socket"):
        children.append(Child("redis", _redis_argv()))
    children += [
        Child(
            "worker",
            [
                *celery,
                "worker",
                "-Q",
                "site,engine.reference",
                "-c",
                str(processes),
                "--without-gossip",
                "--without-mingle",
                "-l",
                "WARNING",
            ],
            {
                **one_core,
                "REMAP_SIGTERM": "SIGQUIT",
                "PYTHONWARNINGS": "ignore:You're running the worker with superuser",
            },
        ),
        Child("beat", [*celery, "beat", "-l", "WARNING", "-s", str(places.home() / "beat"), "--pidfile="]),
        Child(
            "web",
            [
                python,
                "-m",
                "gunicorn",
                "firstlight.config.wsgi:application",
                "-b",
                f"{_bracket(host)}:{port}",
                "-w",
                "2",
                "--threads",
                "4",
                "--log-level",
                "warning",
                "--timeout",
                "60",
                "--no-control-socket",
            ],
        ),
    ]
    return children


def engine_children(kind: str, *, processes: int, options: list[str]) -> list[Child]:
    """Processes that each hold an engine of this kind (`workers.engine_process`)."""
    argv = [sys.executable, "-m", "workers.cli.main", "worker", "--engine", kind, "--alone"]
    for option in options:
        argv += ["--option", option]
    threads = {} if kind == "torch" else {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return [Child(f"{kind}-{number + 1}", argv, threads) for number in range(processes)]


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _redis_argv() -> list[str]:
    socket_path = places.redis_socket()
    data = places.home() / "redis"
    data.mkdir(parents=True, exist_ok=True)
    return [
        shutil.which("redis-server") or "redis-server",
        "--port", "0", "--unixsocket", str(socket_path), "--unixsocketperm", "700", "--dir", str(data),
        "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction",
        "--loglevel", "warning", "--logfile", str(data / "redis.log"),
    ]  # fmt: skip


def _wait_for_socket(path: Path, child: Child, seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
                return
            except OSError:
                time.sleep(0.05)
        if child.process and child.process.poll() is not None:
            break
    raise Refused(
        "the private Redis did not start: see its log, or set FIRSTLIGHT_BROKER=filesystem to do without."
    )
