"""Faces of packages whose names are loaded at first use, so that importing a package costs nothing by itself."""

from __future__ import annotations

import ast
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def lazily(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package, for the imports under `if TYPE_CHECKING` in its file.

    So a face says once what it offers, and readers, type checkers and Python (PEP 562) take it from the same lines.
    """
    body = ast.parse(Path(file).read_text(encoding="utf-8")).body
    (block,) = [
        node for node in body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    places = {
        alias.name: node.module or ""
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    def load(name: str) -> Any:
        if name in places and places[name] != package:
            value = getattr(import_module(places[name]), name)
            setattr(import_module(package), name, value)  # the next use finds it there
            return value
        if not name.startswith("_") and find_spec(f"{package}.{name}"):  # a room, or a module of one
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return load, lambda: sorted(places), sorted(places)
