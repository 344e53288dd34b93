"""Stopping rules: when an instance, or a whole run, has been drawn often enough.

A rule is a value. What it answers depends on the counts alone, never on a clock or on chance, so a run that is
resumed asks for the same draws again. `InstanceRule` is the protocol of rules that judge each instance by itself
(`UntilPasses`, `FixedDraws`, `RelativeError`), `RunRule` of those that allot the draws of a whole run
(`DatasetPrecision`).

A new rule is a module in `passuntil/rules/kinds/` and its test. `RULES` finds it there, and forms, commands and JSON
take its settings from it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from inspect import isabstract
from typing import Any

from passuntil.errors import PassUntilError
from passuntil.rules import kinds
from passuntil.rules.adaptive import AdaptiveEstimate
from passuntil.rules.allocation import Allocation, Rounds
from passuntil.rules.base import Rule
from passuntil.rules.instance_rule import InstanceRule
from passuntil.rules.kinds.dataset_precision import DatasetPrecision
from passuntil.rules.kinds.fixed_draws import FixedDraws
from passuntil.rules.kinds.relative_error import RelativeError
from passuntil.rules.kinds.until_passes import UntilPasses
from passuntil.rules.planning import Plan
from passuntil.rules.prior import BetaPrior
from passuntil.rules.run_rule import RunRule
from passuntil.rules.setting import Setting

__all__ = [
    "RULES",
    "AdaptiveEstimate",
    "Allocation",
    "BetaPrior",
    "DatasetPrecision",
    "FixedDraws",
    "InstanceRule",
    "Plan",
    "RelativeError",
    "Rounds",
    "Rule",
    "RunRule",
    "Setting",
    "UntilPasses",
    "rule_from_dict",
]


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
