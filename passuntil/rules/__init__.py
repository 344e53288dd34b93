"""Stopping rules: when an instance, or a whole run, has been drawn often enough.

A rule is a value. What it answers depends on the counts alone, never on a clock or on chance, so a run that is
resumed asks for the same draws again. `InstanceRule` is the protocol of rules that judge each instance by itself
(`UntilPasses`, `FixedDraws`, `RelativeError`), `RunRule` of those that allot the draws of a whole run
(`DatasetPrecision`).

A new rule is a module in `passuntil/rules/kinds/` and its test. `RULES` finds it there, and forms, commands and JSON
take its settings from it.
"""

from typing import TYPE_CHECKING

from passuntil._faces import lazily

if TYPE_CHECKING:
    from passuntil.rules.adaptive import AdaptiveEstimate
    from passuntil.rules.all_rules import RULES, rule_from_dict
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

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
