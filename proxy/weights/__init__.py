"""Weights: from a panel of models that show the target to the weight of each proxy task.

`PaperSelector` is relevance x phi(robustness); `ShrinkageSelector` a regression pooled towards equal weights;
`DecisionSelector` maximises the expected share of rightly ordered pairs under seed noise; `PooledSelector` shrinks
relevance to what the panel can tell apart and weighs it by information. `recommend` chooses one, and joins held-out
loss and the target's own score.
"""

from typing import TYPE_CHECKING

from proxy._faces import lazily

if TYPE_CHECKING:
    from proxy.weights.base import Selector, reliabilities
    from proxy.weights.decision import DecisionSelector
    from proxy.weights.paper import PaperSelector
    from proxy.weights.pooled import PooledSelector
    from proxy.weights.recommended import Recommended, recommend, selector_named
    from proxy.weights.shrinkage import ShrinkageSelector

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
