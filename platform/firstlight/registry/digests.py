"""Digests of weights: small ones are taken at once, large ones by a worker under a lease, with progress.

The database says what waits; a message to a worker only wakes it. Two workers that read the same folder write the
same digest, so the lease saves work and guards nothing.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from firstlight.files.model_folder import ModelFolder, ModelFolderError, take_digest
from firstlight.registry.models import Checkpoint
from firstlight.registry.waking import wake_after_commit
from firstlight.teams.access import User, record, require_writer

LEASE = timedelta(seconds=60)
#: Weights that a request reads itself: in some hundredths of a second.
AT_ONCE = 16 * 2**20
#: The task of the workers that reads one.
READ = "read_digest"
State = Checkpoint.DigestState
PENDING = (State.WAITING, State.READING)


def begin(checkpoint: Checkpoint, folder: ModelFolder) -> None:
    """Take the digest of weights that were just registered, or ask a worker for it."""
    checkpoint.digest_size, checkpoint.digest_read, checkpoint.digest_error = folder.bytes, 0, ""
    if folder.bytes <= AT_ONCE:
        try:
            settle(checkpoint, take_digest(folder))
        except ModelFolderError as error:
            fail(checkpoint, str(error))
        return
    checkpoint.digest, checkpoint.digest_state = "", State.WAITING
    checkpoint.digest_lease_until = None
    checkpoint.save()
    wake_after_commit(READ, checkpoint.pk)


def read_again(actor: User, checkpoint: Checkpoint) -> Checkpoint:
    """After a failure: ask a worker once more."""
    require_writer(actor, checkpoint.series.team)
    with transaction.atomic():
        Checkpoint.objects.filter(pk=checkpoint.pk, digest_state=State.FAILED).update(
            digest_state=State.WAITING, digest_lease_until=None, digest_error="", digest_read=0
        )
        record(actor, checkpoint.series.team, "asked for digest", checkpoint)
        wake_after_commit(READ, checkpoint.pk)
    return checkpoint


def waiting() -> QuerySet[Checkpoint]:
    """Checkpoints whose digest nobody is reading."""
    free = Q(digest_lease_until=None) | Q(digest_lease_until__lt=Now())
    return Checkpoint.objects.filter(free, digest_state__in=PENDING)


def claim(pk: int) -> Checkpoint | None:
    """Lease the reading of one digest; None where it is known, or somebody reads it."""
    claimed = waiting().filter(pk=pk).update(digest_state=State.READING, digest_lease_until=Now() + LEASE)
    return Checkpoint.objects.select_related("series__team").get(pk=pk) if claimed else None


def progress(checkpoint: Checkpoint, done: int) -> None:
    Checkpoint.objects.filter(pk=checkpoint.pk, digest_state=State.READING).update(
        digest_read=done, digest_lease_until=Now() + LEASE
    )


def settle(checkpoint: Checkpoint, digest: str) -> None:
    """The digest is known. Weights that the series has already are left out of fits until somebody decides."""
    with transaction.atomic():
        twin = (
            Checkpoint.objects.filter(series=checkpoint.series_id, digest=digest, archived_at=None)
            .exclude(pk=checkpoint.pk)
            .order_by("id")
            .first()
        )
        checkpoint.digest, checkpoint.digest_state = digest, State.KNOWN
        checkpoint.digest_read, checkpoint.digest_lease_until = checkpoint.digest_size, None
        fields = [
            "digest",
            "digest_state",
            "digest_read",
            "digest_size",
            "digest_lease_until",
            "digest_error",
        ]
        if twin and not checkpoint.left_out:
            checkpoint.left_out = same_weights(twin)
            fields.append("left_out")
            record(None, checkpoint.series.team, "found duplicate weights", checkpoint, same_as=twin.name)
        checkpoint.save(update_fields=fields)


def same_weights(twin: Checkpoint) -> str:
    """The reason that stands where weights came twice."""
    return f"same weights as {twin.name}"


def fail(checkpoint: Checkpoint, why: str) -> None:
    checkpoint.digest_state, checkpoint.digest_error = State.FAILED, why[:500]
    checkpoint.digest_lease_until = None
    checkpoint.save(update_fields=["digest_state", "digest_error", "digest_lease_until", "digest_size"])
