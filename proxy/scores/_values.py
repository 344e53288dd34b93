"""A cell of a table, read for everything that it says: "45.1%", "0.5 ± 0.01", "1,037", "82.00 (7/8)", "20.0*"."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

GAPS = frozenset({"", "-", "--", "—", "–", "na", "n/a", "nan", "none", "null"})
_NUMBER = r"[-+]?(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]*)?|[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_CELL = re.compile(
    rf"(?P<score>{_NUMBER})\s*(?P<percent>%?)"
    rf"(?:\s*(?:±|\+/-|\+-|\\pm)\s*(?P<stderr>{_NUMBER})\s*(?P<stderr_percent>%?))?"
    r"(?:\s*\((?P<passes>[0-9]+)\s*/\s*(?P<items>[0-9]+)\))?"
    r"\s*(?P<mark>[*†‡§¶#!?^↑↓▲▼¹²³⁰-⁹ᵃ-ᵿ]*|\([-+±]?[0-9.,]+%?\)|\[[^\]]*\])"
)


class Value(NamedTuple):
    """What a cell says.

    stderr: what follows ±; n: the items of a "(7/8)" whose share is the score; percent: a % stood there;
    mark: what else stood there.
    """

    score: float
    stderr: float = math.nan
    n: float = math.nan
    percent: bool = False
    mark: str = ""


def value_in(text: str) -> Value | None:
    """Everything that a cell says; a score of NaN for a gap, None for text that is no number.

    >>> value_in("45.1%"), value_in("0.5 ± 0.01")[:2], value_in("1,037")[0]
    (Value(score=45.1, stderr=nan, n=nan, percent=True, mark=''), (0.5, 0.01), 1037.0)
    >>> value_in("87.5 (7/8)")[:3], value_in("82.00 (7/8)").mark, value_in("20.0*").mark, value_in("0,45")
    ((87.5, nan, 8.0), '(7/8)', '*', None)
    """
    try:
        return Value(float(text))
    except ValueError:
        pass
    text = text.strip().replace("−", "-").strip("`").strip()
    for fence in ("**", "__", "$"):
        if len(text) > 2 * len(fence) and text.startswith(fence) and text.endswith(fence):
            text = text[len(fence) : -len(fence)].strip()
    if text.casefold() in GAPS:
        return Value(math.nan)
    try:
        return Value(float(text))
    except ValueError:
        pass
    cell = _CELL.fullmatch(text)
    if cell is None:
        return None
    score, stderr = (_number(cell[name]) for name in ("score", "stderr"))
    if cell["stderr_percent"] and not cell["percent"] and score <= 1:
        return None  # 0.45 ± 1.2%: is the score a fraction?
    mark, n = cell["mark"], math.nan
    if cell["items"]:
        share = int(cell["passes"]) / max(int(cell["items"]), 1)
        # As exact as the score was printed: (7/8) beside 82.00 counts something else.
        half = 0.5 * 10.0 ** -len(cell["score"].partition(".")[2])
        if min(abs(score - share), abs(score - 100 * share)) <= half * (1 + 1e-9):
            n = float(cell["items"])
        else:
            mark = f"({cell['passes']}/{cell['items']}){mark}"
    return Value(score, stderr, n, bool(cell["percent"] or cell["stderr_percent"]), mark)


def _number(text: str | None) -> float:
    return math.nan if text is None else float(text.replace(",", ""))
