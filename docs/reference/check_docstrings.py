"""Every public name of the libraries is documented in numpydoc's form: one line for each section that is missing.

    python docs/reference/check_docstrings.py [NAME ...]

NAME: a library or a module (default: passuntil and proxy). Exit status 1 where a docstring fails.
"""

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from functools import cached_property
from inspect import getdoc, isclass, isfunction
from os.path import relpath
from types import ModuleType

from numpydoc.validate import validate

LIBRARIES = ("passuntil", "proxy")
#: numpydoc's validation checks: a docstring, a summary of one line, parameters, returns and yields.
CHECKS = {
    "GL03", "GL06", "GL07", "GL08", "SS01", "SS02", "SS03", "SS06",
    "PR01", "PR02", "PR03", "PR04", "PR07", "PR10", "RT01", "RT03", "YD01",
}  # fmt: skip
METHODS = (property, cached_property, classmethod, staticmethod)


def public_modules(name: str) -> Iterator[ModuleType]:
    """A module and those below it, without what has a leading underscore."""
    module = importlib.import_module(name)
    yield module
    for below in pkgutil.iter_modules(getattr(module, "__path__", [])):
        if not below.name.startswith("_"):
            yield from public_modules(f"{name}.{below.name}")


def public_names(module: ModuleType) -> Iterator[str]:
    """The module's own functions and classes, and the methods and properties that its classes define."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if isfunction(value) or isclass(value):
            yield f"{module.__name__}.{name}"
        if isclass(value):
            yield from (f"{module.__name__}.{name}.{method}" for method in public_methods(value))


def public_methods(kind: type) -> Iterator[str]:
    """Methods and properties, but for those that say nothing of their own where a base class describes them."""
    for name, value in vars(kind).items():
        described_above = value.__doc__ is None and getdoc(getattr(kind, name))
        if (
            (isfunction(value) or isinstance(value, METHODS))
            and not name.startswith("_")
            and not described_above
        ):
            yield name


def failures(module: ModuleType) -> Iterator[str]:
    if not module.__doc__:
        yield f"{relpath(str(module.__file__))}:1: {module.__name__}: GL08 The module has no docstring"
    for name in public_names(module):
        answer = validate(name)
        for code, message in answer["errors"]:
            if code in CHECKS:
                place = f"{relpath(answer['file'])}:{answer['file_line']}"
                yield f"{place}: {name}: {code} {message}"


def main(names: list[str]) -> int:
    lines = [
        line for name in names or LIBRARIES for module in public_modules(name) for line in failures(module)
    ]
    for line in lines:
        print(line)
    print(f"{len(lines)} failures", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
