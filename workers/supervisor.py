"""Children that stay up: programs under one supervisor, which starts them again when they end."""

import ctypes
import logging
import os
import signal
import socket
import subprocess
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
    """Starts children in order, starts again the ones that end, ends all of them, the broker last.

    lock: held as long as they run.
    """

    def __init__(
        self, children: list[Child], *, logs: Path | None = None, lock: IO[str] | None = None
    ) -> None:
        self.children = children
        self._lock = lock
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
        if self._lock:
            self._lock.close()

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


def wait_for_signal() -> None:
    """Until Ctrl-C or SIGTERM."""
    asked_to_end().wait()


def asked_to_end() -> threading.Event:
    """An event that Ctrl-C or SIGTERM sets from now on."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    return ended


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
