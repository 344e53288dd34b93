"""What a working process says from threads of its own: that it draws for some engines, and that its leases go on."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from django.conf import settings
from django.db import close_old_connections, connection

from firstlight.evaluations import leases
from firstlight.evaluations.engine_workers import SAY_SECONDS, say_alive
from firstlight.evaluations.health import our_version
from firstlight.evaluations.leases import Claim
from firstlight.evaluations.processes import worker_id

log = logging.getLogger(__name__)


def keep_saying(kinds: Sequence[str], stop: threading.Event | None = None) -> threading.Thread:
    """Until `stop`, or the process ends. A database that does not answer is asked again later."""
    stop = stop or threading.Event()
    name = worker_id()

    def say() -> None:
        while True:
            try:
                say_alive(name, list(kinds), version=our_version())
            except Exception as error:  # nothing depends on it but a line of a form
                log.warning("not said to be alive: %s", error)
            connection.close()
            if stop.wait(SAY_SECONDS):
                return

    thread = threading.Thread(target=say, daemon=True, name="presence")
    thread.start()
    return thread


@contextmanager
def leases_kept(held: Callable[[], list[Claim]]) -> Iterator[None]:
    """Prolong the leases that are held from a thread of its own while the engine draws."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(settings.HEARTBEAT_SECONDS):
            try:
                close_old_connections()
                leases.heartbeat(held())
            except Exception as error:  # a missed beat is no reason to stop drawing: the fence decides
                log.warning("heartbeat missed: %s", error)
        connection.close()

    thread = threading.Thread(target=beat, daemon=True, name="heartbeat")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=5)
