"""Small helpers of the results: numbers for JSON, and tables for people."""

from __future__ import annotations

import math
from collections.abc import Sequence


def finite(value: float | None) -> float | None:
    """The number, or None where it is not finite: JSON has no NaN."""
    return None if value is None or not math.isfinite(value) else float(value)


def shown(value: float | None, form: str = ".3f") -> str:
    """A number as a table shows it; a dot where there is none."""
    if value is None or math.isnan(value):
        return "."
    return "inf" if math.isinf(value) else format(value, form)


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[str] = ()) -> str:
    """Columns of text: the first and those named in `left` to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = []
    for row in (header, *rows):
        cells = [
            cell.ljust(width) if place == 0 or header[place] in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def counted(number: int, one: str, many: str | None = None) -> str:
    """The number with its noun (and verb): `one` for 1, else `many`, by default `one` with an s.

    >>> counted(1, "model"), counted(3, "model"), counted(3, "model has", "models have")
    ('1 model', '3 models', '3 models have')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"
