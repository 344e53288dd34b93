"""How results and refusals count things in a sentence."""

from __future__ import annotations


def counted(number: int, one: str, many: str | None = None) -> str:
    """The number with its noun (and verb): `one` for 1, else `many`, by default `one` with an s.

    >>> counted(1, "model"), counted(3, "model"), counted(3, "model has", "models have")
    ('1 model', '3 models', '3 models have')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"
