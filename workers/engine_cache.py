"""One loaded engine per process, kept while units of its checkpoint are due, probed when it is loaded."""

import time
from dataclasses import dataclass, field
from typing import Any

from firstlight.evaluations.models import EngineProbe
from firstlight.files.task_file import InstanceSpec
from firstlight.registry.endpoints import engine_arguments
from firstlight.registry.models import Checkpoint
from workers.engines import open_engine
from workers.engines.base import Engine, EngineRefusal
from workers.engines.probe import canary, compare, probe

#: Units that a worker claims at once: few enough to leave some for others, enough to fill its engine.
LEAST_CLAIM, MOST_CLAIM = 12, 128
DRAWS_A_CLAIM = 16

_options: dict[str, Any] = {}
_loaded: "list[Loaded]" = []


@dataclass(kw_only=True)
class Loaded:
    """An engine in this process.

    since: when it was loaded, on the monotonic clock.
    ceiling: tokens a second that it drew at its load; 0 where its canary cannot be drawn.
    answered: share of its canary's answers that were not empty at the checkpoint's first load.
    """

    engine: Engine
    kind: str
    checkpoint: int
    location: str
    digest: str
    prompt: str
    ceiling: float = 0.0
    answered: float = 0.0
    since: float = field(default_factory=time.monotonic)

    @property
    def age(self) -> float:
        """Seconds since it was loaded."""
        return time.monotonic() - self.since

    def check_canary(self) -> None:
        """Raises EngineGarbage where the engine fell silent since."""
        compare(canary(self.engine, self.prompt).answered, self.answered)


def set_options(options: dict[str, Any]) -> None:
    """Options with which this process opens engines: a share of the device's memory, say."""
    _options.clear()
    _options.update(options)


def engine_for(kind: str, checkpoint: Checkpoint, spec: InstanceSpec) -> Loaded:
    """The engine of `checkpoint`; closes the one before. The path and the weights' digest are checked again here.

    `spec`: an instance about to be drawn; its prompt is the canary's where the checkpoint never had one.
    """
    known = kept()
    if known and (known.kind, known.location, known.digest) == (
        kind,
        checkpoint.location,
        checkpoint.digest,
    ):
        return known
    close()
    model, arguments = engine_arguments(checkpoint)
    engine = open_engine(kind, model, **arguments, **_options)
    try:
        if checkpoint.digest not in engine.fingerprint:
            raise EngineRefusal(
                f"the files of {checkpoint.location} changed since {checkpoint.name} was registered: "
                "register them as a new checkpoint."
            )
        loaded = _probed(engine, kind, checkpoint, spec)
    except BaseException:
        engine.close()
        raise
    _loaded.append(loaded)
    return loaded


def kept() -> Loaded | None:
    """What this process has loaded."""
    return _loaded[0] if _loaded else None


def open_checkpoint(kind: str) -> int | None:
    """The checkpoint whose engine of this kind is open in this process."""
    known = kept()
    return known.checkpoint if known and known.kind == kind else None


def claims_at_once(kind: str) -> int:
    """How many units fill an engine of this kind, by the one that is loaded."""
    known = kept()
    capacity = known.engine.capacity if known and known.kind == kind else 0
    return min(max(capacity // DRAWS_A_CLAIM, LEAST_CLAIM), MOST_CLAIM)


def close() -> None:
    while _loaded:
        _loaded.pop().engine.close()


def _probed(engine: Engine, kind: str, checkpoint: Checkpoint, spec: InstanceSpec) -> Loaded:
    """Probe, compare with the checkpoint's first load, remember."""
    row = EngineProbe.objects.filter(checkpoint=checkpoint, engine=kind).first()
    loaded = Loaded(
        engine=engine,
        kind=kind,
        checkpoint=checkpoint.pk,
        location=checkpoint.location,
        digest=checkpoint.digest,
        prompt=row.prompt if row else spec.prompt,
    )
    try:
        measured = probe(engine, loaded.prompt, max_tokens=spec.max_tokens)
    except EngineRefusal:  # this prompt cannot be drawn, which says nothing of the others
        return loaded
    compare(measured.answered, row.answered if row else 0.0)
    loaded.ceiling = measured.tokens_per_second
    loaded.answered = row.answered if row else measured.answered
    EngineProbe.objects.update_or_create(
        checkpoint=checkpoint,
        engine=kind,
        defaults={
            "prompt": loaded.prompt,
            "answered": loaded.answered,
            "tokens_per_second": loaded.ceiling,
            "fingerprint": engine.fingerprint[:200],
        },
    )
    return loaded
