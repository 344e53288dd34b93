"""`firstlight doctor`: what this installation would use, and what is wrong with it."""

import argparse
import importlib.util
import json
import os
import platform
import shutil
from collections.abc import Callable
from typing import Any

from firstlight.config import places
from firstlight.files.errors import Refused


def add_commands(commands: Any) -> None:
    parser = commands.add_parser("doctor", help="check this installation")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=doctor)


def doctor(arguments: argparse.Namespace) -> int:
    """Exit status 1 where a check failed."""
    checks: list[dict[str, Any]] = []
    for name, check in CHECKS.items():
        try:
            checks.append({"check": name, "ok": True, "found": check()})
        except Exception as error:  # every failed check is a line, whatever failed
            checks.append(
                {"check": name, "ok": False, "found": " ".join(str(error).split()) or type(error).__name__}
            )
    healthy = all(check["ok"] for check in checks)
    if arguments.json:
        print(json.dumps({"ok": healthy, "checks": checks}))
    else:
        for row in checks:
            print(f"{'ok  ' if row['ok'] else 'FAIL'} {row['check']:<12} {row['found']}")
    return 0 if healthy else 1


def _python() -> str:
    return f"{platform.python_version()}, {os.cpu_count()} cores"


def _files() -> str:
    home = places.home()
    home.mkdir(parents=True, exist_ok=True)
    probe = home / ".doctor"
    probe.write_text("")
    probe.unlink()
    free = shutil.disk_usage(home).free / 2**30
    if free < 1:
        raise Refused(f"only {free:.1f} GiB free at {home}: make room.")
    return f"{home}, {free:.0f} GiB free"


def _database() -> str:
    from workers.cli.site import set_up_django

    set_up_django()
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    waiting = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    name = f"{connection.vendor} {'.'.join(map(str, connection.get_database_version()))}"
    return (
        f"{name}, {waiting} migrations waiting (firstlight up applies them)"
        if waiting
        else f"{name}, up to date"
    )


def _doorbell() -> str:
    url = places.broker_url()
    if url.startswith("filesystem"):
        return "folders: one machine only"
    if url.startswith("redis+socket"):
        return "a private Redis, started by firstlight up"
    import redis

    info = redis.Redis.from_url(url, socket_timeout=3).info("server")
    return f"Redis {info['redis_version']}"


def _engine() -> str:
    import numpy

    extras = [name for name in ("torch", "vllm") if importlib.util.find_spec(name)]
    return f"reference (numpy {numpy.__version__})" + "".join(f", {name} installed" for name in extras)


CHECKS: dict[str, Callable[[], str]] = {
    "python": _python,
    "files": _files,
    "database": _database,
    "doorbell": _doorbell,
    "engines": _engine,
}
