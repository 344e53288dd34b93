"""How far a long job is: a bar on a terminal, nothing in a log."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from importlib.util import find_spec
from typing import TypeVar

Item = TypeVar("Item")


def tracked(items: Collection[Item], doing: str) -> Iterable[Item]:
    """The same items one by one, with a bar where there are several and a person watches."""
    if len(items) < 2 or not sys.stderr.isatty() or not find_spec("rich"):
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, description=doing, console=Console(stderr=True), transient=True)
