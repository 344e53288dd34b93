"""A result file, opened once: an archive, a JSON object or text, for the formats to recognise."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from proxy.errors import ProxyError
from proxy.scores.formats.record import Record

LARGEST_FILE = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Document:
    """What is in a result file.

    Parameters
    ----------
    path : Path
        The file.
    kind : {"archive", "json", "text"}
        A zip archive (which its format opens), a JSON object, or any other text.
    content : mapping, optional
        The object of a JSON file; empty for other files.
    text : str, optional
        The text of a file of text; empty for other files.
    """

    path: Path
    kind: Literal["archive", "json", "text"]
    content: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a format read in a document.

    Parameters
    ----------
    records : list of Record
        The scores.
    notes : list of str, optional
        What a person should know of them.
    """

    records: list[Record]
    notes: list[str] = field(default_factory=list)


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
        Document that was recognised -> Reading.
    """

    name: str
    title: str
    recognises: Callable[[Document], bool]
    read: Callable[[Document], Reading]


def open_document(path: Path) -> Document:
    """Open a result file and see what kind it is.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Document
        Its content; that of an archive is left to the format.

    Raises
    ------
    ProxyError
        For a file that is too large, no text, or JSON that is broken or a list.
    """
    if path.stat().st_size > LARGEST_FILE:
        raise ProxyError(
            f"{path}: larger than {LARGEST_FILE >> 20} MiB; give the file of results, not of samples"
        )
    if zipfile.is_zipfile(path):
        return Document(path, "archive")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ProxyError(
            f"{path}: neither UTF-8 text nor an archive; give a result file of a known format"
        ) from None
    if text.lstrip().startswith(("{", "[")):
        return Document(path, "json", content=json_object(path, text))
    return Document(path, "text", text=text)


def json_object(path: Path, text: str) -> dict[str, Any]:
    """Read the one object of a JSON text.

    Parameters
    ----------
    path : Path
        The file, to name it.
    text : str
        The text.

    Returns
    -------
    dict
        The object.

    Raises
    ------
    ProxyError
        For broken JSON, by its line, for an object that has a key twice with different values, and for anything else
        than an object.
    """
    try:
        document = json.loads(text, object_pairs_hook=lambda pairs: _object(path, pairs))
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise ProxyError(
                f"{path}: several JSON values, not one; give the file of results, not of samples"
            ) from None
        raise ProxyError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from None
    except ProxyError:
        raise
    except RecursionError:
        raise ProxyError(f"{path}: JSON nested too deeply for a result file") from None
    except ValueError as error:  # a number of thousands of digits
        raise ProxyError(f"{path}: not JSON ({error!s:.80})") from None
    if not isinstance(document, dict):
        raise ProxyError(f"{path}: a JSON list; expected the JSON object of one result file")
    return document


def _object(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a JSON text. Of two values under one key neither is the right one."""
    content = dict(pairs)
    if len(content) < len(pairs):
        for key, value in pairs:
            if content[key] != value:
                raise ProxyError(
                    f"{path}: an object has the key {key!r} twice, with different values; keep one"
                )
    return content


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
