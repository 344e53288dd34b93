"""Stopping rules: when an instance has been drawn often enough, and how many draws to ask for next.

A rule is a value. What it answers depends on the counts alone, never on a clock or on chance, so a run that
is resumed asks for the same draws again. `UntilPasses`, `FixedDraws` and `RelativeError` judge each instance
by itself; `DatasetPrecision` allots the draws of a whole run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from passuntil.errors import PassUntilError
from passuntil.rules._base import CAUTION, LEAST_WAVE, StoppingRule
from passuntil.rules.allocation import Allocation, Rounds
from passuntil.rules.dataset import AdaptiveEstimate, DatasetPrecision
from passuntil.rules.fixed import FixedDraws
from passuntil.rules.planning import BetaPrior, Plan
from passuntil.rules.until import RelativeError, UntilPasses

__all__ = [
    "CAUTION",
    "LEAST_WAVE",
    "AdaptiveEstimate",
    "Allocation",
    "BetaPrior",
    "DatasetPrecision",
    "FixedDraws",
    "Plan",
    "RelativeError",
    "Rounds",
    "StoppingRule",
    "UntilPasses",
    "rule_from_dict",
]

_KINDS: dict[str, type[UntilPasses] | type[FixedDraws]] = {
    "until_passes": UntilPasses,
    "fixed_draws": FixedDraws,
    "relative_error": RelativeError,
    "dataset_precision": DatasetPrecision,
}


def rule_from_dict(data: Mapping[str, Any]) -> UntilPasses | FixedDraws:
    """The rule that a `to_dict` described; PassUntilError for an unknown kind, key or value.

    >>> rule_from_dict({"kind": "until_passes", "r": 5, "cap": 1000})
    UntilPasses(r=5, floor=0, cap=1000, extended=False)
    """
    kind = data.get("kind") if isinstance(data, Mapping) else None
    rule = _KINDS.get(kind) if isinstance(kind, str) else None
    if rule is None:
        names = ", ".join(repr(name) for name in _KINDS)
        raise PassUntilError(f"unknown stopping rule {data!r}; its kind must be one of {names}")
    return rule.from_dict(data)
