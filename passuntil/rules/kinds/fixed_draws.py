"""Draw a fixed number of times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from passuntil._arrays import Floats, Ints
from passuntil._checks import whole
from passuntil._text import counted
from passuntil.rules._counts import Counts, not_less, pair
from passuntil.rules._planning import assemble, beliefs
from passuntil.rules.instance_rule import InstanceRule
from passuntil.rules.planning import Plan
from passuntil.rules.prior import BetaPrior
from passuntil.rules.setting import MOST_OFFERED, Setting, flag


@dataclass(frozen=True, slots=True)
class FixedDraws(InstanceRule):
    """Draw each instance `n` times, whatever passes: the simplest rule for a mean over instances.

    Parameters
    ----------
    n : int
        Draws of each instance, at least 1.
    extended : bool, optional
        Whether n was raised after the draws were looked at.

    Raises
    ------
    PassUntilError
        For a number that cannot be.

    Examples
    --------
    >>> FixedDraws(1600).draws_needed([1500], [3], level=0.95).tolist()
    [100]
    >>> FixedDraws(1600).plan(instances=164).draws
    262400.0
    """

    kind: ClassVar[str] = "fixed_draws"
    title: ClassVar[str] = "Each instance has been drawn n times"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(
            name="n",
            type="whole",
            label="Draws n",
            meaning="Every instance is drawn exactly this often.",
            check=partial(whole, least=1),
            start=1000,
            offered=(1, MOST_OFFERED),
            option="--fixed",
            metavar="N",
        ),
    )

    n: int
    extended: bool = False

    def __post_init__(self) -> None:
        self._check_settings()

    def _design(self) -> dict[str, Any]:
        return {"cap": self.n, "extended": self.extended}

    @property
    def bounds(self) -> tuple[int, int]:
        return self.n, self.n

    def is_done(self, counts: Counts) -> bool:
        return pair(counts)[0] >= self.n

    def draws_needed(self, draws: ArrayLike, passes: ArrayLike, *, level: ArrayLike) -> Ints:
        left = np.maximum(self.n - np.atleast_1d(np.asarray(draws, np.int64)), 0)
        return left if np.ndim(level) == 0 else np.repeat(left[:, None], np.size(level), axis=1)

    def expected_left(self, draws: ArrayLike, passes: ArrayLike) -> Floats:
        return np.maximum(self.n - np.asarray(draws, np.float64), 0.0)

    def words(self) -> str:
        return f"exactly {counted(self.n, 'draw')} of each instance"

    def plan(
        self,
        prior: BetaPrior | None = None,
        *,
        pilot: Iterable[Counts] | None = None,
        instances: int | None = None,
        tokens_per_draw: float | None = None,
        tokens_per_second: float | None = None,
    ) -> Plan:
        if pilot is None and prior is None:
            prior = BetaPrior(0.5, 0.5)
        _, draws, _ = beliefs(prior, pilot, instances)
        each = [max(self.n, n) for n in draws.tolist()]
        return assemble(each, 1.0, tokens_per_draw=tokens_per_draw, tokens_per_second=tokens_per_second)

    def extend_to(self, n: int, *, looked: bool = True) -> FixedDraws:
        """Return the rule with more draws, keeping those that were made.

        Parameters
        ----------
        n : int
            Draws of each instance, no fewer than before.
        looked : bool, optional
            Whether the draws were seen by whoever decided; see `UntilPasses.extend_to`.

        Returns
        -------
        FixedDraws
            The longer rule.

        Raises
        ------
        PassUntilError
            Where n falls.

        Examples
        --------
        >>> FixedDraws(100).extend_to(1000, looked=False)
        FixedDraws(n=1000, extended=False)
        """
        return FixedDraws(not_less("n", n, self.n), extended=self.extended or flag("looked", looked))
