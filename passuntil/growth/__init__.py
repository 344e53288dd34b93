"""Growth: whether an ability grows with size by the law, below it or above it, and what circuits would explain it."""

from passuntil.growth.circuits import CircuitComparison, CurveFit, compare_circuits
from passuntil.growth.classes import GrowthResult, growth_class, pooled_noise

__all__ = [
    "CircuitComparison",
    "CurveFit",
    "GrowthResult",
    "compare_circuits",
    "growth_class",
    "pooled_noise",
]
