"""The one error that this library raises for input it cannot use."""

from __future__ import annotations


class PassUntilError(ValueError):
    """Input that cannot be used. The message names the value that was given and what to do instead."""
