"""Reads what a ranking is given: names fitted to rows and columns, directions turned, gaps refused or dropped."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy._arrays import Floats
from proxy.errors import ProxyError

#: Names under which held-out loss and a forecast join the columns.
LOSS, FORECAST = "held-out loss", "passuntil"


@dataclass(frozen=True, slots=True, eq=False)
class RankingInput:
    """Checked input, in which higher is better throughout.

    columns: models x (kept tasks, then loss, its sign turned, and forecast, if there are any); names: of the columns;
    kept: places of the kept tasks among those given. weights: of the columns, sizes summing to 1 (0 throughout if
    none were given).
    """

    models: tuple[str, ...]
    names: tuple[str, ...]
    kept: list[int]
    columns: Floats
    weights: Floats
    stderr: Floats | None
    noise: Floats | None
    robustness: Floats | None
    target: str | None
    target_column: Floats | None
    target_noise: Floats | None
    panel: Floats | None
    panel_target: Floats | None
    panel_is_scored: bool
    truth: Floats | None
    budget: list[Hashable] | None
    loss: Floats | None
    forecast: Floats | None
    all_lower: bool
    warnings: tuple[str, ...]

    @property
    def proxy_places(self) -> list[int]:
        """Columns that are neither the target, nor loss or forecast."""
        return [i for i, name in enumerate(self.names) if name != self.target and i < len(self.kept)]

    @property
    def own(self) -> Floats | None:
        """The target's own small-scale score, where every model has one."""
        return self.target_column

    @property
    def own_place(self) -> int | None:
        """The column that speaks for the target itself: the forecast before the small-scale score."""
        if self.forecast is not None:
            return len(self.names) - 1
        return self.names.index(self.target) if self.target in self.names else None

    @property
    def loss_place(self) -> int | None:
        """The column of the held-out loss."""
        return None if self.loss is None else len(self.kept)

    def deviations(self, forecast_noise: float | None) -> Floats:
        """Deviation of each score, models x columns, NaN where nothing is known."""
        parts = [part for part in (self.stderr, self.noise) if part is not None]
        known = np.zeros(self.columns.shape, dtype=bool)
        square = np.zeros(self.columns.shape)
        for part in parts:
            wide = np.broadcast_to(part, (self.columns.shape[0], len(self.kept)))
            finite = np.isfinite(wide)
            known[:, : len(self.kept)] |= finite
            square[:, : len(self.kept)] += np.where(finite, wide, 0.0) ** 2
        if self.forecast is not None and forecast_noise is not None:
            known[:, -1], square[:, -1] = True, float(forecast_noise) ** 2
        return np.asarray(np.where(known, np.sqrt(square), np.nan))

    def noise_of(self, places: Sequence[int]) -> Floats | None:
        """Deviation of each score of some columns; None where nothing is known of any."""
        found = self.deviations(None)[:, [int(place) for place in places]]
        return found if np.isfinite(found).any() else None

    def panel_of(self, places: Sequence[int]) -> tuple[Floats, Floats]:
        """The panel's scores in some columns, and its target's scores."""
        if self.panel is None or self.panel_target is None:
            raise ProxyError(
                f"the target {self.target!r} has no scores to fit weights on: give a panel that has it, or weights"
            )
        rows = np.isfinite(self.panel_target)
        return self.panel[rows][:, np.array(places, dtype=np.int64)], self.panel_target[rows]


def weights_by_task(
    weights: Mapping[str, float] | Sequence[float] | None, tasks: Sequence[str]
) -> Floats | None:
    """Weights in the order of the tasks, sizes summing to 1; None stays None."""
    if weights is None:
        return None
    if isinstance(weights, Mapping):
        unknown = sorted(set(weights) - set(tasks))
        if unknown:
            raise ProxyError(
                f"a weight for {unknown[0]!r}, which no column has; the tasks are {', '.join(tasks)}"
            )
        found = np.array([float(weights.get(task, 0.0)) for task in tasks])
    else:
        found = np.asarray(weights, dtype=np.float64)
        if found.shape != (len(tasks),):
            raise ProxyError(f"{found.size} weights for {len(tasks)} tasks: give one for each, or name them")
    if not np.isfinite(found).all():
        raise ProxyError("a weight is not finite: give numbers")
    if np.abs(found).sum() == 0:
        raise ProxyError("all weights are 0: give at least one task a weight")
    return np.asarray(found / np.abs(found).sum())


def read_input(
    scores: ArrayLike, models: Sequence[str], tasks: Sequence[str], *, direction: Mapping[str, int] | int,
    truth: Any, truth_direction: int, stderr: Any, noise: Any, robustness: Any, budget: Any, loss: Any,
    forecast: Any, target: str | None, panel: Any, gaps: str, weighted: Floats | None,
) -> RankingInput:  # fmt: skip
    """Check everything once (see `proxy.rank_configurations` for the arguments)."""
    x = np.array(scores, dtype=np.float64)
    models, tasks = tuple(models), tuple(tasks)
    if x.ndim != 2 or x.shape != (len(models), len(tasks)):
        raise ProxyError(f"scores of shape {x.shape} for {len(models)} models and {len(tasks)} tasks")
    if len(models) < 2:
        raise ProxyError(f"{len(models)} model: a ranking needs at least 2")
    for what, names in (("model", models), ("task", tasks)):
        twice = (
            [name for i, name in enumerate(names) if name in set(names[:i])]
            if len(set(names)) < len(names)
            else []
        )
        if twice:
            raise ProxyError(f"the {what} {twice[0]!r} occurs twice: keep one, or rename it")
    if np.isinf(x).any():
        raise ProxyError("a score is infinite: leave it empty or correct it")
    if target is not None and target not in tasks:
        raise ProxyError(f"the target {target!r} is not among the tasks: {', '.join(tasks)}")
    signs = _signs(direction, tasks)
    x *= signs
    wide_panel = None
    if panel is not None:
        wide_panel = np.asarray(panel, dtype=np.float64) * signs
        if wide_panel.ndim != 2 or wide_panel.shape[1] != len(tasks):
            raise ProxyError(
                f"a panel of shape {wide_panel.shape} for {len(tasks)} tasks: give the same columns"
            )
    elif target is not None:
        wide_panel = x
    needed = np.arange(len(tasks)) != (tasks.index(target) if target is not None else -1)
    if weighted is not None:
        needed &= weighted != 0
    kept, warnings = _without_gaps(
        x, wide_panel if weighted is None else None, needed, target, models, tasks, gaps
    )
    place = tasks.index(target) if target is not None else None
    own = x[:, place] if place is not None and np.isfinite(x[:, place]).all() else None
    if place is not None and place in kept and own is None:
        kept.remove(place)
    given = None if forecast is None else _by_model("forecast", forecast, models, whole=True)
    losses = None if loss is None else _by_model("loss", loss, models, whole=True)
    beside = {
        name: column
        for name, column in ((LOSS, None if losses is None else -losses), (FORECAST, given))
        if column is not None
    }
    columns = np.column_stack([x[:, kept], *beside.values()])
    weights = np.zeros(columns.shape[1])
    if weighted is not None:
        weights[: len(kept)] = weighted[kept]
        if np.abs(weights).sum() == 0:
            raise ProxyError("every task with a weight has a gap: fill the gaps, or weigh other tasks")
        weights /= np.abs(weights).sum()
    truths = None
    if truth is not None:
        if truth_direction not in (1, -1):
            raise ProxyError(f"truth_direction must be 1 or -1, not {truth_direction!r}")
        truths = truth_direction * _by_model("truth", truth, models, whole=False)
        lacking = int((~np.isfinite(truths)).sum())
        if lacking:
            warnings.append(
                f"{lacking} of {len(models)} models have no known truth and were not compared with it"
            )
    labels = None
    if budget is not None:
        labels = (
            [budget[m] for m in models]
            if isinstance(budget, Mapping) and set(models) <= set(budget)
            else budget
        )
        if isinstance(labels, Mapping) or len(labels) != len(models):
            raise ProxyError("budget must give a label for every model")
        labels = list(labels)
    seeds = _by_task("noise", noise, tasks, x.shape)
    errors = None if stderr is None else np.asarray(stderr, dtype=np.float64)
    if errors is not None and (errors.shape != x.shape or (errors < 0).any()):
        raise ProxyError(
            f"stderr of shape {errors.shape} for scores of shape {x.shape}: one each, none below 0"
        )
    ratios = _by_task("robustness", robustness, tasks, (len(tasks),))
    names = tuple(tasks[i] for i in kept)
    return RankingInput(
        models=models, names=(*names, *beside), kept=kept, columns=columns,
        weights=weights, stderr=None if errors is None else errors[:, kept],
        noise=None if seeds is None else seeds[..., kept], robustness=None if ratios is None else ratios[kept],
        target=target, target_column=own, target_noise=None if seeds is None or place is None else seeds[..., place],
        panel=None if wide_panel is None else wide_panel[:, kept],
        panel_target=None if wide_panel is None or place is None else wide_panel[:, place],
        panel_is_scored=panel is None,
        truth=truths, budget=labels, loss=losses, forecast=given,
        all_lower=bool((signs[kept] < 0).all()), warnings=tuple(warnings),
    )  # fmt: skip


def _signs(direction: Mapping[str, int] | int, tasks: tuple[str, ...]) -> Floats:
    if isinstance(direction, Mapping):
        unknown = sorted(set(direction) - set(tasks))
        if unknown:
            raise ProxyError(f"a direction for {unknown[0]!r}, which no column has")
        values = [direction.get(task, 1) for task in tasks]
    else:
        values = [direction] * len(tasks)
    wrong = [value for value in values if value not in (1, -1)]
    if wrong:
        raise ProxyError(f"direction must be 1 (higher is better) or -1 (lower), not {wrong[0]!r}")
    return np.array(values, dtype=np.float64)


def _without_gaps(
    x: Floats, panel: Floats | None, needed: NDArray[np.bool_], target: str | None,
    models: tuple[str, ...], tasks: tuple[str, ...], gaps: str,
) -> tuple[list[int], list[str]]:  # fmt: skip
    """Places of the tasks without gaps; a gap in a task that is needed is refused, or the task dropped."""
    holes = np.isnan(x)
    lacking = np.asarray(holes.any(axis=0))
    if panel is not None and target is not None:
        rows = np.isfinite(panel[:, tasks.index(target)])
        lacking |= ~np.isfinite(panel[rows]).all(axis=0)
    dropped = np.flatnonzero(lacking & needed)
    if dropped.size and gaps == "refuse":
        task = int(dropped[0])
        rows_with_holes = np.flatnonzero(holes[:, task])
        where = models[int(rows_with_holes[0])] if rows_with_holes.size else "a model of the panel"
        raise ProxyError(
            f"{where} has no score on {tasks[task]} ({dropped.size} tasks have gaps): fill it, leave the task out, "
            'or drop such tasks (gaps="drop")'
        )
    said = [f"left out for gaps: {', '.join(tasks[i] for i in dropped)}"] if dropped.size else []
    return [
        i for i in range(len(tasks)) if not lacking[i] or (target is not None and tasks[i] == target)
    ], said


def _by_model(what: str, values: Any, models: tuple[str, ...], *, whole: bool) -> Floats:
    if isinstance(values, Mapping):
        unknown = sorted(set(values) - set(models))
        if unknown:
            raise ProxyError(
                f"{what} for {unknown[0]!r}, which is not among the models: {', '.join(models[:8])}"
                f"{', ...' if len(models) > 8 else ''}; correct the name or drop the row"
            )
        found = np.array([float(values.get(model, np.nan)) for model in models])
    else:
        found = np.asarray(values, dtype=np.float64)
        if found.shape != (len(models),):
            raise ProxyError(f"{what} of shape {found.shape} for {len(models)} models: give one for each")
    if np.isinf(found).any() or (whole and np.isnan(found).any()):
        place = int(np.argmax(~np.isfinite(found)))
        raise ProxyError(f"{what} of {models[place]} is {found[place]}: give a number for every model")
    return found


def _by_task(what: str, values: Any, tasks: tuple[str, ...], shape: tuple[int, ...]) -> Floats | None:
    if values is None:
        return None
    if isinstance(values, Mapping):
        unknown = sorted(set(values) - set(tasks))
        if unknown:
            raise ProxyError(
                f"{what} for {unknown[0]!r}, which no column has; the tasks are {', '.join(tasks)}"
            )
        return np.array([float(values.get(task, np.nan)) for task in tasks])
    found = np.asarray(values, dtype=np.float64)
    if found.shape not in ((len(tasks),), shape):
        raise ProxyError(f"{what} of shape {found.shape} for {len(tasks)} tasks: give one for each")
    if (found < 0).any():
        raise ProxyError(f"{what} holds {np.nanmin(found):g}: it cannot be below 0")
    return found
