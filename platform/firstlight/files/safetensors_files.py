"""Reads the headers of safetensors files by hand: names, types and shapes of tensors; is the file whole?

A safetensors file is 8 bytes of little-endian header length, that many bytes of JSON, then the raw tensors.
Nothing in it can run code, and kilobytes of header describe gigabytes of weights, so a web worker may read
it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from firstlight.files.strict_json import StrictJsonError, strict_loads

MAX_HEADER_BYTES = 100_000_000
_BLOCK = 1 << 20
BITS_OF_DTYPE = {
    "F64": 64,
    "I64": 64,
    "U64": 64,
    "F32": 32,
    "I32": 32,
    "U32": 32,
    "F16": 16,
    "BF16": 16,
    "I16": 16,
    "U16": 16,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "I8": 8,
    "U8": 8,
    "BOOL": 8,
    "F4": 4,
}


class SafetensorsError(ValueError):
    """A safetensors file is broken; the message names the file and what was expected and found."""


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of one file.

    file: the file that holds it.
    dtype: as safetensors writes it (``F32``, ``BF16``, ...).
    shape: its dimensions.
    offset: first byte, counted from the start of the file.
    nbytes: length in bytes.
    """

    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def same_bytes(one: TensorEntry, other: TensorEntry) -> bool:
    """Whether two tensors are alike in type, shape and every byte. Raises SafetensorsError: a file cannot be read."""
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    try:
        with one.file.open("rb") as first, other.file.open("rb") as second:
            first.seek(one.offset)
            second.seek(other.offset)
            for done in range(0, one.nbytes, _BLOCK):
                size = min(_BLOCK, one.nbytes - done)
                if first.read(size) != second.read(size):
                    return False
    except OSError as error:
        raise SafetensorsError(f"{one.file.name} cannot be read: {error.strerror}") from error
    return True


def read_headers(files: list[Path]) -> dict[str, TensorEntry]:
    """Read the headers of all shards of a checkpoint.

    Raises SafetensorsError: a file is broken or truncated, or two files hold a tensor of one name.
    """
    tensors: dict[str, TensorEntry] = {}
    for file in files:
        for name, entry in read_header(file).items():
            if name in tensors:
                raise SafetensorsError(
                    f"tensor {name} stands in both {tensors[name].file.name} and {file.name}"
                )
            tensors[name] = entry
    return tensors


def read_header(file: Path) -> dict[str, TensorEntry]:
    """Read one file's header and check that every tensor lies inside the file and has the size of its shape.

    Raises SafetensorsError, naming the file and, for a truncated one, the bytes expected and found.
    """
    try:
        present = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if present < 8 or length > present - 8:
                raise SafetensorsError(
                    f"{file.name} is truncated: its header alone needs {length + 8:,} bytes, "
                    f"found {present:,}; copy it again"
                )
            if length > MAX_HEADER_BYTES:
                raise SafetensorsError(
                    f"{file.name}: header of {length:,} bytes, at most {MAX_HEADER_BYTES:,} are read"
                )
            raw = stream.read(length)
    except OSError as error:
        raise SafetensorsError(f"{file.name} cannot be read: {error.strerror}") from error
    try:
        header = strict_loads(raw)
    except StrictJsonError as error:
        raise SafetensorsError(f"{file.name}: the header {error}") from error
    if not isinstance(header, dict):
        raise SafetensorsError(f"{file.name}: the header is not a JSON object")
    header.pop("__metadata__", None)
    start = 8 + length
    entries = {name: _entry(file, name, value, start) for name, value in header.items()}
    _check_layout(file, entries, start, present)
    return entries


def _entry(file: Path, name: str, value: object, start: int) -> TensorEntry:
    where = f"{file.name}: tensor {name}"
    if not isinstance(value, dict):
        raise SafetensorsError(f"{where} is not described by an object")
    dtype, shape, offsets = value.get("dtype"), value.get("shape"), value.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in BITS_OF_DTYPE:
        raise SafetensorsError(f"{where} has the unknown type {dtype!r}")
    if not isinstance(shape, list) or not isinstance(offsets, list) or len(offsets) != 2:
        raise SafetensorsError(f"{where} has a broken shape or data_offsets")
    if not _whole_numbers(shape) or not _whole_numbers(offsets) or offsets[0] > offsets[1]:
        raise SafetensorsError(f"{where} has a broken shape or data_offsets")
    entry = TensorEntry(file, dtype, tuple(shape), start + offsets[0], offsets[1] - offsets[0])
    needed = (entry.size * BITS_OF_DTYPE[dtype] + 7) // 8
    if entry.nbytes != needed:
        raise SafetensorsError(
            f"{where} of shape {list(entry.shape)} {dtype} needs {needed:,} bytes, found {entry.nbytes:,}"
        )
    return entry


def _whole_numbers(value: object) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _check_layout(file: Path, entries: dict[str, TensorEntry], start: int, present: int) -> None:
    """Tensors must follow one another without holes and end where the file ends, as the format demands."""
    end = start
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].offset, item[1].nbytes)):
        if entry.offset != end:
            raise SafetensorsError(
                f"{file.name}: tensor {name} begins at byte {entry.offset:,}, expected {end:,}"
            )
        end += entry.nbytes
    if present != end:
        state = "truncated" if present < end else "too long"
        raise SafetensorsError(
            f"{file.name} is {state}: expected {end:,} bytes, found {present:,}; copy it again"
        )
