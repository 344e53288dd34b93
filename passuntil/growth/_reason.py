"""Why growth is given its class, in words: the verdict, the curvature with its interval, and the power."""

from __future__ import annotations

from passuntil._text import counted
from passuntil.growth._statistics import SHARES
from passuntil.growth.growth_result import GrowthResult


def reason(result: GrowthResult, least_power: float) -> str:
    """The grounds of a result that was tested."""
    shape = "concave" if (result.curvature or 0.0) < 0 else "convex"
    bent = (
        f"the curvature F'' that {counted(result.instances, 'instance')} share over {result.sizes} sizes is "
        f"{result.curvature:+.4f} [{result.low:+.4f}, {result.high:+.4f}]; models scatter by "
        f"{result.noise:.3f} about the law"
    )
    can = (
        f"the power to see the exponent change {result.factor:g}-fold over the range "
        f"(|F''| = {result.effect:.4f}) is {result.power:.0%}"
    )
    verdict = {
        "accelerated": f"instances bend beyond their own laws, {shape} (p = {result.p_value:.3g})",
        "sub_scaling": f"instances bend beyond their own laws, {shape} (p = {result.p_value:.3g})",
        "mixed": _mixed(result),
        "scaling_law": f"no curvature beyond the instances' own laws (p = {result.p_value:.3g})",
        "undetermined": (
            f"nothing is significant (p = {result.p_value:.3g}), but the power is below {least_power:.0%}: "
            "measure more sizes, or more models of a size"
        ),
    }[result.label]
    return f"{verdict}; {bent}; {can}"


def _mixed(result: GrowthResult) -> str:
    signs = []
    if result.tests["sign_change"] / SHARES["sign_change"] <= result.alpha:
        signs.append("the shared curve changes the sign of its curvature")
    if result.tests["disagreement"] / SHARES["disagreement"] <= result.alpha:
        signs.append(f"instances bend both ways ({result.concave} concave and {result.convex} convex alone)")
    return " and ".join(signs) + f" (p = {result.p_value:.3g})"
