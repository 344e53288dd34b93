"""Columns of a flat Parquet file, with the standard library, libzstd and NumPy.

The benchmarks read public data sets in this format and should not ask for another package. Understood: format
1.0 pages, zstd or no compression, plain and dictionary values, columns without nulls. Anything else raises
ValueError.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = {1: "<i4", 2: "<i8", 4: "<f4", 5: "<f8"}
_TEXT, _ZSTD = 6, 6
_DICTIONARY_PAGE, _DATA_PAGE = 2, 0
_PLAIN_DICTIONARY, _RLE_DICTIONARY = 2, 8


class _Thrift:
    """A reader of Thrift's compact protocol; a struct becomes a dict of field numbers."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def signed(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def value(self, kind: int) -> Any:
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            self.at += 1
            return self.data[self.at - 1]
        if kind in (4, 5, 6):
            return self.signed()
        if kind == 7:
            self.at += 8
            return np.frombuffer(self.data, "<f8", 1, self.at - 8)[0]
        if kind == 8:
            size = self.varint()
            self.at += size
            return self.data[self.at - size : self.at]
        if kind in (9, 10):
            head = self.data[self.at]
            self.at += 1
            size = head >> 4 if head >> 4 != 15 else self.varint()
            return [self.value(head & 15) for _ in range(size)]
        if kind == 12:
            return self.struct()
        raise ValueError(f"Thrift type {kind} is not understood")

    def struct(self) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while (head := self.data[self.at]) != 0:
            self.at += 1
            number = number + (head >> 4) if head >> 4 else self.signed()
            fields[number] = self.value(head & 15)
        self.at += 1
        return fields


def _unzstd(data: bytes, size: int) -> bytes:
    """Decompress by the system's libzstd, which most Linux systems have for their own packages."""
    name = ctypes.util.find_library("zstd")
    if name is None:
        raise ValueError("libzstd is not on this machine")
    decompress = ctypes.CDLL(name).ZSTD_decompress
    decompress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(max(size, 1))
    written = decompress(out, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data)))
    if written != size:
        raise ValueError("a zstd block does not have its stated size")
    return out.raw[:size]


def _plain(data: bytes, kind: int, count: int) -> np.ndarray:
    if kind in _TYPES:
        return np.frombuffer(data, _TYPES[kind], count)
    if kind != _TEXT:
        raise ValueError(f"Parquet type {kind} is not understood")
    values, at = [], 0
    for _ in range(count):
        size = int.from_bytes(data[at : at + 4], "little")
        values.append(data[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return np.array(values, dtype=object)


def _hybrid(data: bytes, width: int, count: int) -> np.ndarray:
    """Run lengths and bit-packed groups of eight."""
    out, filled, reader = np.zeros(count + 8, dtype=np.int64), 0, _Thrift(data)
    while filled < count:
        head = reader.varint()
        if head & 1:
            groups = head >> 1
            packed = np.frombuffer(data, np.uint8, min(groups * width, len(data) - reader.at), reader.at)
            bits = np.unpackbits(packed, bitorder="little")
            values = bits[: len(bits) // width * width].reshape(-1, width) @ (1 << np.arange(width))
            reader.at += groups * width
        else:
            size = (width + 7) // 8
            run = int.from_bytes(data[reader.at : reader.at + size], "little")
            reader.at += size
            values = np.full(head >> 1, run)
        values = values[: count - filled]
        out[filled : filled + len(values)] = values
        filled += len(values)
    return out[:count]


def read_columns(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    """The named columns of the file as arrays."""
    data = path.read_bytes()
    if data[:4] != b"PAR1" or data[-4:] != b"PAR1":
        raise ValueError(f"{path} is no Parquet file")
    meta = _Thrift(data, len(data) - 8 - int.from_bytes(data[-8:-4], "little")).struct()
    optional = {field[4].decode(): field.get(3) == 1 for field in meta[2][1:]}
    columns: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for group in meta[4]:
        for chunk in group[1]:
            column = chunk[3]
            name = column[3][-1].decode()
            if name in columns:
                columns[name].append(_chunk(data, column, optional[name]))
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def read_lists(path: Path, name: str) -> list[NDArray[np.int64]]:
    """One column of lists of whole numbers without nulls (`read_columns` reads the flat ones)."""
    data = path.read_bytes()
    meta = _Thrift(data, len(data) - 8 - int.from_bytes(data[-8:-4], "little")).struct()
    rows: list[list[int]] = []
    for group in meta[4]:
        column = next(chunk[3] for chunk in group[1] if chunk[3][3][0].decode() == name)
        at, words, read = column.get(11, column[9]), np.zeros(0, dtype=np.int64), 0
        while read < column[5]:
            reader = _Thrift(data, at)
            page = reader.struct()
            body, at = data[reader.at : reader.at + page[3]], reader.at + page[3]
            body = _unzstd(body, page[2]) if column[4] == 6 else body
            if page[1] == 2:
                words = _plain(body, column[1], page[7][1])
                continue
            count, encoding = page[5][1], page[5][2]
            levels = []
            # Repetition (0: a new list), then definition (3: there is a value; less: the list is empty).
            for width in (1, 2):
                size = int.from_bytes(body[:4], "little")
                levels.append(_hybrid(body[4 : 4 + size], width, count))
                body = body[4 + size :]
            there = int((levels[1] == 3).sum())
            if encoding in (2, 8):
                values = words[_hybrid(body[1:], body[0], there)]
            elif encoding == 0:
                values = _plain(body, column[1], there)
            else:
                raise ValueError(f"{path}: Parquet encoding {encoding} is not understood")
            following = iter(values.tolist())
            for again, level in zip(*levels, strict=True):
                if not again:
                    rows.append([])
                if level == 3:
                    rows[-1].append(next(following))
            read += count
    return [np.array(row, dtype=np.int64) for row in rows]


def _chunk(data: bytes, column: dict[int, Any], optional: bool) -> np.ndarray:
    kind, codec, total = column[1], column[4], column[5]
    if codec not in (0, _ZSTD):
        raise ValueError(f"Parquet codec {codec} is not understood")
    at, words, parts, read = column.get(11, column[9]), np.zeros(0), [], 0
    while read < total:
        reader = _Thrift(data, at)
        page = reader.struct()
        body = data[reader.at : reader.at + page[3]]
        at = reader.at + page[3]
        body = _unzstd(body, page[2]) if codec == _ZSTD else body
        if page[1] == _DICTIONARY_PAGE:
            words = _plain(body, kind, page[7][1])
            continue
        if page[1] != _DATA_PAGE:
            raise ValueError(f"Parquet page type {page[1]} is not understood")
        count, encoding = page[5][1], page[5][2]
        if optional:
            size = int.from_bytes(body[:4], "little")
            if not _hybrid(body[4 : 4 + size], 1, count).all():
                raise ValueError("a column has nulls")
            body = body[4 + size :]
        if encoding in (_PLAIN_DICTIONARY, _RLE_DICTIONARY):
            parts.append(words[_hybrid(body[1:], body[0], count)])
        else:
            parts.append(_plain(body, kind, count))
        read += count
    return np.concatenate(parts)
