"""Every public name of the libraries is documented in numpydoc's form: one line for each section that is missing.

    python docs/reference/check_docstrings.py [NAME ...]

NAME: a library or a module (default: passuntil and proxy). Exit status 1 where a docstring fails.
"""

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from functools import cached_property
from inspect import isclass, isfunction
from os.path import relpath
from types import ModuleType

from numpydoc.validate import validate

LIBRARIES = ("passuntil", "proxy")
#: numpydoc's validation checks: a docstring, a summary of one line, parameters, returns and yields.
CHECKS = {
    "GL03", "GL06", "GL07", "GL08", "SS01", "SS02", "SS03", "SS06",
    "PR01", "PR02", "PR03", "PR04", "PR07", "PR10", "RT01", "RT03", "YD01",
}  # fmt: skip


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
            for member, inside in vars(value).items():
                kinds = (property, cached_property, classmethod, staticmethod)
                if not member.startswith("_") and (isfunction(inside) or isinstance(inside, kinds)):
                    yield f"{module.__name__}.{name}.{member}"


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
