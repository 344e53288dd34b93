"""Results as text: counted things, sizes, and columns in line."""

from __future__ import annotations

from collections.abc import Sequence


def counted(number: int, noun: str, plural: str = "") -> str:
    """The number with its noun: 1 draw, 2 draws, 2 passes; `plural` where an s is not enough."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def grid(header: Sequence[str], rows: Sequence[Sequence[str | float]]) -> list[str]:
    """Columns in line: text to the left, numbers in three significant digits to the right."""
    cells = [[v if isinstance(v, str) else f"{v:.3g}" for v in row] for row in rows]
    lines = [list(header), *cells]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return [
        "  ".join(
            v.ljust(w) if i == 0 else v.rjust(w) for i, (v, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def size_text(size: float) -> str:
    """A model's size, or what else is counted in such numbers: 59,376, 4.619M, 2.45B, 7.2e20."""
    for unit, scale in (("T", 1e12), ("B", 1e9), ("M", 1e6)):
        if scale <= size < 1e15:
            return f"{size / scale:.4g}{unit}"
    if size < 1e6 and float(size).is_integer():
        return f"{size:,.0f}"
    return f"{size:.4g}".replace("e+", "e")
