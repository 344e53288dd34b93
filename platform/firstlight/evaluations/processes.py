"""Names of the processes that hold leases, and whether one of this host is still there.

On one host a dead holder is seen at once; elsewhere its lease runs out.
"""

import os
import socket
from pathlib import Path


def worker_id() -> str:
    """host/process id/start time of this process: a reused process id is another worker."""
    pid = os.getpid()
    return f"{this_host()}{pid}/{_started(pid)}"


def this_host() -> str:
    """What the names of this host's workers begin with."""
    return f"{socket.gethostname()}/"


def is_alive(worker: str) -> bool:
    """Whether a worker of this host still runs."""
    _, pid, started = worker.rsplit("/", 2)
    return _started(int(pid)) == started


def _started(pid: int) -> str:
    """The process' start time in clock ticks since boot, or "" where it is gone (or a zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
