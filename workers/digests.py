"""Reads the digests of large weights: the one thing of a registration that takes minutes.

It is a Celery task with a time limit of its own, hours instead of the slices' minutes: a hash cannot be stored
half-way, so a slice could not be continued by another. Its lease is prolonged while it reads, and the sweep rings
again for one whose reader died.
"""

import logging
import time

from django.db import transaction

from firstlight.evaluations.doorbell import ring
from firstlight.evaluations.models import Run
from firstlight.files.errors import Refused
from firstlight.files.model_folder import ModelFolderError, read_headers_of, take_digest
from firstlight.registry import digests
from firstlight.registry.locations import resolve_location

log = logging.getLogger(__name__)
#: Seconds between two words on progress, which prolong the lease too.
PACE = 1.0


def read_digest(pk: int) -> bool:
    """Read one digest that waits; runs of the checkpoint are rung for then. False where there was nothing to do."""
    checkpoint = digests.claim(pk)
    if checkpoint is None:
        return False
    try:
        folder = read_headers_of(resolve_location(checkpoint.location))
        if folder.n_params != checkpoint.n_params:
            raise ModelFolderError(
                f"{folder.path} holds another model now, with N = {folder.n_params:,}: register it anew"
            )
        said = time.monotonic()

        def progress(done: int) -> None:
            nonlocal said
            if time.monotonic() - said >= PACE:
                said = time.monotonic()
                digests.progress(checkpoint, done)

        digest = take_digest(folder, progress)
        if read_headers_of(folder.path).seen != folder.seen:
            raise ModelFolderError(f"{folder.path} changed while it was read: read it again when it is whole")
    except (ModelFolderError, Refused) as error:
        digests.fail(checkpoint, str(error))
        return True
    with transaction.atomic():
        checkpoint.digest_size = folder.bytes
        digests.settle(checkpoint, digest)
        for run in Run.objects.filter(checkpoint=checkpoint, state__in=Run.OPEN):
            ring(run)
    return True


def read_all() -> int:
    """Read every digest that waits, here and now; for commands and tests. Returns how many."""
    return sum(read_digest(pk) for pk in list(digests.waiting().values_list("pk", flat=True)))
