"""How text is drawn, and within which bounds. No Django here: the command without a site uses it too."""

import math
from dataclasses import dataclass

from firstlight.files.errors import Refused

MOST_TEMPERATURE = 10.0
MOST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Decoding:
    """Temperature 1 and top-p 1 link pass probability to loss (method.md A4). Raises Refused out of bounds."""

    seed: int = 0
    temperature: float = 1.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= MOST_SEED:
            raise Refused(f"a seed is a whole number from 0 to 2^63 - 1, not {self.seed}.")
        if not (math.isfinite(self.temperature) and 0 < self.temperature <= MOST_TEMPERATURE):
            raise Refused(
                f"temperature must lie in (0, {MOST_TEMPERATURE:g}], not {self.temperature}: "
                "1 links pass probability to loss."
            )
        if not 0 < self.top_p <= 1:
            raise Refused(f"top-p must lie in (0, 1], not {self.top_p}: 1 keeps every token.")

    @property
    def plain(self) -> bool:
        """Whether draws follow the model's own distribution, to which its likelihoods refer."""
        return self.temperature == 1.0 and self.top_p == 1.0
