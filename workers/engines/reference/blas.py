"""One BLAS thread while the reference engine computes, and the name of the BLAS that computes.

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


def blas_name() -> str:
    """NumPy's BLAS, its version and the kernel that it took for this processor, as in "openblas 0.3.31 Haswell"."""
    libraries = [] if _controller() is None else _controller().select(user_api="blas").info()
    # SciPy may have loaded a library of its own beside NumPy's
    libraries.sort(key=lambda library: "numpy" not in library["filepath"])
    if not libraries:
        return "unknown BLAS"
    parts = (libraries[0].get(key) for key in ("internal_api", "version", "architecture"))
    return " ".join(part for part in parts if part)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within it BLAS uses the calling thread only; the former number is set again afterwards."""
    controller = _controller()
    if controller is None:
        yield
        return
    with controller.limit(limits=1, user_api="blas"):
        yield
