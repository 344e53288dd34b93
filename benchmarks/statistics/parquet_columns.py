"""Columns of a Parquet file as arrays, by pyarrow (of the development environment)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet


def read_columns(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    """The named columns; one of lists becomes an array of arrays. ValueError for a column that is not there."""
    table = pyarrow.parquet.read_table(path, columns=names)
    missing = set(names) - set(table.column_names)
    if missing:
        raise ValueError(f"{path}: no column {sorted(missing)[0]!r}")
    return {name: table[name].to_numpy() for name in names}
