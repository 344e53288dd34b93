"""The series that is forecast: rows of tallies, checked and read once into arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from passuntil._arrays import Floats, Ints
from passuntil.counts import estimates
from passuntil.counts.aggregate import DatasetEstimate, estimate_of_kinds
from passuntil.counts.tables import check_series
from passuntil.counts.tally import Tally
from passuntil.counts.tally_row import TallyRow
from passuntil.errors import PassUntilError
from passuntil.forecasting.scales import SCALES
from passuntil.laws.loss_table import check_losses

#: (r, floor, cap) of a stopping rule.
Design = tuple[int | None, int, int | None]


@dataclass(frozen=True, slots=True)
class Series:
    """Models of one series by size, over the m instances that all n of them share.

    Parameters
    ----------
    names : tuple of str
        The models, the smallest first.
    sizes : ndarray, shape (n,)
        Their sizes on the scale of the forecast, above 0.
    draws : ndarray, shape (m, n)
        Draws of every cell.
    passes : ndarray, shape (m, n)
        Passes of every cell.
    values : ndarray, shape (m, n)
        Unbiased estimates of the pass probabilities.
    nll : ndarray, shape (m, n), or None
        Losses of the reference answers in nats; None unless every cell has one.
    means : tuple of DatasetEstimate
        Task mean of each model.
    paper : ndarray, shape (n,)
        Mean of the paper's r / K for each model.
    designs : tuple of frozenset
        The stopping rules (r, floor, cap) that occur in each model's cells.
    left_out : int
        Instances that some model lacks.
    losses : mapping of str to mapping of str to float, optional
        By name, the loss of each model in nats, above 0.
    """

    names: tuple[str, ...]
    sizes: Floats
    draws: Floats
    passes: Floats
    values: Floats
    nll: Floats | None
    means: tuple[DatasetEstimate, ...]
    paper: Floats
    designs: tuple[frozenset[Design], ...]
    left_out: int
    losses: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def keep(self, names: Iterable[str]) -> Series:
        """Return the series with these models only; names that it lacks are no error.

        Parameters
        ----------
        names : iterable of str
            The models to keep.

        Returns
        -------
        Series
            Its models in the same order.
        """
        chosen = set(names)
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
            designs=tuple(self.designs[i] for i in at),
        )

    @property
    def design(self) -> Design:
        """The stopping rule (r, floor, cap) that all cells have, or (None, 0, None) where they differ."""
        designs = frozenset[Design]().union(*self.designs)
        return next(iter(designs)) if len(designs) == 1 else (None, 0, None)

    def whole_losses(self) -> dict[str, Floats]:
        """Return the losses that every model has, those of the answers first, as "answer".

        Returns
        -------
        dict of str to ndarray, shape (n,)
            Nats, by the name of the loss.
        """
        whole = {} if self.nll is None else {"answer": self.nll.mean(axis=0)}
        for name, loss in self.losses.items():
            if all(model in loss for model in self.names):
                whole[name] = np.array([loss[model] for model in self.names], dtype=np.float64)
        return whole


@dataclass(frozen=True)
class Neighbours:
    """Other tasks of a series, which tell how its models deviate from their laws.

    Parameters
    ----------
    tasks : dict of str to Series, optional
        By task.
    left_out : dict of str to str, optional
        The tasks that are no series, with the reason.
    """

    tasks: dict[str, Series] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def read_series(
    rows: Iterable[TallyRow],
    scale: str = "n_params",
    level: float = 0.9,
    *,
    task: str | None = None,
    losses: Mapping[str, Mapping[str, float]] | None = None,
) -> tuple[Series, Neighbours]:
    """Check rows of tallies and read them: the task that is forecast, and the others beside it.

    Parameters
    ----------
    rows : iterable of TallyRow
        Of one task, or of several with their names.
    scale : {"n_params", "tokens", "compute"}, optional
        What counts as size; the last two need tokens in every row.
    level : float, optional
        Of the intervals of the task means, in (0, 1).
    task : str, optional
        The one that is forecast; needed where the rows name several.
    losses : mapping of str to mapping of str to float, optional
        By name, the loss of each model in nats, above 0.

    Returns
    -------
    series : Series
        The task.
    neighbours : Neighbours
        The other tasks; those that are no series are left out with the reason.

    Raises
    ------
    PassUntilError
        No rows, several tasks and none named, a task that no row has, an instance twice, a model with two
        sizes, no common instance, missing tokens, an unknown scale, a loss that is not above 0.
    """
    own, others = _split_tasks(rows, task)
    check_series(row for table in (own, *others.values()) for row in table)
    if not own:
        raise PassUntilError("no rows were given; a forecast needs the tallies of at least three sizes")
    checked_losses = check_losses(losses or {})
    if scale not in SCALES:
        raise PassUntilError(f"scale must be one of {', '.join(SCALES)}, not {scale!r}")
    series = replace(_series(own, scale, level), losses=checked_losses)
    tasks, left_out = {}, {}
    for name, table in others.items():
        try:
            tasks[name] = _series(table, scale, level)
        except PassUntilError as error:
            left_out[name] = str(error)
    return series, Neighbours(tasks, left_out)


def _split_tasks(
    rows: Iterable[TallyRow], task: str | None
) -> tuple[list[TallyRow], dict[str, list[TallyRow]]]:
    """(rows of the task, rows of the others by task); with one task only there is nothing to name."""
    by_task: dict[str, list[TallyRow]] = {}
    for row in rows:
        by_task.setdefault(row.task, []).append(row)
    names = ", ".join(repr(name) for name in sorted(by_task))
    if task is None:
        if len(by_task) > 1:
            raise PassUntilError(
                f"task must be named, because the rows are of {len(by_task)} tasks, {names}: one of them is "
                "forecast, the others tell how models scatter"
            )
        task = next(iter(by_task), "")
    elif task not in by_task:
        known = f"the tasks are {names}" if any(by_task) else "the rows name none, so leave it out"
        raise PassUntilError(f"task {task!r} has no row; {known}")
    return by_task.pop(task, []), by_task


def _series(rows: list[TallyRow], scale: str, level: float) -> Series:
    """The series of checked rows of one task."""
    first: dict[str, TallyRow] = {}
    measured: dict[str, list[TallyRow]] = {}
    for row in rows:
        first.setdefault(row.model, row)
        measured.setdefault(row.model, []).append(row)
    sizes = {name: _size(row, scale) for name, row in first.items()}
    names = sorted(sizes, key=lambda name: (sizes[name], name))
    cells = {name: {row.instance: row for row in measured[name]} for name in names}
    common = sorted(set.intersection(*(set(cells[name]) for name in names)))
    everywhere = set.union(*(set(cells[name]) for name in names))
    if not common:
        raise PassUntilError("no instance was measured on all models; measure the same instances on each")
    # Most cells of a large series repeat another's counts: each kind of tally is looked at once.
    kinds: dict[Tally, int] = {}
    kind = np.empty((len(common), len(names)), dtype=np.int64)
    nll = np.empty(kind.shape)
    for j, name in enumerate(names):
        column = [cells[name][instance] for instance in common]
        kind[:, j] = [kinds.setdefault(row.tally, len(kinds)) for row in column]
        nll[:, j] = [np.nan if row.nll is None else row.nll for row in column]
    tallies = list(kinds)
    columns = _columns(tallies)
    return Series(
        names=tuple(names),
        sizes=np.array([sizes[name] for name in names]),
        draws=columns[0].astype(np.float64)[kind],
        passes=columns[1].astype(np.float64)[kind],
        values=estimates.unbiased(*columns)[kind],
        nll=None if np.isnan(nll).any() else nll,
        means=tuple(estimate_of_kinds(tallies, kind[:, j], level) for j in range(len(names))),
        paper=np.asarray(estimates.paper(*columns)[kind].mean(axis=0)),
        designs=tuple(frozenset(map(_design, {row.tally for row in measured[name]})) for name in names),
        left_out=len(everywhere) - len(common),
    )


def _design(tally: Tally) -> Design:
    return tally.r, tally.floor or 0, tally.cap


def _size(row: TallyRow, scale: str) -> float:
    if scale == "n_params":
        return row.n_params
    if row.tokens is None:
        raise PassUntilError(
            f"scale {scale!r} needs tokens, and model {row.model!r} has none; use 'n_params'"
        )
    return row.tokens if scale == "tokens" else 6.0 * row.n_params * row.tokens


def _columns(tallies: list[Tally]) -> list[Ints]:
    """The columns of tallies, each (kinds,), as `estimates` takes them."""
    return [np.array([c or 0 for c in column]) for column in zip(*(t.columns for t in tallies), strict=True)]
