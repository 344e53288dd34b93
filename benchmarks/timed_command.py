"""A `firstlight` command as a process of its own on one core: what it printed, its seconds and its memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: BLAS and OpenMP on one thread, whichever library is asked.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Taken:
    """Standard output, processor seconds of user and system, and the largest resident set in bytes."""

    output: str
    seconds: float
    memory: int

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, {self.memory / 1e9:.2f} GB"


def timed_command(words: Sequence[str], root: Path = ROOT) -> Taken:
    """Run `firstlight` of the checkout at `root`; raises where it fails."""
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": f"{root}:{root / 'platform'}"}
    command = [sys.executable, "-m", "workers.cli.main", *words]
    with subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Taken(output, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
