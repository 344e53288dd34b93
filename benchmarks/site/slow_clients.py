"""The site behind the nginx configuration that it ships: 200 connections, half of them slow.

    python benchmarks/site/slow_clients.py [--seconds 60] [--fast 100] [--slow 100] [--bare]

nginx and gunicorn (as `firstlight up` starts it) on loopback. Slow connections send a form a byte at a time, or read
their answer a little at a time, for as long as they are let. Fast ones are people who are signed in, with a page every
2 s, as a live page asks. What is printed is of the fast: answers by status, p50, p95, the longest. `--bare` leaves
nginx out, for comparison.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import os
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]
from tests.servers import nginx, wait_for_port  # noqa: E402

WEB = 8741


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--fast", type=int, default=100)
    parser.add_argument("--slow", type=int, default=100)
    parser.add_argument("--pace", type=float, default=2.0, help="seconds between two pages of a person")
    parser.add_argument("--bare", action="store_true", help="without nginx")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ |= {
            "FIRSTLIGHT_HOME": str(home / "home"), "FIRSTLIGHT_REDIS_URL": "memory://", "FIRSTLIGHT_LOG_LEVEL": "ERROR",
            "FIRSTLIGHT_PROXIES": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}", "DJANGO_SETTINGS_MODULE":
            "firstlight.config.settings",
        }  # fmt: skip
        cookie, pages = world()
        web = start_web()
        try:
            wait_for_port(WEB)
            with nullcontext(WEB) if arguments.bare else nginx(home, web=WEB) as port:
                asyncio.run(load(port, cookie, pages, arguments))
        finally:
            web.terminate()
            web.wait()


def world() -> tuple[str, list[str]]:
    """A site with runs and forecasts: a session's cookie and the pages to ask for."""
    from workers.database import prepare_database, set_up_django

    set_up_django()
    prepare_database()
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    from tests.e2e import seed

    demo = seed.build(instances=12, cap=400, sizes=seed.SIZES[:5])
    session = SessionStore()
    session[SESSION_KEY] = str(demo.owner.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = demo.owner.get_session_auth_hash()
    session.save()
    run = demo.runs[0]
    pages = ["/runs", "/series", "/tasks", f"/runs/{run.pk}", f"/series/{demo.series.pk}", "/configurations"]
    return f"sessionid={session.session_key}", pages


def start_web() -> subprocess.Popen[bytes]:
    from workers.site_processes import site_children

    (web,) = [
        child for child in site_children(host="127.0.0.1", port=WEB, processes=1) if child.name == "web"
    ]
    return subprocess.Popen(web.argv, cwd=ROOT)


async def load(port: int, cookie: str, pages: list[str], arguments: argparse.Namespace) -> None:
    for _ in range(4):  # each process has answered before
        await asyncio.gather(
            *[
                person(port, cookie, pages, 9.0, k / 60, time.monotonic() + 1, collections.Counter(), [])
                for k in range(6)
            ]
        )
    until = time.monotonic() + arguments.seconds
    seen: collections.Counter[str] = collections.Counter()
    times: list[float] = []
    slow = [sluggish(port, cookie, pages[0], number, until) for number in range(arguments.slow)]
    fast = [
        person(port, cookie, pages, arguments.pace, number / arguments.fast, until, seen, times)
        for number in range(arguments.fast)
    ]
    await asyncio.gather(*slow, *fast)
    times.sort()
    if not times:
        sys.exit("no answer at all")
    p50, p95 = (1e3 * times[int(q * (len(times) - 1))] for q in (0.5, 0.95))
    print(
        f"{arguments.fast} fast and {arguments.slow} slow connections for {arguments.seconds:.0f} s: "
        f"{len(times):,} answers, {dict(sorted(seen.items()))}; p50 {p50:.0f}, p95 {p95:.0f}, "
        f"at most {1e3 * times[-1]:.0f} ms"
    )


async def person(
    port: int,
    cookie: str,
    pages: list[str],
    pace: float,
    phase: float,
    until: float,
    seen: collections.Counter[str],
    times: list[float],
) -> None:
    """A page every `pace` seconds over one connection, opened again where it was closed."""
    await asyncio.sleep(phase * pace)
    reader = writer = None
    turn = int(phase * 100)
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            path = pages[turn % len(pages)]
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode())
            status = await asyncio.wait_for(answer(reader), 30)
            seen[status] += 1
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            seen[type(error).__name__] += 1
            if writer:
                writer.close()
            reader = writer = None
        times.append(time.monotonic() - began)
        turn += 1
        await asyncio.sleep(max(0.0, began + pace - time.monotonic()))
    if writer:
        writer.close()


async def answer(reader: asyncio.StreamReader) -> str:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    if "transfer-encoding: chunked" in head:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        length = next(line for line in head.splitlines() if line.startswith("content-length:"))
        await reader.readexactly(int(length.split(":")[1]))
    return head.split(" ", 2)[1]


async def sluggish(port: int, cookie: str, path: str, number: int, until: float) -> None:
    """Odd ones send a form a byte a second, even ones read an answer in drops; both begin anew when cut off."""
    await asyncio.sleep(number * 0.15)  # they come one after another
    while time.monotonic() < until:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=256)
            if number % 2:
                head = "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000\r\n\r\n"
                writer.write(head.encode())
                while time.monotonic() < until:
                    writer.write(b"a")
                    await writer.drain()
                    await asyncio.sleep(1.0)
            else:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode())
                while time.monotonic() < until and await reader.read(16):
                    await asyncio.sleep(1.0)
            writer.close()
        except OSError:
            await asyncio.sleep(0.5)


if __name__ == "__main__":
    main()
