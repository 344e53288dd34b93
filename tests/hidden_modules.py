"""Run as a program: the `firstlight` command where some modules are not installed.

    python -P tests/hidden_modules.py NAME,NAME,... WORD...

Ends with a line on standard error of the heavy modules that were imported.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

HEAVY = ("numpy", "scipy", "sklearn", "pandas", "django", "celery", "rich", "tokenizers")


class SomeHidden(PathFinder):
    """Python's own finder, which does not see the hidden modules."""

    hidden: frozenset[str] = frozenset()

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return None if fullname.partition(".")[0] in cls.hidden else super().find_spec(fullname, path, target)


if __name__ == "__main__":
    SomeHidden.hidden = frozenset(sys.argv.pop(1).split(","))
    sys.meta_path[:] = [SomeHidden if finder is PathFinder else finder for finder in sys.meta_path]
    from workers.cli.main import main

    status: object = 1
    try:
        status = main()
    except SystemExit as stop:
        status = stop.code
    print(*(name for name in HEAVY if name in sys.modules), file=sys.stderr)
    sys.exit(int(str(status or 0)))
