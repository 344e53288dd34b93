"""Options whose value is a size."""

import argparse
import math

from passuntil.errors import PassUntilError
from passuntil.sizes import read_size

#: Beyond the compute of any model, in floating-point operations.
LARGEST_TARGET = 1e40


def size(text: str) -> float:
    """What argparse reads a size with: 7B, 7e9, 7,000,000. Numbers that no size can be are left to the method."""
    try:
        return read_size(text, most=LARGEST_TARGET)
    except PassUntilError as error:
        try:
            return float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(str(error)) from None


def whole_size(text: str) -> int:
    """As `size`, of things that are counted one by one."""
    number = size(text)
    if not math.isfinite(number) or number != int(number):
        raise argparse.ArgumentTypeError(f"{text!r:.60} is not a whole number of tokens")
    return int(number)
