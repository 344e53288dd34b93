"""Memory of this process that nothing holds any more, given back to the system when an engine closes."""

from __future__ import annotations

import ctypes
import gc


def trim() -> None:
    """glibc keeps what is freed, more with each checkpoint, where small objects lie between large ones."""
    gc.collect()
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
    if give_back is not None:
        give_back(0)
