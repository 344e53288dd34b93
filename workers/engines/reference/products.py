"""Products of which every column has the same bits wherever it stands, whatever stands beside it.

What BLAS gives for an element of a product may depend on the product's shape (other kernels for small, thin or
remainder parts) and on the place of the column: OpenBLAS for Haswell, which AMD's processors take too, adds up in one
order for the first and the last 8 of 64 columns, and in another for the 48 between. But for one shape and one thread
it is a fixed sequence of operations. So draws stand in blocks of BLOCK columns, always full, and a block is multiplied
in strips, as wide as all their places still agree. That width is measured, shape by shape. It depends on the kernel
and the shape alone, hence on the model and the length of the prompt, and never on how many draws were asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from workers.engines.llama import Array
from workers.engines.reference.blas import one_blas_thread

#: Columns that stand side by side in memory. What is not a product is element-wise, and fast in wide blocks.
BLOCK = 64
#: matrix @ columns, (..., rows, inner) @ (..., inner, columns), written to the third argument unless it is None.
Product = Callable[[Array, Array, Any], Array]
#: A measurement multiplies about as many elements of matrices as this, and a matrix by so many columns at most.
_ELEMENTS, _MOST_COLUMNS = 1 << 16, 256
_NUMBERS = np.random.default_rng(0).standard_normal(65_537).astype(np.float32)


def multiply(matrix: Array, columns: Array, out: Array) -> Array:
    """matrix @ columns, strip by strip: (..., rows, inner) @ (..., inner, BLOCK), into `out`."""
    return in_strips(np.matmul, strip_width(*matrix.shape[-2:]), matrix, columns, out)


def in_strips(product: Product, width: int, matrix: Array, columns: Array, out: Array) -> Array:
    """The same with another product and a width of the caller's; strips are views, nothing is copied."""
    if width == BLOCK:
        return product(matrix, columns, out)
    product(matrix[..., None, :, :], _strips(columns, width), _strips(out, width))
    return out


def _strips(block: Array, width: int) -> Array:
    """(..., features, BLOCK) as (..., strips, features, width)."""
    return block.reshape(*block.shape[:-1], BLOCK // width, width).swapaxes(-3, -2)


@cache
def strip_width(rows: int, inner: int) -> int:
    """The width of strips for matrices of a shape in this process: of the BLAS kernel that it loaded."""
    with one_blas_thread():
        return find_width(np.matmul, rows, inner)


def find_width(product: Product, rows: int, inner: int) -> int:
    """The widest strip in which all places agree, by measurement; BLOCK at most, 1 at least."""
    width = BLOCK
    while width > 1 and not places_agree(product, width, rows, inner):
        width //= 2
    return width


def places_agree(product: Product, width: int, rows: int, inner: int) -> bool:
    """Whether a (rows, inner) matrix gives a column the same bits at every place of a block.

    The numbers are random, so that two orders of adding them differ in some of the hundreds of sums that are compared.
    """
    count = min(max(_ELEMENTS // (rows * inner), 1), _MOST_COLUMNS)
    numbers = np.resize(_NUMBERS, (rows + count) * inner)
    matrix = numbers[: rows * inner].reshape(rows, inner)
    columns = np.repeat(numbers[rows * inner :].reshape(count, inner, 1), BLOCK, axis=2)
    result = in_strips(product, width, matrix, columns, np.empty((count, rows, BLOCK), np.float32))
    return bool((result == result[:, :, :1]).all())
