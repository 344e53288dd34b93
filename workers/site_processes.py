"""The processes of a site on this machine: web, worker, beat and, where it is private, Redis; or engines alone."""

import shutil
import socket
import sys
import time
from pathlib import Path
from typing import IO

from firstlight.config import places
from firstlight.files.errors import Refused
from workers.database import prepare_database, set_up_django
from workers.supervisor import Child, Supervisor


def bring_up(*, host: str, port: int, processes: int, logs: Path | None = None) -> Supervisor:
    """Check the port, prepare the database, start the children. The caller stops the supervisor."""
    if processes < 1:
        raise Refused(f"--workers must be at least 1, not {processes}.")
    # before the port, which the same site may have; after it, since a start that is refused writes nothing
    if holder := places.holder_of_home():
        raise _in_use(holder)
    require_free_port(host, port)
    lock = _the_home()
    try:
        set_up_django()
        prepare_database()
        from firstlight.config.celery import make_broker_folders

        make_broker_folders()
        (places.home() / "static").mkdir(exist_ok=True)
        supervisor = Supervisor(
            site_children(host=host, port=port, processes=processes), logs=logs, lock=lock
        )
    except BaseException:
        lock.close()
        raise
    try:
        supervisor.start()
    except BaseException:
        supervisor.stop(patience=5)
        raise
    return supervisor


def _the_home() -> IO[str]:
    """The lock on the home; raises Refused where a site runs from it already."""
    try:
        return places.lock_home(f"firstlight {sys.argv[1] if len(sys.argv) > 1 else 'up'}")
    except BlockingIOError as error:
        raise _in_use(str(error)) from error
    except OSError as error:
        raise Refused(
            f"cannot write below {places.home()} ({error.strerror}): set FIRSTLIGHT_HOME to a folder of yours."
        ) from error


def _in_use(holder: str) -> Refused:
    return Refused(
        f"{places.home()} is in use by {holder}: stop that one, or set FIRSTLIGHT_HOME to another folder."
    )


def site_address(host: str, port: int) -> str:
    return f"http://{_bracket(host)}:{port}"


def wait_until_served(host: str, port: int, seconds: float = 60.0) -> None:
    """Until the web process accepts connections, so that a printed address works; raises Refused where none does."""
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((_reached(host), port), timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > until:
                raise Refused(
                    f"the web process does not answer on port {port} after {seconds:.0f} s ({error}): see its log."
                ) from error
            time.sleep(0.05)


def _reached(host: str) -> str:
    """An address of this machine at which a server on `host` is reached."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


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
