"""One BLAS thread while the reference engine computes.

Its products are small, so threads cost more than they give; the workers are processes, one a core. And how
a product is cut for threads may change its last bit. threadpoolctl comes with scikit-learn; without it set
OPENBLAS_NUM_THREADS=1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@cache
def _controller() -> Any:
    try:
        from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]
    except ImportError:
        return None
    return ThreadpoolController()  # looks through the loaded libraries, so once a process


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within it BLAS uses the calling thread only; the former number is set again afterwards."""
    controller = _controller()
    if controller is None:
        yield
        return
    with controller.limit(limits=1, user_api="blas"):
        yield
