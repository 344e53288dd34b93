"""One row of TALLIES.csv: the counts of one instance of one model, checked."""

from __future__ import annotations

from dataclasses import dataclass

from passuntil._checks import positive, real
from passuntil.counts.tally import Tally
from passuntil.errors import PassUntilError
from passuntil.sizes import LARGEST_SIZE

#: No answer of a larger loss is believed.
LARGEST_NLL, LONGEST_NAME = 1e9, 500


@dataclass(frozen=True, slots=True)
class TallyRow:
    """Counts of one instance of one model.

    Parameters
    ----------
    model : str
        Its name, of 1 to 500 characters.
    n_params : float
        Its non-embedding parameters, above 0.
    instance : str
        Name of the instance, of 1 to 500 characters.
    tally : Tally
        The counts.
    tokens : float, optional
        Training tokens of the model, above 0, if known.
    nll : float, optional
        Summed negative log-likelihood of the reference answer in nats, at least 0, if known.
    task : str, optional
        Its name, where rows of several tasks stand together.

    Raises
    ------
    PassUntilError
        For anything else.
    """

    model: str
    n_params: float
    instance: str
    tally: Tally
    tokens: float | None = None
    nll: float | None = None
    task: str = ""

    def __post_init__(self) -> None:
        for field in ("model", "instance"):
            value = getattr(self, field)
            if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_NAME:
                raise PassUntilError(
                    f"{field} must be a name of 1 to {LONGEST_NAME} characters, not {value!r:.60}"
                )
            object.__setattr__(self, field, value.strip())
        object.__setattr__(self, "n_params", positive("n_params", self.n_params, most=LARGEST_SIZE))
        if not isinstance(self.tally, Tally):
            raise PassUntilError(f"tally must be a Tally, not {self.tally!r:.60}")
        if self.tokens is not None:
            object.__setattr__(self, "tokens", positive("tokens", self.tokens, most=LARGEST_SIZE))
        if self.nll is not None:
            object.__setattr__(self, "nll", _checked_nll(self.nll))
        if not isinstance(self.task, str) or len(self.task) > LONGEST_NAME:
            raise PassUntilError(f"task must be a name of at most {LONGEST_NAME} characters")
        object.__setattr__(self, "task", self.task.strip())


def _checked_nll(value: object) -> float:
    """Check the loss of an answer."""
    nll = real("nll", value)
    if not 0.0 <= nll <= LARGEST_NLL:
        raise PassUntilError(f"nll must lie between 0 and {LARGEST_NLL:g} nats, not {nll:g}")
    return nll
