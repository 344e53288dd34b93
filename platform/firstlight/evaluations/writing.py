"""Transactions that write to the queue: on SQLite their writers wait in front of the database.

SQLite's own waiting sleeps longer the longer it lasts, so that one of several busy workers may starve for seconds. A
lock on a file beside the database, asked for every few milliseconds, gives each the same chance. It ends with the
process that holds it, and whoever waits in vain goes on to SQLite's own lock and its error.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.db import connection, transaction

PACE, PATIENCE = 0.002, 20.0


@contextmanager
def writing() -> Iterator[None]:
    """A transaction, as `transaction.atomic`."""
    if connection.vendor != "sqlite" or connection.in_atomic_block or connection.is_in_memory_db():  # type: ignore[attr-defined]
        with transaction.atomic():
            yield
        return
    with Path(f"{connection.settings_dict['NAME']}-writers").open("a") as file:
        _wait_for(file)
        with transaction.atomic():
            yield


def _wait_for(file: IO[str]) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return None
        time.sleep(PACE)
