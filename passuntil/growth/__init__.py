"""Growth: whether an ability grows with size by the law, below it or above it, and what circuits would explain it."""

from passuntil.growth.circuit_comparison import CircuitComparison, CurveFit, compare_circuits
from passuntil.growth.classification import growth_class, pooled_noise
from passuntil.growth.growth_result import CLASSES, GrowthResult

__all__ = [
    "CLASSES",
    "CircuitComparison",
    "CurveFit",
    "GrowthResult",
    "compare_circuits",
    "growth_class",
    "pooled_noise",
]
