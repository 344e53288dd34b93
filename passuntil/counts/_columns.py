"""Columns of counts: arrays of one shape that hold the same figure of many tallies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from passuntil._arrays import Ints
from passuntil._checks import whole
from passuntil.errors import PassUntilError


def columns_of(*values: Any) -> list[Ints]:
    """The values as int64 arrays of one shape, None read as 0; nothing is checked."""
    return list(np.broadcast_arrays(*(np.asarray(0 if v is None else v, dtype=np.int64) for v in values)))


def stopped_beyond_floor(
    stopped_at: ArrayLike | None, r: ArrayLike | None, floor: ArrayLike | None
) -> NDArray[np.bool_]:
    """True where the r-th pass ended the run: it came, and came later than the floor."""
    k, passes_wanted, n0 = columns_of(stopped_at, r, floor)
    return (passes_wanted > 0) & (k > n0)


def whole_columns(draws: ArrayLike, passes: ArrayLike) -> tuple[Ints, Ints]:
    """Draws and passes as int64 arrays of one shape; refused unless whole and 0 <= passes <= draws."""
    columns = []
    for name, values in (("draws", draws), ("passes", passes)):
        try:
            array = np.asarray(values)
        except (TypeError, ValueError):
            raise PassUntilError(f"{name} must be whole numbers, not {values!r:.60}") from None
        if array.dtype.kind not in "iu":
            listed = array.ravel().tolist()
            odd = next((x for x in listed if isinstance(x, bool) or not isinstance(x, int)), None)
            if listed:
                raise PassUntilError(f"{name} must be whole numbers, not {odd!r}")
            array = array.astype(np.int64)
        if array.size:
            whole(name, int(array.min()))
            whole(name, int(array.max()))
        columns.append(array.astype(np.int64))
    try:
        n, s = np.broadcast_arrays(*columns)
    except ValueError:
        raise PassUntilError(
            f"draws {columns[0].shape} and passes {columns[1].shape} differ in shape; give one of each"
        ) from None
    if (s > n).any():
        worst = int(np.argmax(s - n))
        raise PassUntilError(
            f"passes ({s.ravel()[worst]}) exceed draws ({n.ravel()[worst]}) at place {worst}; "
            "count both over the same draws"
        )
    return n, s
