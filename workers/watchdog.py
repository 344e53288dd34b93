"""Ends a process that makes no step: an engine or a grader that hangs may hold the interpreter and all its threads.

A process under guard says by when it will have made its next step, in memory that it shares with a small process
beside it. That one looks at the clock, kills what is late, and says so to the runs whose units it held. Whoever
started the killed process starts it again.
"""

import logging
import mmap
import os
import signal
import struct
import subprocess
import sys
import time

log = logging.getLogger(__name__)
LOOK_SECONDS = 0.5
#: The deadline on the monotonic clock (0: none), what was allowed, and whether an engine is being opened.
_STATE = struct.Struct("dd?")
_guarded: "list[mmap.mmap]" = []


def guard(worker: str) -> None:
    """Start a watchdog over this process. `worker` is its name in leases."""
    handle = os.memfd_create("watchdog")
    os.ftruncate(handle, _STATE.size)
    _guarded[:] = [mmap.mmap(handle, _STATE.size)]
    rest()
    argv = [sys.executable, "-m", "workers.watchdog", str(os.getpid()), str(handle), worker]
    subprocess.Popen(argv, pass_fds=[handle], stdin=subprocess.DEVNULL, start_new_session=True)
    os.close(handle)


def expect(seconds: float, *, opening: bool = False) -> None:
    """The next step comes within so many seconds. `opening`: it is that an engine opens."""
    for shared in _guarded:
        _STATE.pack_into(shared, 0, time.monotonic() + seconds, seconds, opening)


def rest() -> None:
    """Nothing is expected of this process."""
    for shared in _guarded:
        _STATE.pack_into(shared, 0, 0.0, 0.0, False)


def watch(pid: int, handle: int, worker: str) -> None:
    """Look at the clock until the process is gone; kill it when it is late."""
    shared = mmap.mmap(handle, _STATE.size)
    while os.getppid() == pid:
        deadline, allowed, opening = _STATE.unpack_from(shared)
        if 0.0 < deadline < time.monotonic():
            # it may have made its step this very moment, or this machine may have slept
            time.sleep(LOOK_SECONDS)
            if _STATE.unpack_from(shared)[0] == deadline and os.getppid() == pid:
                os.kill(pid, signal.SIGKILL)
                _tell(worker, allowed, opening)
                return
        time.sleep(LOOK_SECONDS)


def _tell(worker: str, allowed: float, opening: bool) -> None:
    """Its leases are free and its runs say why; a database that does not answer is asked again."""
    what = "to open its engine" if opening else "for one step"
    reason = f"A worker took more than {allowed:g} s {what}: it was killed, and another goes on."
    from workers.database import set_up_django

    set_up_django()
    from firstlight.evaluations.failures import say_killed

    log.error("%s: %s", worker, reason)
    for attempt in range(8):
        try:
            say_killed(worker, reason, opening=opening)
        except Exception as error:  # the lease ends by itself, so only the reason is lost
            log.warning("not said yet: %s", error)
            time.sleep(2**attempt)
        else:
            return


if __name__ == "__main__":
    watch(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
