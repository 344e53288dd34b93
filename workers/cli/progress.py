"""What a long command is at, on a terminal: a spinner with the stage and the time, or a bar; nothing in a log."""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


def _silent(stage: str) -> None:
    pass


@contextmanager
def stages() -> Iterator[Callable[[str], None]]:
    """A function to call with each stage; it shows nothing in a log or a pipe, or where rich is not installed."""
    if not sys.stderr.isatty():  # asked first: rich takes a while to load
        yield _silent
        return
    try:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    except ModuleNotFoundError:
        yield _silent
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("starting", total=None)
        yield lambda stage: progress.update(bar, description=stage)


def tracked(items: Collection[Item], doing: str) -> Iterable[Item]:
    """The same items one by one, with a bar where there are several."""
    if len(items) < 2 or not sys.stderr.isatty():
        return items
    try:
        from rich.console import Console
        from rich.progress import track
    except ModuleNotFoundError:
        return items
    return track(items, description=doing, console=Console(stderr=True), transient=True)
