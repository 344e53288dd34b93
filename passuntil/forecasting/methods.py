"""Every method that the data of a series carry, fitted; and why the others cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from passuntil._arrays import Floats
from passuntil.counts import estimates
from passuntil.counts.aggregate import DatasetEstimate, dataset_estimate
from passuntil.counts.tables import TallyRow, check_series
from passuntil.counts.tally import Tally
from passuntil.errors import PassUntilError
from passuntil.laws.base import Forecast
from passuntil.laws.dataset_ols import DatasetOLS
from passuntil.laws.deviation_prior import DeviationPrior
from passuntil.laws.instance_likelihood import InstanceLikelihood
from passuntil.laws.instance_ols import InstanceOLS
from passuntil.laws.loss_assisted import LossAssisted

SCALES = ("n_params", "tokens", "compute")
#: In this order they are listed; the first is the fallback.
METHODS = ("dataset_ols", "instance_ols", "instance_likelihood", "loss_assisted")


class Law(Protocol):
    """What a fitted method answers."""

    def forecast(self, n_params: float, *, level: float = 0.9) -> Forecast: ...


@dataclass(frozen=True, slots=True)
class Series:
    """Models of one series by size, over the m instances that all of them share.

    names, sizes, means, paper (means of the paper's r / K): one a model. draws, passes, values (unbiased
    estimates), nll: (m, n); nll is None unless every cell has one. left_out: instances that some model
    lacks. losses: by name, the loss of each model (> 0, nats).
    """

    names: tuple[str, ...]
    sizes: Floats
    draws: NDArray[np.float64]
    passes: NDArray[np.float64]
    values: Floats
    nll: Floats | None
    means: tuple[DatasetEstimate, ...]
    paper: Floats
    left_out: int
    losses: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def keep(self, wanted: Iterable[str]) -> Series:
        """The series with these models only."""
        chosen = set(wanted)
        at = [i for i, name in enumerate(self.names) if name in chosen]
        return replace(
            self,
            names=tuple(self.names[i] for i in at),
            sizes=self.sizes[at],
            draws=self.draws[:, at],
            passes=self.passes[:, at],
            values=self.values[:, at],
            nll=None if self.nll is None else self.nll[:, at],
            means=tuple(self.means[i] for i in at),
            paper=self.paper[at],
        )

    def whole_losses(self) -> dict[str, Floats]:
        """The losses that every model has, shape (n,); of the answers first."""
        found = {} if self.nll is None else {"answer": self.nll.mean(axis=0)}
        for name, loss in self.losses.items():
            if all(model in loss for model in self.names):
                found[name] = np.array([loss[model] for model in self.names], dtype=np.float64)
        return found


def read_series(
    rows: list[TallyRow],
    scale: str,
    level: float,
    losses: Mapping[str, Mapping[str, float]] | None = None,
) -> Series:
    """The series of these rows on that scale; PassUntilError where they are not one."""
    if scale not in SCALES:
        raise PassUntilError(f"scale must be one of {', '.join(SCALES)}, not {scale!r}")
    if not rows:
        raise PassUntilError("no rows were given; a forecast needs the tallies of at least three sizes")
    check_series(rows)
    sizes: dict[str, float] = {}
    cells: dict[str, dict[str, TallyRow]] = {}
    for row in rows:
        sizes[row.model] = _size(row, scale)
        cells.setdefault(row.model, {})[row.instance] = row
    names = sorted(sizes, key=lambda name: (sizes[name], name))
    common = sorted(set.intersection(*(set(cells[name]) for name in names)))
    everywhere = set.union(*(set(cells[name]) for name in names))
    if not common:
        raise PassUntilError("no instance was measured on all models; measure the same instances on each")
    table = [[cells[name][instance] for name in names] for instance in common]
    nll = [[row.nll for row in line] for line in table]
    complete = all(value is not None for line in nll for value in line)
    tallies = [[row.tally for row in line] for line in table]
    return Series(
        names=tuple(names),
        sizes=np.array([sizes[name] for name in names]),
        draws=np.array([[row.tally.draws for row in line] for line in table], dtype=np.float64),
        passes=np.array([[row.tally.passes for row in line] for line in table], dtype=np.float64),
        values=estimates.unbiased(*_columns(tallies)),
        nll=np.array(nll, dtype=np.float64) if complete else None,
        means=tuple(dataset_estimate([line[j].tally for line in table], level) for j in range(len(names))),
        paper=np.asarray(estimates.paper(*_columns(tallies)).mean(axis=0)),
        left_out=len(everywhere) - len(common),
        losses=losses or {},
    )


def _size(row: TallyRow, scale: str) -> float:
    if scale == "n_params":
        return row.n_params
    if row.tokens is None:
        raise PassUntilError(
            f"scale {scale!r} needs tokens, and model {row.model!r} has none; use 'n_params'"
        )
    return row.tokens if scale == "tokens" else 6.0 * row.n_params * row.tokens


def _columns(tallies: list[list[Tally]]) -> list[NDArray[np.int64]]:
    """The columns of tallies, each (m, n), as `estimates` takes them."""
    return [
        np.array([[getattr(tally, name) or 0 for tally in line] for line in tallies], dtype=np.int64)
        for name in ("draws", "passes", "stopped_at", "r", "floor", "cap")
    ]


def fit_methods(
    series: Series, *, guess_rate: float, deviation: DeviationPrior | None, seed: int, n_samples: int
) -> tuple[dict[str, Law], dict[str, str]]:
    """(fitted laws by name, why the others could not be fitted by name)."""
    fitted: dict[str, Law] = {}
    refused: dict[str, str] = {}
    for name in METHODS:
        try:
            if guess_rate and name != "instance_likelihood":
                raise PassUntilError("this method has no place for a guess rate")
            fitted[name] = _fit(name, series, guess_rate, deviation, seed, n_samples)
        except PassUntilError as error:
            refused[name] = str(error)
    return fitted, refused


def _fit(
    name: str, series: Series, guess_rate: float, deviation: DeviationPrior | None, seed: int, n_samples: int
) -> Law:
    if name == "dataset_ols":
        return DatasetOLS().fit(series.sizes, [mean.mean for mean in series.means])
    if name == "instance_ols":
        return InstanceOLS().fit(series.sizes, series.values)
    if name == "loss_assisted":
        if series.nll is not None:
            return LossAssisted().fit(series.sizes, series.values, series.nll)
        return _by_loss_of_models(series)
    law = InstanceLikelihood(
        guess_rate=guess_rate, deviation=deviation or "estimate", seed=seed, n_samples=n_samples
    )
    return law.fit(series.sizes, series.draws, series.passes)


def _by_loss_of_models(series: Series) -> LossAssisted:
    """The relation between the task mean and a loss of the models, the one that leaves out sizes best.

    A loss over a corpus has a floor, so it is carried to larger models by L = c N^-alpha + L0.
    """
    means = np.array([[mean.mean for mean in series.means]])
    laws = [
        LossAssisted(floor=True, shrink=False).fit(series.sizes, means, loss[None])
        for loss in series.whole_losses().values()
    ]
    if not laws:
        raise PassUntilError(
            "some cells have no nll (`firstlight exact` measures it), and no loss of all models was given"
        )
    return min(laws, key=lambda law: law.form_errors_[law.form_])
