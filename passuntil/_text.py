"""Results as text: columns in line."""

from __future__ import annotations

from collections.abc import Sequence


def grid(header: Sequence[str], rows: Sequence[Sequence[str | float]]) -> list[str]:
    """Columns in line: text to the left, numbers in three significant digits to the right."""
    cells = [[v if isinstance(v, str) else f"{v:.3g}" for v in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(header), *cells]) for i in range(len(header))]
    return [
        "  ".join(
            v.ljust(w) if i == 0 else v.rjust(w) for i, (v, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [list(header), *cells]
    ]
