"""LOSSES.csv: what each model of a series loses on what it was not trained on; one column a loss."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping

from passuntil._checks import positive
from passuntil._files import read_text, shown_path
from passuntil._text import counted
from passuntil.errors import PassUntilError

#: Columns of the model, not losses.
OF_THE_MODEL = ("n_params", "tokens")
#: Nats; nobody believes more.
LARGEST_LOSS = 1e9


def read_losses(path: str | os.PathLike[str]) -> dict[str, dict[str, float]]:
    """Read a LOSSES.csv: a column `model` and a column for each loss, in nats; an empty cell is unknown.

    Parameters
    ----------
    path : str or path-like
        The file (UTF-8, comma-separated, a header line; packed by gzip or not); "-" is standard input. Columns
        `n_params` and `tokens` are passed over.

    Returns
    -------
    dict of str to dict
        By the name of the loss and that of the model, a loss above 0.

    Raises
    ------
    PassUntilError
        Naming file and line: unreadable file, no column `model` or no other, a model twice, a value that is
        no number above 0.
    """
    name, text = shown_path(path), read_text(path)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        rows = [[cell.strip() for cell in row] for row in reader if row]
    except csv.Error as error:
        raise PassUntilError(f"{name}: not CSV ({error})") from None
    header = rows[0] if rows else []
    columns = [column for column in header if column != "model" and column not in OF_THE_MODEL]
    if "model" not in header or not columns or len(set(header)) < len(header):
        raise PassUntilError(f"{name}: the header needs `model` and a column for each loss, each name once")
    losses: dict[str, dict[str, float]] = {column: {} for column in columns}
    seen: set[str] = set()
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise PassUntilError(
                f"{name}, line {line}: {counted(len(row), 'cell')} under {counted(len(header), 'column')}"
            )
        cells = dict(zip(header, row, strict=True))
        if cells["model"] in seen:
            raise PassUntilError(f"{name}, line {line}: model {cells['model']!r} appears twice; keep one")
        seen.add(cells["model"])
        for column in columns:
            if cells[column]:
                try:
                    losses[column][cells["model"]] = positive(column, float(cells[column]), most=LARGEST_LOSS)
                except (ValueError, PassUntilError):
                    raise PassUntilError(
                        f"{name}, line {line}, column {column}: {cells[column]!r:.60} is not a loss above 0"
                    ) from None
    return losses


def check_losses(losses: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Check losses by name and model.

    Parameters
    ----------
    losses : mapping of str to mapping
        By the name of the loss and that of the model, a loss in nats.

    Returns
    -------
    dict of str to dict
        The same as floats.

    Raises
    ------
    PassUntilError
        For a loss that is not above 0.
    """
    return {
        name: {
            model: positive(f"loss {name} of {model}", loss, most=LARGEST_LOSS)
            for model, loss in by_model.items()
        }
        for name, by_model in losses.items()
    }
