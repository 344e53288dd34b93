"""Outcomes of single draws, checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from passuntil.errors import PassUntilError


def outcomes_of(bits: Iterable[Any] | NDArray[Any]) -> NDArray[np.bool_]:
    """Passes and failures as booleans; text is refused, since "10" reads as two outcomes or as one number."""
    if isinstance(bits, str | bytes):
        raise PassUntilError(f"bits must be a sequence of 0 and 1, not text ({bits[:20]!r})")
    try:
        array = np.asarray(bits if isinstance(bits, np.ndarray) else list(bits))
    except (TypeError, ValueError):
        raise PassUntilError(f"bits must be a sequence of 0 and 1, not {type(bits).__name__}") from None
    if array.ndim != 1:
        raise PassUntilError(
            f"bits must have one dimension, not shape {array.shape}; give one instance at a time"
        )
    if array.size == 0 or array.dtype == np.bool_:
        return array.astype(np.bool_)
    if array.dtype.kind not in "iuf" or not bool(np.isin(array, (0, 1)).all()):
        odd = next((v for v in array.tolist() if v not in (0, 1)), array.tolist()[0])
        raise PassUntilError(f"bits must be 0 or 1, not {odd!r}; an unscored draw is missing, never 0")
    return array.astype(np.bool_)
