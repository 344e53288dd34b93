"""A result file, opened once: an archive, JSON, lines of JSON, Parquet or text, for the formats to recognise."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from proxy._files import comes_once, open_bytes, shown_path
from proxy.errors import ProxyError
from proxy.scores.formats.record import Record
from proxy.scores.formats.sample import Sample

#: Of what is read as a whole; lines are read one by one, and may be more.
LARGEST_FILE = 512 * 2**20
ARCHIVE, PARQUET = b"PK\x03\x04", b"PAR1"

Kind = Literal["archive", "json", "lines", "list", "parquet", "text"]


@dataclass(frozen=True, slots=True)
class Document:
    """What is in a result file.

    Parameters
    ----------
    path : Path
        The file; "-" is standard input.
    kind : {"archive", "json", "lines", "list", "parquet", "text"}
        A zip archive or a Parquet file (which its format opens), a JSON object, lines of JSON objects, a JSON list, or
        any other text.
    content : mapping, optional
        The object of a JSON file, the first one of lines or of a list; empty for other files.
    items : sequence, optional
        What a JSON list holds; empty for other files.
    text : str, optional
        The text of a file of text; empty for other files.
    data : bytes, optional
        All that was read, unpacked, where the path cannot be opened for it again.
    """

    path: Path
    kind: Kind
    content: Mapping[str, Any] = field(default_factory=dict)
    items: Sequence[Any] = ()
    text: str = ""
    data: bytes | None = None

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """Read the objects of a file of lines or of a list one by one; the one object of a JSON file.

        Yields
        ------
        dict
            In the order of the file.

        Raises
        ------
        ProxyError
            For a line that is no JSON object, by its number.
        """
        if self.kind == "json":
            yield self.content
        elif self.kind == "list":
            yield from (item for item in self.items if isinstance(item, Mapping))
        elif self.kind == "lines":
            if self.data is not None:
                yield from _objects(self.path, io.BytesIO(self.data))
            else:
                with open_bytes(self.path) as file:
                    yield from _objects(self.path, file)

    def opened(self) -> IO[bytes] | Path:
        """Give what a library opens: the path, or the bytes that were read.

        Returns
        -------
        Path or binary file
            Of an archive or a Parquet file.
        """
        return self.path if self.data is None else io.BytesIO(self.data)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a format read in a document.

    Parameters
    ----------
    records : list of Record
        The scores.
    notes : list of str, optional
        What a person should know of them.
    samples : list of Sample, optional
        The scores of single instances, where those were asked for.
    n_params : dict of str to float, optional
        Model -> all its parameters, where the file says so.
    text : str, optional
        What the file holds, where it is for `read_scores` to read.
    """

    records: list[Record]
    notes: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    n_params: dict[str, float] = field(default_factory=dict)
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """How the result files of one program are recognised and read.

    Parameters
    ----------
    name : str
        Its name as an option.
    title : str
        The program's name.
    recognises : callable
        Document -> whether this format can read it.
    read : callable
        Document that was recognised -> Reading, with records.
    kinds : frozenset of str, optional
        The kinds of document that it is asked about.
    samples : callable, optional
        Document that was recognised -> Reading, with samples; with none where it holds scores of whole tasks only. None
        where no document of the format has samples.
    repeats : callable, optional
        The files of a folder -> those of them that hold nothing but what others of the same run say better.
    """

    name: str
    title: str
    recognises: Callable[[Document], bool]
    read: Callable[[Document], Reading]
    kinds: frozenset[Kind] = frozenset({"archive", "json", "text"})
    samples: Callable[[Document], Reading] | None = None
    repeats: Callable[[Sequence[Path]], set[Path]] | None = None


def open_document(path: Path) -> Document:
    """Open a result file and see what kind it is, by its first bytes and never by its name.

    Parameters
    ----------
    path : Path
        The file, packed by gzip or not; "-" is standard input.

    Returns
    -------
    Document
        Its content; that of an archive and of Parquet is left to the format.

    Raises
    ------
    ProxyError
        For a file that cannot be read, is too large or no text, and for JSON that is broken.
    """
    name = shown_path(path)
    with open_bytes(path) as file:
        data = file.read() if comes_once(path) else None
        source = file if data is None else io.BytesIO(data)
        head = source.read(4)
        if head in (ARCHIVE, PARQUET):
            if data is None and isinstance(file, gzip.GzipFile):
                data = head + source.read(LARGEST_FILE)
            return Document(path, "archive" if head == ARCHIVE else "parquet", data=data)
        source.seek(0)
        first, more = _first_lines(source)
        row = _object(first) if more else None
        if row is not None:
            return Document(path, "lines", content=row, data=data)
        source.seek(0)
        raw = source.read(LARGEST_FILE + 1)
    if len(raw) > LARGEST_FILE:
        raise ProxyError(
            f"{name}: larger than {LARGEST_FILE >> 20} MiB; give the file of results, not of samples"
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ProxyError(
            f"{name}: neither UTF-8 text nor an archive; give a result file of a known format"
        ) from None
    if not text.lstrip().startswith(("{", "[")):
        return Document(path, "text", text=text)
    value = json_value(path, text)
    if isinstance(value, list):
        first_item = value[0] if value and isinstance(value[0], dict) else {}
        return Document(path, "list", content=first_item, items=value)
    return Document(path, "json", content=value)


def json_value(path: Path, text: str) -> Any:
    """Read the value of a JSON text.

    Parameters
    ----------
    path : Path
        The file, to name it.
    text : str
        The text.

    Returns
    -------
    object
        The value.

    Raises
    ------
    ProxyError
        For broken JSON, by its line, and for an object that has a key twice with different values.
    """
    name = shown_path(path)
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _unambiguous(path, pairs))
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise ProxyError(
                f"{name}, line {error.lineno}: several JSON values that are no lines of objects; give a result file"
            ) from None
        raise ProxyError(f"{name}, line {error.lineno}: not JSON ({error.msg})") from None
    except ProxyError:
        raise
    except RecursionError:
        raise ProxyError(f"{name}: JSON nested too deeply for a result file") from None
    except ValueError as error:  # a number of thousands of digits
        raise ProxyError(f"{name}: not JSON ({error!s:.80})") from None


def is_nested(value: Any) -> bool:
    """Tell whether a value is an object of objects, as tables of results are.

    Parameters
    ----------
    value : object
        Anything that JSON can hold.

    Returns
    -------
    bool
        False for an empty object, too.
    """
    return isinstance(value, dict) and bool(value) and all(isinstance(one, dict) for one in value.values())


def _first_lines(file: IO[bytes]) -> tuple[bytes, bool]:
    """The first line that holds anything, and whether another one follows."""
    lines = (line for line in iter(lambda: file.readline(LARGEST_FILE), b"") if line.strip())
    first = next(lines, b"")
    return first, next(lines, None) is not None


def _object(line: bytes) -> dict[str, Any] | None:
    """The JSON object that a line holds; None for any other line."""
    try:
        value = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _objects(path: Path, file: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The objects of lines of JSON."""
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        value = _object(line)
        if value is None:
            raise ProxyError(f"{shown_path(path)}, line {number}: not a JSON object, as the lines before are")
        yield value


def _unambiguous(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a JSON text. Of two values under one key neither is the right one."""
    content = dict(pairs)
    if len(content) < len(pairs):
        for key, value in pairs:
            if content[key] != value:
                raise ProxyError(
                    f"{shown_path(path)}: an object has the key {key!r} twice, with different values; keep one"
                )
    return content
