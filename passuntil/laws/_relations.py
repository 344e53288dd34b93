"""Relations between the loss of an answer and its pass probability, and what they are fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from passuntil._arrays import Floats
from passuntil.laws._lines import LEAST_P, MOST_P

#: -log PU = a L + b;  log(-log PU) = a log L + b;  log(-log PU) = a L + b.
FORMS = ("linear", "log_log", "log_linear")
LEAST_NLL = 1e-12


@dataclass(frozen=True, slots=True)
class Relation:
    """One form of the relation between the loss of an answer and its pass probability, fitted.

    Parameters
    ----------
    form : {"linear", "log_log", "log_linear"}
        See `FORMS`.
    slope, level : float
        Its a and b.
    """

    form: str
    slope: float
    level: float

    def pass_probability(self, nll: Floats) -> Floats:
        """Pass probability at these answer losses.

        Parameters
        ----------
        nll : ndarray
            Summed over the answer, in nats.

        Returns
        -------
        ndarray
            In [0, 1], of the shape of `nll`.
        """
        if self.form == "linear":
            return np.asarray(np.exp(-np.maximum(self.slope * nll + self.level, 0.0)))
        x = np.log(np.maximum(nll, LEAST_NLL)) if self.form == "log_log" else nll
        return np.asarray(np.exp(-np.exp(np.clip(self.slope * x + self.level, -60.0, 6.4))))


@dataclass(frozen=True, slots=True)
class Measured:
    """Sizes (n,), pass probabilities, losses and the cells that fit the relation (m, n)."""

    sizes: Floats
    values: Floats
    losses: Floats
    easy: Any


def relate(form: str, data: Measured, used: Any) -> Relation:
    """The relation of that form, by least squares over the easy cells of the models in `used`."""
    cells = data.easy & used[None, :]
    nll, p = data.losses[cells], np.clip(data.values[cells], LEAST_P, MOST_P)
    x = np.log(nll) if form == "log_log" else nll
    y = -np.log(p) if form == "linear" else np.log(-np.log(p))
    off = x - x.mean()
    spread = float((off * off).sum())
    slope = float((off * y).sum()) / spread if spread > 0 else 0.0
    return Relation(form, slope, float(y.mean()) - slope * float(x.mean()))
