"""The package as a whole: its examples run, its exports exist, its imports stay few."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil
import subprocess
import sys
from types import ModuleType

import grimp

import proxy

ROOMS = ["proxy.scores", "proxy.relevance", "proxy.selection", "proxy.weights", "proxy.ranking"]


def test_the_examples_of_every_docstring_run() -> None:
    attempted = 0
    for module in ["proxy", *(m.name for m in pkgutil.walk_packages(proxy.__path__, "proxy."))]:
        result = doctest.testmod(importlib.import_module(module))
        assert result.failed == 0, module
        attempted += result.attempted
    assert attempted >= 30


def test_every_exported_name_exists_and_has_a_docstring() -> None:
    for name in proxy.__all__:
        assert getattr(proxy, name).__doc__, name


def test_no_import_runs_in_a_circle() -> None:
    """Imports within functions and for types only count, too."""
    graph = grimp.build_graph("proxy", cache_dir=None)
    circles = [
        (module, other)
        for module in graph.modules
        for other in graph.find_modules_directly_imported_by(module)
        if graph.chain_exists(importer=other, imported=module)
    ]
    assert len(graph.modules) > 50
    assert circles == []


def test_the_library_knows_neither_the_site_nor_the_workers() -> None:
    program = (
        "import sys, proxy; "
        "print([m for m in ('django', 'celery', 'firstlight', 'workers', 'passuntil') if m in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert output.strip() == "[]"


def test_no_name_of_a_face_is_hidden_by_a_module_of_the_same_name() -> None:
    """A module that was imported is an attribute of its package and would be found before the name."""
    for package in [proxy, *(m for m in map(importlib.import_module, ROOMS))]:
        for name in package.__all__:
            value = getattr(package, name)
            assert value is getattr(importlib.import_module(package.__name__), name)
            assert not isinstance(value, ModuleType) or value.__name__ == f"{package.__name__}.{name}"
            hidden = importlib.util.find_spec(f"{package.__name__}.{name}")
            assert hidden is None or isinstance(value, ModuleType), name


def test_importing_the_package_loads_none_of_its_rooms() -> None:
    program = (
        "import sys, proxy; print([m for m in sys.modules if m.startswith(('proxy.', 'numpy', 'scipy'))])"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert output.strip() == "['proxy._faces']"
