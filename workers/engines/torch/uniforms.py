"""Uniform numbers of draws on the device: Philox4x32-10, the same bits as `reference.philox` gives.

Reference: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
SC 2011, doi:10.1145/2063384.2063405.
"""

from __future__ import annotations

import torch
from torch import Tensor

from workers.engines.reference.philox import MULTIPLIERS, WEYL

_LOW = 0xFFFFFFFF


def uniform_table(key: Tensor, draws: Tensor, positions: int) -> Tensor:
    """Uniform numbers in [0, 1) of 53 bits: float64, (rows, positions).

    key: (rows, 2), the two words of each row's stream key, int64 below 2^32.
    draws: (rows,), draw numbers, int64.
    """
    place = torch.arange(positions, device=draws.device)[None, :].expand(len(draws), positions)
    wide = draws[:, None].expand_as(place)
    c0, c1, c2, c3 = wide & _LOW, wide >> 32, place, torch.zeros_like(place)
    k0, k1 = key[:, :1], key[:, 1:]
    for _ in range(10):
        # int64 wraps where uint64 would not, with the same bits: the high word is cut out after the shift
        left, right = c0 * int(MULTIPLIERS[0]), c2 * int(MULTIPLIERS[1])
        c0, c1, c2, c3 = (
            ((right >> 32) & _LOW) ^ c1 ^ k0,
            right & _LOW,
            ((left >> 32) & _LOW) ^ c3 ^ k1,
            left & _LOW,
        )
        k0, k1 = (k0 + WEYL[0]) & _LOW, (k1 + WEYL[1]) & _LOW
    bits = ((c0 >> 5) << 26) | (c1 >> 6)
    return bits.to(torch.float64) * 2.0**-53
