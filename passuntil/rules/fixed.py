"""Draw a fixed number of times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from passuntil._arrays import Ints
from passuntil._checks import whole
from passuntil.counts.tally import Tally
from passuntil.rules._base import flag, known, not_less, pair, plain
from passuntil.rules.planning import BetaPrior, Plan, assemble, beliefs


@dataclass(frozen=True, slots=True)
class FixedDraws:
    """Draw `n` times, whatever passes (n >= 1). The simplest rule for a mean over instances.

    extended: n was raised after the draws were looked at.

    >>> FixedDraws(1600).next_draws(draws=1500, passes=3, wave=512)
    100
    """

    n: int
    extended: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", whole("n", self.n, least=1))
        flag("extended", self.extended)

    def is_done(self, counts: Tally | tuple[int, int]) -> bool:
        """Whether the n draws are made; counts: a Tally or (draws, passes)."""
        return pair(counts)[0] >= self.n

    def next_draws(self, *, draws: int, passes: int, wave: int) -> int:
        """How many more draws to ask for now: what is left of the n, at most `wave`."""
        draws, _ = pair((draws, passes))
        return min(max(self.n - draws, 0), whole("wave", wave, least=1))

    def draws_needed(self, draws: ArrayLike, passes: ArrayLike, *, level: ArrayLike) -> Ints:
        """How many of the next draws are needed, for certain: what is left of the n. As `UntilPasses`'."""
        left = np.maximum(self.n - np.atleast_1d(np.asarray(draws, np.int64)), 0)
        return left if np.ndim(level) == 0 else np.repeat(left[:, None], np.size(level), axis=1)

    def settle(self, bits: Iterable[Any]) -> Tally:
        """The tally of the first n outcomes; unfinished if there are fewer."""
        return Tally.from_bits(bits, cap=self.n, extended=self.extended)

    def plan(
        self,
        prior: BetaPrior | None = None,
        *,
        pilot: Iterable[Tally | tuple[int, int]] | None = None,
        instances: int | None = None,
        tokens_per_draw: float | None = None,
        tokens_per_second: float | None = None,
    ) -> Plan:
        """Draws, tokens and hours: n an instance. A prior or a pilot only says how many instances there are.

        >>> FixedDraws(1600).plan(instances=164).draws
        262400.0
        """
        if pilot is None and prior is None:
            prior = BetaPrior(0.5, 0.5)
        _, draws, _ = beliefs(prior, pilot, instances)
        each = [max(self.n, n) for n in draws.tolist()]
        return assemble(each, 1.0, tokens_per_draw=tokens_per_draw, tokens_per_second=tokens_per_second)

    def extend_to(self, n: int, *, looked: bool = True) -> FixedDraws:
        """The rule with more draws, keeping those that were made; see `UntilPasses.extend_to` for `looked`.

        >>> FixedDraws(100).extend_to(1000, looked=False)
        FixedDraws(n=1000, extended=False)
        """
        return FixedDraws(not_less("n", n, self.n), extended=self.extended or flag("looked", looked))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `rule_from_dict` reads them back."""
        return plain("fixed_draws", {"n": self.n}, self.extended)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FixedDraws:
        """The rule that `to_dict` described."""
        return cls(**known(data, "fixed_draws", ("n", "extended"), "n"))
