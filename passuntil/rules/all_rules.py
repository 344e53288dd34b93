"""Every stopping rule there is: those of the folder `kinds`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from inspect import isabstract
from typing import Any

from passuntil.errors import PassUntilError
from passuntil.rules import kinds
from passuntil.rules.base import Rule
from passuntil.rules.kinds.until_passes import UntilPasses


def _found() -> dict[str, type[Rule]]:
    """Every rule of the folder `kinds`, by its kind: `UntilPasses` first, which forms and commands begin with."""
    rules: dict[str, type[Rule]] = {UntilPasses.kind: UntilPasses}
    for module in pkgutil.iter_modules(kinds.__path__, f"{kinds.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            own = isinstance(value, type) and value.__module__ == module.name
            if own and issubclass(value, Rule) and not isabstract(value):
                rules[value.kind] = value
    return rules


#: Every stopping rule by its kind, the usual one first.
RULES: Mapping[str, type[Rule]] = _found()


def rule_from_dict(data: Mapping[str, Any]) -> Rule:
    """Read the rule that a `to_dict` described.

    Parameters
    ----------
    data : mapping
        Its kind, one of `RULES`, and its settings.

    Returns
    -------
    Rule
        The rule.

    Raises
    ------
    PassUntilError
        For an unknown kind, key or value.

    Examples
    --------
    >>> rule_from_dict({"kind": "until_passes", "r": 5, "cap": 1000})
    UntilPasses(r=5, floor=0, cap=1000, extended=False)
    """
    kind = data.get("kind") if isinstance(data, Mapping) else None
    rule = RULES.get(kind) if isinstance(kind, str) else None
    if rule is None:
        names = ", ".join(repr(name) for name in RULES)
        raise PassUntilError(f"unknown stopping rule {data!r}; its kind must be one of {names}")
    return rule.from_dict(data)
