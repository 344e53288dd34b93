"""Sizes as people write them: 7B, 7e9, 7,000,000. Commands, forms and tables read them here and nowhere else."""

from __future__ import annotations

import math
import re
from decimal import Decimal

from passuntil.errors import PassUntilError

#: No model of more parameters, and none trained on more tokens, is believed.
LARGEST_SIZE = 1e18
UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}
#: A longer text is no size, whatever it holds.
LONGEST = 60
_FORM = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]*)(?P<part>\.[0-9]*)?(?P<power>e[+-]?[0-9]{1,4})?"
    r" ?(?P<unit>[kmbt]?)",
    re.IGNORECASE,
)


def read_size(text: str, name: str = "size", *, most: float = LARGEST_SIZE) -> int | float:
    """Read a count of parameters or tokens.

    Parameters
    ----------
    text : str
        Digits, with commas between thousands or without, a point, an exponent, and a unit of K, M, B or T in
        either case: 7000000, 7,000,000, 7e6, 7M, 0.007B.
    name : str, optional
        What it is the size of, for the error.
    most : float, optional
        The largest that is believed.

    Returns
    -------
    int or float
        Above 0; an int, exact, where it is whole.

    Raises
    ------
    PassUntilError
        For any other text, and for a size that is not above 0 or above `most`.

    Examples
    --------
    >>> read_size("7,000,000"), read_size("7e9"), read_size("1.5 M"), read_size("70b"), read_size("0.25")
    (7000000, 7000000000, 1500000, 70000000000, 0.25)
    """
    text = text.strip()
    form = _FORM.fullmatch(text) if len(text) <= LONGEST else None
    digits = "" if form is None else form["whole"].replace(",", "") + (form["part"] or "").replace(".", "")
    if form is None or not digits:
        raise PassUntilError(_problem(text, name))
    number = f"{form['sign']}{form['whole'].replace(',', '') or 0}{form['part'] or ''}{form['power'] or ''}"
    value = Decimal(number) * UNITS[form["unit"].lower()]
    if not 0 < value <= Decimal(most):
        raise PassUntilError(f"{name} must be above 0 and at most {most:g}, not {text}")
    exact = int(value)
    size: int | float = exact if exact == value else float(value)
    if not size:  # less than any float holds
        raise PassUntilError(f"{name} must be above 0 and at most {most:g}, not {text}")
    return size


def read_whole_size(text: str, name: str = "size") -> int:
    """Read a count of things that come one by one.

    Parameters
    ----------
    text : str
        As `read_size` takes it.
    name : str, optional
        What it is the size of, for the error.

    Returns
    -------
    int
        Above 0 and at most `LARGEST_SIZE`.

    Raises
    ------
    PassUntilError
        As `read_size` does, and for a size that is not whole.

    Examples
    --------
    >>> read_whole_size("1.5M")
    1500000
    """
    size = read_size(text, name)
    if not isinstance(size, int):
        raise PassUntilError(f"{name} must be a whole number, not {text}")
    return size


def _problem(text: str, name: str) -> str:
    """Why a text is no size, and how to write one."""
    try:
        if not math.isfinite(float(text)):
            return f"{name} must be finite, not {text:.60}"
    except ValueError:
        pass
    if re.fullmatch(r"[0-9]+,[0-9]+ ?[a-z]?", text, re.IGNORECASE):
        return f"{text!r:.60} is not a size: commas stand between thousands, and decimals follow a point, as in 1.5M"
    return f"{text!r:.60} is not a size; write one as 7000000, 7,000,000, 7e6 or 7M"
