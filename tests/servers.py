"""Real servers for tests: the one on 127.0.0.1 when it answers, else a private one from a binary on PATH, else skip."""

import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def absent(what: str) -> None:
    """Skip by name; where servers are required (in CI), fail."""
    message = f"{what}: none answers on 127.0.0.1 and no binary is on PATH"
    if os.environ.get("FIRSTLIGHT_REQUIRE_SERVERS"):
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def redis_url() -> Iterator[str]:
    """A Redis database that is empty at the start, but for the key that claims it."""
    import redis

    for number in range(15, 5, -1):
        client = redis.Redis(host="127.0.0.1", port=6379, db=number, socket_timeout=2)
        try:
            # of processes that test side by side one alone sets the key; a process that was killed lets go in time
            if client.dbsize() == 0 and client.set("firstlight-tests", 1, nx=True, ex=3600):
                yield f"redis://127.0.0.1:6379/{number}"
                client.flushdb()
                return
        except redis.RedisError:
            break
    binary = shutil.which("redis-server")
    if not binary:
        absent("Redis")
    port = free_port()
    process = subprocess.Popen(
        [str(binary), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()


@contextmanager
def postgres_url() -> Iterator[str]:
    """A fresh PostgreSQL database, dropped at the end."""
    import psycopg

    server = "postgresql://postgres@127.0.0.1:5432"
    process, folder = None, None
    try:
        psycopg.connect(f"{server}/postgres", connect_timeout=3).close()
    except psycopg.OperationalError:
        process, folder, server = _private_postgres()
    name = f"firstlight_test_{uuid.uuid4().hex[:12]}"
    try:
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
        yield f"{server}/{name}"
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]
    finally:
        if process:
            process.terminate()
            process.wait()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _private_postgres() -> tuple[subprocess.Popen[bytes], str, str]:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = shutil.which("initdb") or (str(programs[-1]) if programs else None)
    if not initdb:
        absent("PostgreSQL")
    binaries = Path(str(initdb)).resolve().parent
    folder = tempfile.mkdtemp(prefix="firstlight-pg-")
    owner: dict[str, str] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        owner = {"user": next(u.pw_name for u in pwd.getpwall() if u.pw_name in ("postgres", "nobody"))}
        shutil.chown(folder, owner["user"])
    data = f"{folder}/data"
    subprocess.run(
        [str(binaries / "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-N"],
        check=True, stdout=subprocess.DEVNULL, cwd="/", **owner,
    )  # fmt: skip
    port = free_port()
    process = subprocess.Popen(
        [str(binaries / "postgres"), "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **owner,
    )  # fmt: skip
    wait_for_port(port)
    time.sleep(0.5)  # it opens the port a moment before it answers
    return process, folder, f"postgresql://postgres@127.0.0.1:{port}"


#: The kernel gives out no port below 32768, and each process of a parallel run has a thousand of its own there.
_first = 20_000 + 1000 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12)
_ports = iter(random.Random(os.getpid()).sample(range(_first, _first + 1000), 1000))


@contextmanager
def nginx(folder: Path, *, web: int) -> Iterator[int]:
    """nginx with the configuration that we ship, its files in `folder`, in front of the port `web`: its own port."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not binary:
        absent("nginx")
    port = free_port()
    shipped = (ROOT / "platform" / "firstlight" / "config" / "nginx.conf").read_text()
    ours = shipped.replace("127.0.0.1:8000", f"127.0.0.1:{web}").replace(
        "listen 80;", f"listen 127.0.0.1:{port};"
    )
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{ worker_connections 1024; }}\n"
        f"http {{ access_log off; {paths} {ours} }}\n"
    )
    process = subprocess.Popen(
        [str(binary), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    )
    try:
        wait_for_port(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """A port that nobody takes before the caller does."""
    for port in _ports:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    pytest.fail("no port is left for tests")


def wait_for_port(port: int, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"nothing answered on port {port} within {seconds:.0f} s")
