"""`migrate`, safe to kill at any moment and to start twice at once.

Django records a migration that left statements for its end after it committed it: a kill in between leaves tables
that the next start wants to make again, for ever. Here a migration and its record are one transaction, on SQLite too,
and whoever comes second waits for the first.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

#: Of PostgreSQL's advisory lock.
KEY = 0x4669727374


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        """Django's own, one process at a time, each migration whole or not at all."""
        connection = connections[options.get("database") or DEFAULT_DB_ALIAS]
        # the command makes its executor by this name
        with _alone(connection), patch.object(migrate, "MigrationExecutor", WholeExecutor):
            super().handle(*args, **options)


class WholeExecutor(MigrationExecutor):
    """A migration and its record in one transaction."""

    def apply_migration(self, *args: Any, **more: Any) -> Any:
        """Inside it SQLite cannot change whether foreign keys are checked, so that comes before."""
        with _whole(self.connection):
            return super().apply_migration(*args, **more)

    def unapply_migration(self, *args: Any, **more: Any) -> Any:
        """The same, backwards."""
        with _whole(self.connection):
            return super().unapply_migration(*args, **more)


@contextmanager
def _whole(connection: BaseDatabaseWrapper) -> Iterator[None]:
    sqlite = connection.vendor == "sqlite"
    if sqlite:
        connection.disable_constraint_checking()
    try:
        with transaction.atomic(using=connection.alias):
            yield
            if sqlite:
                connection.check_constraints()
    finally:
        if sqlite:
            connection.enable_constraint_checking()


@contextmanager
def _alone(connection: BaseDatabaseWrapper) -> Iterator[None]:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [KEY])
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [KEY])
        return
    if connection.is_in_memory_db():  # type: ignore[attr-defined]
        yield
        return
    with Path(f"{connection.settings_dict['NAME']}-migrating").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
