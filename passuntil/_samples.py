"""What is too large to be looked at whole at every step, and instances that stand for all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from passuntil._arrays import Floats

#: Cells (instances x models) above which steps that a forecast repeats look at some of the instances.
LARGE_CELLS = 100_000


def evenly(values: Floats, count: int) -> NDArray[np.intp]:
    """`count` of the places of `values`, spread evenly over their order; all of them where there are no more."""
    order = np.argsort(values, kind="stable")
    if values.size <= count:
        return order
    return order[((np.arange(count) + 0.5) * values.size / count).astype(np.intp)]
