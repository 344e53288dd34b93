"""Says from a thread of its own that this process draws for some kinds of engine."""

import logging
import threading
from collections.abc import Sequence

from django.db import connection
from firstlight.evaluations.leases import worker_id
from firstlight.evaluations.presence import SAY_SECONDS, say_alive

log = logging.getLogger(__name__)


def keep_saying(kinds: Sequence[str], stop: threading.Event | None = None) -> threading.Thread:
    """Until `stop`, or the process ends. A database that does not answer is asked again later."""
    stop = stop or threading.Event()
    name = worker_id()

    def say() -> None:
        while True:
            try:
                say_alive(name, list(kinds))
            except Exception as error:  # nothing depends on it but a line of a form
                log.warning("not said to be alive: %s", error)
            connection.close()
            if stop.wait(SAY_SECONDS):
                return

    thread = threading.Thread(target=say, daemon=True, name="presence")
    thread.start()
    return thread
