"""The exact distribution of the outcomes of a design, for tests that sum instead of sampling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom


@dataclass(frozen=True)
class Outcomes:
    """Every outcome of a design as the columns of a tally, with its probability."""

    columns: tuple[Any, ...]
    weight: NDArray[np.float64]


def _outcomes(p: float, r: int, floor: int, cap: int) -> Outcomes:
    """At the floor with s >= r; stopped at K > floor; at the cap with s < r."""
    s_floor = np.arange(r, floor + 1)
    k = np.arange(max(floor + 1, r), cap + 1)
    s_cap = np.arange(0, min(r, cap + 1))
    draws = np.concatenate([np.full(s_floor.size, floor), k, np.full(s_cap.size, cap)])
    passes = np.concatenate([s_floor, np.full(k.size, r), s_cap])
    # By the floor only "it came by then" matters, so any K up to the floor stands for it.
    stopped = np.concatenate(
        [np.full(s_floor.size, min(r, max(floor, 1))), k, np.zeros(s_cap.size, dtype=int)]
    )
    weight = np.concatenate(
        [binom.pmf(s_floor, floor, p), p * binom.pmf(r - 1, k - 1, p), binom.pmf(s_cap, cap, p)]
    )
    return Outcomes((draws, passes, stopped, r, floor, cap), weight)


@pytest.fixture(scope="session")
def outcomes() -> Callable[[float, int, int, int], Outcomes]:
    """The function (p, r, floor, cap) -> Outcomes."""
    return _outcomes
