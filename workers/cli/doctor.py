"""`firstlight doctor`: what this installation would use, and what is wrong with it."""

import argparse
import importlib.util
import json
import os
import platform
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from firstlight.config import places
from firstlight.files.errors import Refused
from workers.cli.extras import EXTRAS, installed

#: The folder of each of the wheel's top-level names.
FOLDERS = {"firstlight": places.PACKAGE} | {
    name: Path(__file__).resolve().parents[2] / name for name in ("passuntil", "proxy", "workers")
}


def add_commands(commands: Any) -> None:
    parser = commands.add_parser("doctor")
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")
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


def _names() -> str:
    """Other distributions also install packages of these names: one of the two then imports the other's code."""
    owners = metadata.packages_distributions()
    wrong = []
    for name, folder in FOLDERS.items():
        spec = importlib.util.find_spec(name)
        file = Path(spec.origin).resolve() if spec and spec.origin else None
        if file != folder / "__init__.py":
            wrong.append(f"`import {name}` finds {file or 'no file'}, not the one in {folder}")
        others = sorted(set(owners.get(name, [])) - {"firstlight"})
        if others:
            wrong.append(f"the distribution {', '.join(others)} installs a package named {name} too")
    if wrong:
        raise Refused(f"{'; '.join(wrong)}: install Firstlight in an environment of its own.")
    return f"{', '.join(FOLDERS)}: no other distribution installs them"


def _extras() -> str:
    here = [extra for extra in EXTRAS if installed(extra)]
    absent = [extra for extra in EXTRAS if extra not in here]
    return f"installed: {', '.join(here) or 'none'}; not installed: {', '.join(absent) or 'none'}"


def _files() -> str:
    home = places.make_home()
    probe = home / ".doctor"
    probe.write_text("")
    probe.unlink()
    free = shutil.disk_usage(home).free / 2**30
    if free < 1:
        raise Refused(f"only {free:.1f} GiB free at {home}: make room.")
    return f"{home}, {free:.0f} GiB free"


def _database() -> str:
    if not installed("site"):
        return _without("site")
    from workers.database import set_up_django

    set_up_django()
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    waiting = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    name = f"{connection.vendor} {'.'.join(map(str, connection.get_database_version()))}"
    if not waiting:
        return f"{name}, up to date"
    return f"{name}, {waiting} migration{'s' * (waiting > 1)} to apply (firstlight up applies them)"


def _doorbell() -> str:
    if not installed("site"):
        return _without("site")
    url = places.broker_url()
    if url.startswith("filesystem"):
        return "folders: one machine only"
    if url.startswith("redis+socket"):
        return "a private Redis, started by firstlight up"
    import redis

    info = redis.Redis.from_url(url, socket_timeout=3).info("server")
    return f"Redis {info['redis_version']}"


def _engines() -> str:
    if not installed("engine"):
        return _without("engine")
    kinds = ["reference", *(extra for extra in ("torch", "vllm") if installed(extra)), "openai"]
    return f"{', '.join(kinds)} (numpy {metadata.version('numpy')})"


def _without(extra: str) -> str:
    return f"not checked: the extra is not installed (pip install 'firstlight[{extra}]')"


CHECKS: dict[str, Callable[[], str]] = {
    "python": _python,
    "names": _names,
    "extras": _extras,
    "files": _files,
    "database": _database,
    "doorbell": _doorbell,
    "engines": _engines,
}
