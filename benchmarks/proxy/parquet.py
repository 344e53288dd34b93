"""Reads the plain parquet files of the real data sets without pyarrow: flat columns, snappy or no compression.

Uses pandas' own reader where an engine is installed. Not a general reader: it refuses what it does not know.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

WIDTHS = {1: "<i4", 2: "<i8", 4: "<f4", 5: "<f8"}


def read(path: Path) -> pd.DataFrame:
    """The table, with the index that pandas stored as a column of its own name."""
    try:
        return pd.read_parquet(path).reset_index(names="__index_level_0__")
    except ImportError:
        return _read(path.read_bytes())


class _Thrift:
    """Thrift's compact protocol, as far as parquet's metadata needs it: structs become dicts by field number."""

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

    def zigzag(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def value(self, kind: int) -> Any:
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            self.at += 1
            return self.data[self.at - 1]
        if kind in (4, 5, 6):
            return self.zigzag()
        if kind == 7:
            self.at += 8
            return struct.unpack_from("<d", self.data, self.at - 8)[0]
        if kind == 8:
            size = self.varint()
            self.at += size
            return self.data[self.at - size : self.at]
        if kind in (9, 10):
            head = self.data[self.at]
            self.at += 1
            size = head >> 4 if head >> 4 < 15 else self.varint()
            return [self.value(head & 15) for _ in range(size)]
        if kind == 12:
            return self.struct()
        raise ValueError(f"thrift type {kind} is not known here")

    def struct(self) -> dict[int, Any]:
        found: dict[int, Any] = {}
        number = 0
        while True:
            head = self.data[self.at]
            self.at += 1
            if head == 0:
                return found
            number = number + (head >> 4) if head >> 4 else self.zigzag()
            found[number] = self.value(head & 15)


def _unsnap(data: bytes) -> bytes:
    """Snappy's raw format."""
    reader = _Thrift(data)
    size, out, at = reader.varint(), bytearray(), 0
    at = reader.at
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            length = tag >> 2
            if length >= 60:
                extra = length - 59
                length = int.from_bytes(data[at : at + extra], "little")
                at += extra
            out += data[at : at + length + 1]
            at += length + 1
            continue
        if tag & 3 == 1:
            length, back = 4 + ((tag >> 2) & 7), (tag >> 5) << 8 | data[at]
            at += 1
        else:
            extra = 2 if tag & 3 == 2 else 4
            length, back = (tag >> 2) + 1, int.from_bytes(data[at : at + extra], "little")
            at += extra
        start = len(out) - back
        piece = out[start : start + length]
        out += (piece * (length // len(piece) + 1))[:length]
    if len(out) != size:
        raise ValueError(f"a snappy page has {len(out)} bytes, not {size}")
    return bytes(out)


def _runs(data: bytes, width: int, count: int) -> NDArray[np.int64]:
    """The hybrid of run lengths and packed bits."""
    reader, parts, total = _Thrift(data), [], 0
    size = (width + 7) // 8
    while total < count:
        head = reader.varint()
        if head & 1:
            groups = head >> 1
            packed = np.frombuffer(data, np.uint8, groups * width, reader.at)
            reader.at += groups * width
            bits = np.unpackbits(packed, bitorder="little").reshape(-1, width)
            parts.append(bits.astype(np.int64) @ (1 << np.arange(width)))
        else:
            value = int.from_bytes(data[reader.at : reader.at + size], "little")
            reader.at += size
            parts.append(np.full(head >> 1, value))
        total += parts[-1].size
    return np.concatenate(parts)[:count]


def _plain(data: bytes, kind: int, count: int) -> NDArray[Any]:
    if kind in WIDTHS:
        return np.frombuffer(data, WIDTHS[kind], count)
    if kind != 6:
        raise ValueError(f"parquet type {kind} is not known here")
    found, at = [], 0
    for _ in range(count):
        size = int.from_bytes(data[at : at + 4], "little")
        found.append(data[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return np.array(found, dtype=object)


def _column(data: bytes, meta: dict[int, Any], optional: bool) -> NDArray[Any]:
    kind, codec, left = meta[1], meta[4], meta[5]
    at = min(meta[9], meta.get(11, meta[9]))
    lexicon: NDArray[Any] | None = None
    parts: list[NDArray[Any]] = []
    while left:
        reader = _Thrift(data, at)
        page = reader.struct()
        body = data[reader.at : reader.at + page[3]]
        at = reader.at + page[3]
        if codec not in (0, 1):
            raise ValueError(f"parquet codec {codec} is not known here")
        body = _unsnap(body) if codec == 1 else body
        if page[1] == 2:
            lexicon = _plain(body, kind, page[7][1])
            continue
        if page[1] != 0:
            raise ValueError(f"parquet page type {page[1]} is not known here")
        count, encoding = page[5][1], page[5][2]
        present = np.ones(count, dtype=bool)
        if optional:
            size = int.from_bytes(body[:4], "little")
            present = _runs(body[4 : 4 + size], 1, count).astype(bool)
            body = body[4 + size :]
        if encoding == 0:
            values = _plain(body, kind, int(present.sum()))
        elif encoding in (2, 8) and lexicon is not None:
            width = body[0]
            number = int(present.sum())
            values = lexicon[_runs(body[1:], width, number)] if width else np.repeat(lexicon[:1], number)
        else:
            raise ValueError(f"parquet encoding {encoding} is not known here")
        full = np.full(count, None if kind == 6 else np.nan, dtype=object if kind == 6 else np.float64)
        full[present] = values
        parts.append(full)
        left -= count
    return np.concatenate(parts)


def _read(data: bytes) -> pd.DataFrame:
    if data[:4] != b"PAR1" or data[-4:] != b"PAR1":
        raise ValueError("not a parquet file")
    size = int.from_bytes(data[-8:-4], "little")
    footer = _Thrift(data, len(data) - 8 - size).struct()
    optional = {field[4].decode(): field.get(3, 0) == 1 for field in footer[2][1:]}
    columns: dict[str, list[NDArray[Any]]] = {}
    for group in footer[4]:
        for chunk in group[1]:
            meta = chunk[3]
            name = meta[3][0].decode()
            columns.setdefault(name, []).append(_column(data, meta, optional[name]))
    return pd.DataFrame({name: np.concatenate(parts) for name, parts in columns.items()})
