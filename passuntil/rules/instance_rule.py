"""The protocol of rules about one instance."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from numpy.typing import ArrayLike

from passuntil._arrays import Floats, Ints
from passuntil.counts.aggregate import DatasetEstimate, dataset_estimate
from passuntil.rules._counts import Counts
from passuntil.rules.base import Rule


class InstanceRule(Rule):
    """A rule about one instance: it looks at the counts of that instance and at nothing else."""

    __slots__ = ()

    @property
    def first_allotment(self) -> None:
        """None: every instance is judged by itself."""
        return None

    def for_unit(self, allotted: int | None) -> InstanceRule:
        """Return this rule: each instance follows it by itself.

        Parameters
        ----------
        allotted : int or None
            Not looked at; such a rule allots nothing.

        Returns
        -------
        InstanceRule
            The rule itself.
        """
        return self

    def unit_rules(self, outcomes: Sequence[Sequence[bool]]) -> list[InstanceRule | None]:
        """Say by which rule each instance is to be drawn on: this one, until it is done.

        Parameters
        ----------
        outcomes : sequence of sequences of bool
            All outcomes of every instance in draw order.

        Returns
        -------
        list of InstanceRule or None
            This rule, or None where the instance has its draws.
        """
        return [None if self.is_done((len(bits), int(sum(bits)))) else self for bits in outcomes]

    def mean(self, outcomes: Sequence[Sequence[bool]], *, level: float = 0.95) -> DatasetEstimate:
        """Estimate the mean pass probability over instances: the mean of their own estimates.

        Parameters
        ----------
        outcomes : sequence of sequences of bool
            All outcomes of every instance in draw order.
        level : float, optional
            Confidence level of its interval, in (0, 1).

        Returns
        -------
        DatasetEstimate
            See `passuntil.counts.dataset_estimate`.
        """
        return dataset_estimate([self.settle(bits) for bits in outcomes], level=level)

    @abstractmethod
    def is_done(self, counts: Counts) -> bool:
        """Say whether no more draws are needed.

        Parameters
        ----------
        counts : Tally or (draws, passes)
            What was drawn so far, overshoot allowed.

        Returns
        -------
        bool
            True once the rule asks for nothing more.

        Raises
        ------
        PassUntilError
            For counts that cannot be.
        """

    @abstractmethod
    def draws_needed(self, draws: ArrayLike, passes: ArrayLike, *, level: ArrayLike) -> Ints:
        """Say how many of the next draws are each needed with a probability of at least `level`.

        Parameters
        ----------
        draws, passes : array_like of int, shape (units,)
            Counts so far in draw order.
        level : float or array_like of float, shape (levels,)
            Probabilities in [0, 1].

        Returns
        -------
        ndarray of int, shape (units,) or (units, levels)
            Draws from now on; 0 where the rule is done.
        """

    @abstractmethod
    def expected_left(self, draws: ArrayLike, passes: ArrayLike) -> Floats:
        """Say how many more draws an instance is expected to need, roughly: for a remaining time.

        Parameters
        ----------
        draws, passes : array_like of int, shape (units,)
            Counts so far.

        Returns
        -------
        ndarray of float, shape (units,)
            At least 0.
        """
