"""The protocol of rules about a whole run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from numpy.typing import ArrayLike

from passuntil.rules.adaptive import AdaptiveEstimate
from passuntil.rules.allocation import Allocation, Rounds
from passuntil.rules.base import Rule


class RunRule(Rule):
    """A rule about a whole run: it looks at the counts of all instances and allots draws to each, in rounds."""

    __slots__ = ()

    def mean(self, outcomes: Sequence[Sequence[bool]], *, level: float = 0.95) -> AdaptiveEstimate:
        """Estimate the mean pass probability over instances, by the rule's own unbiased estimate.

        Parameters
        ----------
        outcomes : sequence of sequences of bool
            All outcomes of every instance in draw order.
        level : float, optional
            Confidence level of its interval, in (0, 1).

        Returns
        -------
        AdaptiveEstimate
            See `estimate`.
        """
        return self.estimate(self.rounds_of(outcomes), level=level)

    @abstractmethod
    def allocate(self, counts: Rounds, *, wave: int, costs: ArrayLike | None = None) -> Allocation:
        """Say what to draw of each instance now.

        Parameters
        ----------
        counts : Rounds
            What was drawn, round by round; `Rounds.none(m)` to begin with.
        wave : int
            The most draws of one instance in one answer.
        costs : array_like of float, shape (instances,), optional
            Cost of one draw of each (tokens, seconds), above 0; the same in every call of a run.

        Returns
        -------
        Allocation
            A function of the counts and costs alone.

        Raises
        ------
        PassUntilError
            Where the counts hold more than this rule asked for: `rounds_of` cuts overshoot off.
        """

    @abstractmethod
    def rounds_of(self, outcomes: Iterable[Any], *, costs: ArrayLike | None = None) -> Rounds:
        """Cut outcomes into rounds as this rule would have asked for them.

        Parameters
        ----------
        outcomes : iterable of sequences of bool
            All outcomes of every instance in draw order. Draws beyond the open round wait for theirs.
        costs : array_like of float, shape (instances,), optional
            As in `allocate`.

        Returns
        -------
        Rounds
            Draws and passes of each round.

        Raises
        ------
        PassUntilError
            For no instances, or outcomes other than 0 and 1.
        """

    @abstractmethod
    def estimate(
        self, counts: Rounds, *, level: float = 0.95, costs: ArrayLike | None = None
    ) -> AdaptiveEstimate:
        """Estimate the mean over instances, with what is known of its error.

        Parameters
        ----------
        counts : Rounds
            What was drawn, round by round.
        level : float, optional
            Confidence level of the intervals, in (0, 1).
        costs : array_like of float, shape (instances,), optional
            As in `allocate`.

        Returns
        -------
        AdaptiveEstimate
            Unbiased once the run is done; provisional before.

        Raises
        ------
        PassUntilError
            Where no round is complete yet.
        """
