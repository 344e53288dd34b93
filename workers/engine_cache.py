"""One loaded engine per process, kept while units of its checkpoint are due."""

from firstlight.registry.locations import resolve_location
from firstlight.registry.models import Checkpoint

from workers.engines import open_engine
from workers.engines.base import Engine, EngineRefusal

_loaded: dict[tuple[str, str, str], Engine] = {}


def engine_for(kind: str, checkpoint: Checkpoint) -> Engine:
    """The engine of `checkpoint`; closes the one before. The path and the weights' digest are checked again here."""
    key = (kind, checkpoint.location, checkpoint.digest)
    if key not in _loaded:
        close()
        engine = open_engine(kind, resolve_location(checkpoint.location))
        if checkpoint.digest not in engine.fingerprint:
            engine.close()
            raise EngineRefusal(
                f"the files of {checkpoint.location} changed since {checkpoint.name} was registered: "
                "register them as a new checkpoint."
            )
        _loaded[key] = engine
    return _loaded[key]


def close() -> None:
    for engine in _loaded.values():
        engine.close()
    _loaded.clear()
