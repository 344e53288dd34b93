"""Settings of stopping rules: declared once, and read by forms, commands, interfaces and JSON alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from passuntil._checks import confidence, whole
from passuntil.errors import PassUntilError


@dataclass(frozen=True, slots=True)
class Setting:
    """One number or switch of a stopping rule, with all that is known of it.

    Parameters
    ----------
    name : str
        Its name as an attribute of the rule, in JSON, and as a field of a form. Rules that share a setting share
        the object, so that a form can show one field for both.
    type : {"whole", "real", "flag"}
        A whole number, a real one, or a switch.
    label : str
        What a form writes above the field.
    meaning : str
        What it does, in a plain sentence.
    check : callable
        Takes the name and a value; returns the value to store, or raises PassUntilError.
    start : int, float or bool
        What forms and commands begin with. What is left out in Python or JSON is the rule's own default.
    offered : tuple of float, optional
        Least and most that a form takes; values beyond are possible, and mostly a slip of the keyboard.
    option : str, optional
        The flag of a command, such as ``--floor``; without one, no command takes the setting.
    metavar : str, optional
        What a command's help calls the value.
    read : callable, optional
        Takes the text behind the flag; returns the settings that it gives. By default the number itself.

    Examples
    --------
    >>> FLOOR.check("floor", 64), FLOOR.option
    (64, '--floor')
    >>> FLOOR.read_option("64")
    {'floor': 64}
    """

    name: str
    type: Literal["whole", "real", "flag"]
    label: str
    meaning: str
    check: Callable[[str, Any], Any]
    start: int | float | bool
    offered: tuple[float, float] | None = None
    option: str = ""
    metavar: str = ""
    read: Callable[[str], dict[str, Any]] | None = None

    def read_option(self, text: str) -> dict[str, Any]:
        """Read what was written behind the flag of a command.

        Parameters
        ----------
        text : str
            What stands there.

        Returns
        -------
        dict
            Names of settings and their values; mostly one.

        Raises
        ------
        PassUntilError
            Where it is no number of the setting's type.
        """
        if self.read is not None:
            return self.read(text)
        try:
            return {self.name: int(text) if self.type == "whole" else float(text)}
        except ValueError:
            kind = "a whole number" if self.type == "whole" else "a number"
            raise PassUntilError(f"expected {kind}, not {text!r}") from None


def flag(name: str, value: Any) -> bool:
    """Return True or False, and refuse what merely counts as one.

    Parameters
    ----------
    name : str
        The name to say where it is refused.
    value : bool
        The value.

    Returns
    -------
    bool
        The value itself.

    Raises
    ------
    PassUntilError
        For anything but a bool.
    """
    if not isinstance(value, bool):
        raise PassUntilError(f"{name} must be true or false, not {value!r}")
    return value


#: No form asks for more: 10^7 draws of an instance are a mistake.
MOST_OFFERED = 10_000_000

FLOOR = Setting(
    name="floor",
    type="whole",
    label="Floor",
    meaning="Draw each instance at least this often, so that easy instances do not rest on a handful of draws.",
    check=partial(whole, least=0),
    start=64,
    offered=(0, MOST_OFFERED),
    option="--floor",
    metavar="DRAWS",
)
CAP = Setting(
    name="cap",
    type="whole",
    label="Cap",
    meaning="Draw each instance at most this often. A pass probability far below 1/cap gets an upper bound only.",
    check=partial(whole, least=1),
    start=10_000,
    offered=(1, MOST_OFFERED),
    option="--cap",
    metavar="DRAWS",
)
LEVEL = Setting(
    name="level",
    type="real",
    label="Level",
    meaning="The probability with which the promise of the rule holds, such as 0.95.",
    check=lambda _, value: confidence(value),
    start=0.95,
    offered=(0.5, 0.999),
    option="--level",
    metavar="LEVEL",
)
