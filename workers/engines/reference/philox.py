"""Philox4x32-10, a counter-based random generator, over NumPy arrays.

A counter-based generator has no state to carry: the numbers of draw d at token position t are a function of
(seed, instance, d, t), so any draw can be repeated alone and in any order.

Reference: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
SC 2011, doi:10.1145/2063384.2063405.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

Words = NDArray[np.uint64]
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
WEYL = (0x9E3779B9, 0xBB67AE85)


def philox4x32(
    counter: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike], key: tuple[int, int]
) -> list[Words]:
    """Ten rounds.

    counter: four words below 2^32, as arrays that broadcast together.
    key: two words below 2^32.
    Returns four arrays of words below 2^32, of the broadcast shape, held in uint64.
    """
    c0, c1, c2, c3 = np.broadcast_arrays(*(np.asarray(word, dtype=np.uint64) for word in counter))
    k0, k1 = key
    for _ in range(10):
        # 32 x 32 bits fit in 64, so one product gives the high and the low word
        left, right = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            (right >> _SHIFT) ^ c1 ^ np.uint64(k0),
            right & _LOW,
            (left >> _SHIFT) ^ c3 ^ np.uint64(k1),
            left & _LOW,
        )
        k0, k1 = (k0 + WEYL[0]) & 0xFFFFFFFF, (k1 + WEYL[1]) & 0xFFFFFFFF
    return [c0, c1, c2, c3]


def stream_key(seed: int, instance: str) -> tuple[int, int]:
    """The key of an instance's streams in a run: the first 64 bits of BLAKE2b over both."""
    # str(seed) holds no NUL, so no two pairs give the same bytes; surrogatepass because an id is data,
    # never an error
    data = f"{seed}\0{instance}".encode("utf-8", "surrogatepass")
    value = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
    return value & 0xFFFFFFFF, value >> 32


def uniforms(key: tuple[int, int], draws: ArrayLike, positions: ArrayLike) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) of 53 bits.

    draws: draw numbers, any shape that broadcasts with `positions`.
    positions: token positions in the answer, from 0.
    """
    draw = np.asarray(draws, dtype=np.uint64)
    high, low, _, _ = philox4x32((draw & _LOW, draw >> _SHIFT, positions, 0), key)
    bits = ((high >> np.uint64(5)) << np.uint64(26)) | (low >> np.uint64(6))
    return bits.astype(np.float64) * 2.0**-53
