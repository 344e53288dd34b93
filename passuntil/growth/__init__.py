"""Growth: whether an ability grows with size by the law, below it or above it, and what circuits would explain it."""

from typing import TYPE_CHECKING

from passuntil._faces import lazily

if TYPE_CHECKING:
    from passuntil.growth.circuit_comparison import CircuitComparison, CurveFit, compare_circuits
    from passuntil.growth.classification import growth_class, pooled_noise
    from passuntil.growth.growth_result import CLASSES, GrowthResult

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
