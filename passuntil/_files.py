"""Files as they come: packed by gzip or not, and "-" for standard input."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from passuntil.errors import PassUntilError

GZIP = b"\x1f\x8b"


def is_standard_input(path: str | os.PathLike[str]) -> bool:
    """Whether a path means standard input."""
    return os.fspath(path) == "-"


def comes_once(path: str | os.PathLike[str]) -> bool:
    """Whether what is read of a path cannot be read again: standard input, or a pipe."""
    return is_standard_input(path) or not Path(path).is_file()


def shown_path(path: str | os.PathLike[str]) -> str:
    """A path as messages name it."""
    return "standard input" if is_standard_input(path) else os.fspath(path)


@contextlib.contextmanager
def open_bytes(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a file for reading, unpacked where its first bytes say that it is gzip's.

    Raises PassUntilError for a file that cannot be read, also where reading it fails inside the block.
    """
    name = shown_path(path)
    try:
        with contextlib.ExitStack() as stack:
            raw: IO[bytes] = (
                sys.stdin.buffer if is_standard_input(path) else stack.enter_context(Path(path).open("rb"))
            )
            if comes_once(path):
                raw = io.BytesIO(raw.read())
            packed = raw.read(2) == GZIP
            raw.seek(0)
            yield cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if packed else raw
    except OSError as error:  # BadGzipFile is one, without a strerror
        raise PassUntilError(f"{name}: cannot be read ({error.strerror or error})") from None
    except (EOFError, zlib.error) as error:
        raise PassUntilError(f"{name}: a broken gzip file ({error})") from None


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a UTF-8 file. Raises PassUntilError for one that cannot be read and for other bytes."""
    with open_bytes(path) as file:
        data = file.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PassUntilError(f"{shown_path(path)}: not UTF-8 text; save it as UTF-8 CSV") from None
