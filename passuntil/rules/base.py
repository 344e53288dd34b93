"""What every stopping rule answers, whether it looks at one instance or at a whole run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from passuntil.counts.aggregate import DatasetEstimate
from passuntil.counts.tally import Tally
from passuntil.errors import PassUntilError
from passuntil.rules._counts import Counts
from passuntil.rules.adaptive import AdaptiveEstimate
from passuntil.rules.planning import Plan
from passuntil.rules.prior import BetaPrior
from passuntil.rules.setting import Setting, flag

if TYPE_CHECKING:
    from passuntil.rules.instance_rule import InstanceRule


class Rule(ABC):
    """A stopping rule: a frozen value whose answers depend on counts alone, never on a clock or on chance.

    A subclass is a frozen dataclass whose fields are its `settings` and `extended`: whether the run was made longer
    after its draws were looked at.

    Attributes
    ----------
    kind : str
        The rule's name in JSON.
    title : str
        The rule's name for people.
    settings : tuple of Setting
        Its settings. The first one is what the rule is about: it is never left out, and naming it in a command
        chooses the rule.
    """

    __slots__ = ()

    kind: ClassVar[str]
    title: ClassVar[str]
    settings: ClassVar[tuple[Setting, ...]]
    #: What else the plain form may hold.
    _further: ClassVar[tuple[str, ...]] = ("extended",)

    extended: bool

    # --- its plain form ---

    def to_dict(self) -> dict[str, Any]:
        """Describe the rule in plain JSON values, which `rule_from_dict` reads back.

        Returns
        -------
        dict
            Its kind and settings; `extended` only where it is true, so that older readers see what they know.
        """
        values = {setting.name: getattr(self, setting.name) for setting in self.settings}
        return {"kind": self.kind, **values, **({"extended": True} if self.extended else {})}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read the rule that `to_dict` described.

        Parameters
        ----------
        data : mapping
            Its kind (which may be left out here) and settings.

        Returns
        -------
        Rule
            The rule.

        Raises
        ------
        PassUntilError
            For another kind, an unknown key, a missing first setting or an impossible value.
        """
        if not isinstance(data, Mapping):
            raise PassUntilError(f"a rule is described by a mapping, not {data!r:.60}")
        if data.get("kind", cls.kind) != cls.kind:
            raise PassUntilError(
                f"the rule is of kind {data['kind']!r}, not {cls.kind!r}; use rule_from_dict"
            )
        names = (*(setting.name for setting in cls.settings), *cls._further)
        unknown = sorted(str(key) for key in set(data) - {"kind", *names})
        if unknown:
            raise PassUntilError(
                f"the rule {cls.kind!r} has no {', '.join(unknown)}; it takes {', '.join(names)}"
            )
        if cls.settings[0].name not in data:
            raise PassUntilError(f"the rule {dict(data)!r} lacks {cls.settings[0].name!r}")
        return cls(**{key: value for key, value in data.items() if key != "kind"})

    def _check_settings(self) -> None:
        """Every setting checked and stored as its check returns it; called by a subclass once its fields are set."""
        for setting in self.settings:
            object.__setattr__(self, setting.name, setting.check(setting.name, getattr(self, setting.name)))
        flag("extended", self.extended)

    # --- what it says of one instance ---

    @abstractmethod
    def _design(self) -> dict[str, Any]:
        """The design of an instance's tally: r, floor, cap and extended, as `Tally` takes them."""

    def tally(self, draws: int, passes: int, stopped_at: int | None) -> Tally:
        """Return the tally of stored counts under this rule.

        Parameters
        ----------
        draws, passes : int
            Draws that count, and passes among them.
        stopped_at : int or None
            The draw of the r-th pass, where the rule has an r and it has come.

        Returns
        -------
        Tally
            Its `finished` is False while the rule asks for more.
        """
        return Tally(draws, passes, stopped_at, **self._design())

    def settle(self, bits: Iterable[Any]) -> Tally:
        """Return the tally of all outcomes so far, cut where the rule stops.

        Parameters
        ----------
        bits : iterable of bool
            Outcomes in draw order; what follows the stop is overshoot and is dropped.

        Returns
        -------
        Tally
            Unfinished where the outcomes end before the stop.
        """
        return Tally.from_bits(bits, **self._design())

    @property
    @abstractmethod
    def bounds(self) -> tuple[int, int]:
        """Fewest and most draws of an instance."""

    # --- what it says of a whole run ---

    @property
    @abstractmethod
    def first_allotment(self) -> int | None:
        """Draws of each instance in the first round; None where every instance is judged by itself."""

    @abstractmethod
    def for_unit(self, allotted: int | None) -> InstanceRule:
        """Return the rule that one instance of a run follows for now.

        Parameters
        ----------
        allotted : int or None
            Draws to be made of it by the end of the round, where the rule allots them.

        Returns
        -------
        InstanceRule
            A rule about this instance alone.
        """

    @abstractmethod
    def unit_rules(self, outcomes: Sequence[Sequence[bool]]) -> list[InstanceRule | None]:
        """Say by which rule each instance of a run is to be drawn on now.

        Parameters
        ----------
        outcomes : sequence of sequences of bool
            All outcomes of every instance in draw order.

        Returns
        -------
        list of InstanceRule or None
            One entry an instance: None where it has its draws. All None: the run is done.
        """

    @abstractmethod
    def mean(
        self, outcomes: Sequence[Sequence[bool]], *, level: float = 0.95
    ) -> DatasetEstimate | AdaptiveEstimate:
        """Estimate the mean pass probability over the instances of a run.

        Parameters
        ----------
        outcomes : sequence of sequences of bool
            All outcomes of every instance in draw order.
        level : float, optional
            Confidence level of its interval, in (0, 1).

        Returns
        -------
        DatasetEstimate or AdaptiveEstimate
            Both have `mean`, `low`, `high` and `level`.
        """

    # --- for people ---

    @abstractmethod
    def words(self) -> str:
        """Say the rule as a person says it, without a full stop.

        Returns
        -------
        str
            A phrase that goes on after "This run draws each instance".
        """

    @abstractmethod
    def plan(
        self,
        prior: BetaPrior | None = None,
        *,
        pilot: Iterable[Counts] | None = None,
        instances: int | None = None,
        tokens_per_draw: float | None = None,
        tokens_per_second: float | None = None,
    ) -> Plan:
        """Say what the rule is expected to cost: draws, tokens and hours.

        Parameters
        ----------
        prior : BetaPrior, optional
            How the pass probabilities of the instances spread.
        pilot : iterable of Tally or (draws, passes), optional
            Counts of each instance so far; without a prior one is fitted to them. Their draws count in the plan.
        instances : int, optional
            How many instances there are, at least 1; 1 if left out. Not beside a pilot, which says it.
        tokens_per_draw, tokens_per_second : float, optional
            Above 0; tokens and hours are None without them.

        Returns
        -------
        Plan
            Expectations over the prior (or the posterior) and the draws.

        Raises
        ------
        PassUntilError
            Where neither a prior nor a pilot is given and the rule needs one, or a number cannot be.
        """
