"""What keeps the site from working, in words that say what to do; and why an open run waits.

Looked at once in a while: pages show it where people look, `/readyz` says it to machines, workers claim nothing while
nothing could be stored.
"""

import shutil
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from firstlight.evaluations import turns
from firstlight.evaluations.actions import SERVED_BY
from firstlight.evaluations.engine_workers import Host, hosts_of
from firstlight.evaluations.models import Run

LOOK_SECONDS = 10
#: A statement that writes nothing and is refused all the same where nothing may be written.
_WRITE = "UPDATE django_migrations SET app = app WHERE id < 0"
_complete: list[bool] = []


def problems() -> list[str]:
    """What is wrong with the site as a whole, as it was a few seconds ago; empty where all is well."""
    known: list[str] | None = cache.get("problems")
    if known is None:
        known = [problem for problem in (cannot_store(), _unmigrated(), _no_broker()) if problem]
        cache.set("problems", known, LOOK_SECONDS)
    return known


def cannot_store() -> str:
    """Why nothing can be stored now, or ""."""
    free = shutil.disk_usage(settings.HOME).free
    if free < settings.LEAST_DISK:
        return (
            f"The site's disk is full ({free / 2**20:.0f} MB free, {settings.LEAST_DISK / 2**20:.0f} are kept): "
            "runs wait, and go on when there is room."
        )
    try:
        _write()
    except DatabaseError as error:
        if "locked" in str(error):  # somebody else writes
            return ""
        said = str(error).strip().splitlines()[0]
        return f"The database cannot be written ({said}): runs wait, and go on when it can be written again."
    return ""


def _write() -> None:
    if connection.vendor != "sqlite":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_WRITE)
        return
    usual = 1000 * int(connection.settings_dict["OPTIONS"].get("timeout", 5))
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 100")
        try:
            cursor.execute(_WRITE)
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {usual}")


def _unmigrated() -> str:
    """Whether this program and the database are of one version. That they are is true until the program ends."""
    if _complete:
        return ""
    try:
        executor = MigrationExecutor(connection)
        left = executor.migration_plan(executor.loader.graph.leaf_nodes())
        newer = set(MigrationRecorder(connection).applied_migrations()) - set(executor.loader.disk_migrations)
    except DatabaseError as error:
        return f"The database does not answer ({str(error).strip().splitlines()[0]})."
    if left:
        migration = left[0][0]
        return (
            f"The database is of an older version ({migration.app_label} {migration.name} is missing): "
            "`firstlight up` brings it up to date, and so does `python manage.py migrate`."
        )
    ours = {app for app, _ in executor.loader.disk_migrations}
    if any(app in ours for app, _ in newer):
        return "The database is of a newer version than this program: install that one and start it again."
    _complete.append(True)
    return ""


def _no_broker() -> str:
    try:
        with current_app.connection_for_write(connect_timeout=2) as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=2)
    except Exception as error:  # whatever the broker's transport raises
        return f"The broker does not answer ({error}): rings wait, and workers of engines alone go on."
    return ""


def why_it_waits(run: Run) -> list[dict[str, Any]]:
    """What an open run waits for, each as words and, where there is one, the command that helps or the time."""
    if run.state not in Run.OPEN:
        return []
    waits: list[dict[str, Any]] = [{"words": problem} for problem in problems()]
    if run.held_until:
        waits.append({"words": "It is tried again by itself", "until": run.held_until})
    if words := turns.spent(run.team_id):
        waits.append({"words": words})
    hosts = hosts_of(run.engine)
    alive = [host for host in hosts if host.alive]
    if not alive:
        waits.append(_no_worker(run, hosts))
    waits += [
        {
            "words": f"A worker on {host.name} runs Firstlight {host.version}, and this site {our_version()}: "
            "start it again."
        }
        for host in alive
        if host.version and host.version != our_version()
    ]
    return waits


def _no_worker(run: Run, hosts: list[Host]) -> dict[str, Any]:
    if run.engine == "reference":
        command, where = "firstlight up", "on this site's own host"
    elif run.engine == SERVED_BY:
        command, where = f"firstlight worker --engine {run.engine}", "on a host that reaches the endpoints"
    else:
        command = f"firstlight worker --engine {run.engine}"
        where = f"on a host with the device and the folder {run.checkpoint.location}"
    was = f" The last one was on {hosts[0].name}." if hosts else ""
    return {
        "words": f"It waits for a worker of the engine {run.engine}, and none is there.{was} Start one {where}:",
        "command": command,
    }


def our_version() -> str:
    """The version of Firstlight that this process runs."""
    try:
        return version("firstlight")
    except PackageNotFoundError:  # a source folder that was never installed
        return ""
