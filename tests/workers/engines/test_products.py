"""Products in strips: their width is found whatever a kernel makes of places, and holds for the real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny_model import write_tiny_llama
from tests.workers.engines.test_repeatability import check_places
from workers.engines.reference import ReferenceEngine, products
from workers.engines.reference.blas import blas_name, one_blas_thread
from workers.engines.reference.products import BLOCK, find_width, in_strips, multiply, strip_width

SHAPES = [
    (1, 2),
    (1, 32),
    (3, 20),
    (20, 1),
    (32, 5),
    (32, 33),
    (50, 32),
    (101, 72),
    (192, 64),
    (560, 224),
    (64, 700),
]


def even(matrix: np.ndarray, columns: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """A product without BLAS, in which no place differs."""
    product: np.ndarray = np.einsum("...fk,...kc->...fc", matrix, columns, out=out)
    return product


def kernel(differs: Callable[[int, int], bool]) -> Any:
    """A product that changes the last bit of the columns that differ, by their place and how many there are."""

    def product(matrix: np.ndarray, columns: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        result = even(matrix, columns, out)
        width = result.shape[-1]
        for place in filter(lambda place: differs(place, width), range(width)):
            result[..., place] = np.nextafter(result[..., place], np.float32(np.inf))
        return result

    return product


KERNELS = {
    "always equal": (lambda place, width: False, 64),
    "the last column": (lambda place, width: place == 63, 32),
    "the second half": (lambda place, width: place >= 32, 32),
    "first and last 8 of more than 16": (lambda place, width: width > 16 and 8 <= place < width - 8, 16),
    "a remainder of 4": (lambda place, width: place % 8 >= 4, 4),
    "the second half of any": (lambda place, width: place >= width / 2 > 0.5, 1),
    "each by itself": (lambda place, width: place % 2 == 1, 1),
}


@pytest.mark.parametrize(("differs", "width"), KERNELS.values(), ids=KERNELS.keys())
@pytest.mark.parametrize("shape", [(1, 32), (32, 5), (192, 64)])
def test_the_widest_strip_in_which_all_places_agree_is_found(
    shape: tuple[int, int], differs: Any, width: int
) -> None:
    assert find_width(kernel(differs), *shape) == width


def test_one_sum_that_differs_in_its_last_bit_is_seen() -> None:
    def product(matrix: np.ndarray, columns: np.ndarray, out: np.ndarray) -> np.ndarray:
        even(matrix, columns, out)
        if out.shape[-1] > 8:
            last = (-1,) * out.ndim
            out[last] = np.nextafter(out[last], np.float32(np.inf))
        return out

    assert find_width(product, 192, 64) == 8


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_column_has_the_same_bits_wherever_it_stands_beside_whatever(shape: tuple[int, int]) -> None:
    """With the kernel of this processor, numbers of many sizes and weights laid out as the decoder has them."""
    rng = np.random.default_rng(1)
    matrix = (rng.standard_normal((2, 1, *shape)) * np.exp(rng.normal(size=(2, 1, 1, shape[1])))).astype(
        np.float32
    )
    columns = rng.standard_normal((3, 2, 2, shape[1], BLOCK)).astype(np.float32)
    wide = np.empty((3, 2, 2, shape[0] + 5, BLOCK), np.float32)  # written to a part, as scores are
    with one_blas_thread():
        straight = multiply(matrix, columns, wide[..., : shape[0], :]).copy()
        for _ in range(20):
            order = rng.permutation(BLOCK)
            moved = multiply(matrix, np.ascontiguousarray(columns[..., order]), wide[..., : shape[0], :])
            assert np.array_equal(moved, straight[..., order])
    exact = matrix.astype(np.float64) @ columns.astype(np.float64)
    assert np.abs(straight - exact).max() <= 1e-5 * np.abs(matrix).max() * shape[1]


@pytest.mark.parametrize("columns", [1, 2, 7, 16, 64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_product_does_not_depend_on_where_it_lies_in_memory(shape: tuple[int, int], columns: int) -> None:
    """Else a draw could turn on what was allocated before, a single column's product (gemv) above all."""

    def placed(values: np.ndarray, offset: int) -> np.ndarray:
        room = np.empty(values.size + 32, np.float32)
        start = -(room.ctypes.data // 4) % 16 + offset
        lying = room[start : start + values.size].reshape(values.shape)
        lying[...] = values
        return lying

    rng = np.random.default_rng(3)
    left = rng.standard_normal(shape).astype(np.float32)
    right = rng.standard_normal((shape[1], columns)).astype(np.float32)
    with one_blas_thread():
        first = placed(left, 0) @ placed(right, 0)
        # malloc's addresses are multiples of 16 bytes
        for a, b in [(4, 0), (0, 4), (8, 12), (12, 8), (4, 4)]:
            assert np.array_equal(placed(left, a) @ placed(right, b), first)


@pytest.mark.parametrize("width", [64, 32, 16, 8, 4, 2, 1])
def test_strips_are_views_and_give_the_product(width: int) -> None:
    rng = np.random.default_rng(2)
    matrix, columns = (
        rng.integers(-9, 9, (7, 5)).astype(np.float32),
        rng.integers(-9, 9, (2, 5, BLOCK)).astype(np.float32),
    )
    out = np.full((2, 7, BLOCK), np.nan, np.float32)
    assert in_strips(np.matmul, width, matrix, columns, out) is out
    assert np.array_equal(out, matrix @ columns)


@pytest.fixture
def kernel_of_16(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """NumPy's product turns on the place from 17 columns on, with any processor."""
    strip_width.cache_clear()
    monkeypatch.setattr(
        products.np, "matmul", kernel(lambda place, width: width > 16 and 8 <= place < width - 8)
    )
    yield
    monkeypatch.undo()
    strip_width.cache_clear()


@pytest.mark.usefixtures("kernel_of_16")
def test_a_kernel_that_depends_on_the_place_changes_no_draw(tmp_path: Path) -> None:
    engine = ReferenceEngine(write_tiny_llama(tmp_path, scale=1.5))
    assert f", {blas_name()} by 16, " in engine.fingerprint
    assert strip_width(6, 32) == 16, "a prompt's products are measured too"
    check_places(engine)
