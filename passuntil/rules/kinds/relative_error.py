"""Draw until the r-th pass, with r chosen for a relative error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from passuntil._checks import relative_error
from passuntil.counts.gbas import passes_needed
from passuntil.errors import PassUntilError
from passuntil.rules._counts import not_less
from passuntil.rules.kinds.until_passes import UntilPasses
from passuntil.rules.setting import CAP, FLOOR, LEVEL, Setting, flag


@dataclass(frozen=True, slots=True, init=False)
class RelativeError(UntilPasses):
    """Draw until an instance's p is known to within a share `epsilon` of itself, or to the cap.

    It is `UntilPasses` with the r that the gamma Bernoulli approximation scheme asks for: 17, 97, 385 passes for
    50%, 20%, 10% at level 0.95, the same at every p. The promise is of `passuntil.counts.gamma_estimate`, and of
    an instance that got its passes; at the cap there is only the exact interval. It spends 1 / (p epsilon^2) draws:
    for single rare instances, not for a dataset's mean.

    Parameters
    ----------
    epsilon : float
        Relative error, in (0, 1).
    level : float, optional
        Probability with which it is kept, in (0, 1).
    cap : int, optional
        Most draws of each instance, at least the r that follows.
    floor : int, optional
        Fewest draws of each instance.
    extended : bool, optional
        As in `UntilPasses`.

    Raises
    ------
    PassUntilError
        For a number that cannot be, and a cap below r.

    References
    ----------
    .. [1] M. Huber, "A Bernoulli mean estimate with known relative error distribution", arXiv 1309.5413.

    Examples
    --------
    >>> rule = RelativeError(0.2)
    >>> rule.r, rule.is_done((1000, 100))
    (97, True)
    """

    kind: ClassVar[str] = "relative_error"
    title: ClassVar[str] = "Each instance reaches a relative error"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(
            name="epsilon",
            type="real",
            label="Relative error",
            meaning=(
                "Each instance is drawn until its pass probability is known to within this share of itself. Relative "
                "errors of 0.5, 0.2 and 0.1 take 17, 97 and 385 passes at level 0.95."
            ),
            check=relative_error,
            start=0.2,
            offered=(0.01, 0.99),
            option="--relative-error",
            metavar="SHARE",
        ),
        LEVEL,
        FLOOR,
        CAP,
    )

    epsilon: float = 0.2
    level: float = 0.95

    def __init__(
        self, epsilon: float, level: float = 0.95, cap: int = 10**5, floor: int = 0, extended: bool = False
    ) -> None:
        values = {"epsilon": epsilon, "level": level, "cap": cap, "floor": floor, "extended": extended}
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check_settings()
        object.__setattr__(self, "r", passes_needed(self.epsilon, self.level))
        self._check_cap()

    def words(self) -> str:
        return (
            f"until each instance's pass probability is known to within {self.epsilon:.0%} of itself "
            f"({self.r} passes), at least {self.floor:,} and at most {self.cap:,} draws"
        )

    def extend_to(  # type: ignore[override]  # r follows from epsilon here
        self,
        *,
        epsilon: float | None = None,
        floor: int | None = None,
        cap: int | None = None,
        looked: bool = True,
    ) -> RelativeError:
        """Return the rule with a smaller epsilon, a larger floor or cap.

        Parameters
        ----------
        epsilon : float, optional
            No larger than before.
        floor, cap : int, optional
            No smaller than before.
        looked : bool, optional
            As in `UntilPasses.extend_to`.

        Returns
        -------
        RelativeError
            The longer rule.

        Raises
        ------
        PassUntilError
            Where it would take draws back.
        """
        wanted = self.epsilon if epsilon is None else relative_error("epsilon", epsilon)
        if wanted > self.epsilon:
            raise PassUntilError(
                f"epsilon ({wanted:g}) is above the rule's {self.epsilon:g}; an extension only adds draws"
            )
        return RelativeError(
            wanted,
            self.level,
            cap=self.cap if cap is None else not_less("cap", cap, self.cap),
            floor=self.floor if floor is None else not_less("floor", floor, self.floor),
            extended=self.extended or flag("looked", looked),
        )
