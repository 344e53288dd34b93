"""Reads what a ranking is given: directions turned, gaps refused or dropped, names fitted to rows and columns."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy._arrays import Floats
from proxy.errors import ProxyError
from proxy.ranking._by_name import by_name, labels_of, per_model, per_task, shares_of
from proxy.ranking.evidence import FORECAST, LOSS, Evidence
from proxy.ranking.truth import Truth
from proxy.scores.matrix import ScoreMatrix


@dataclass(frozen=True, slots=True, eq=False)
class RankingInput:
    """Checked input, in which higher is better throughout.

    columns: models x (kept tasks, then loss, its sign turned, and forecast, if there are any); names: of the columns;
    kept: places of the kept tasks in the matrix. deviations: of each score in the columns, NaN where nothing is known.
    weights: of the columns, sizes summing to 1, if they were given. panel: its scores on the kept tasks and its target,
    for the models that have it, if weights are to be fitted; panel_is_scored: it is the scored models themselves. own:
    the target's small-scale score, if every model has it. weight_draws: draws x columns, sizes summing to 1.
    """

    models: tuple[str, ...]
    names: tuple[str, ...]
    kept: list[int]
    columns: Floats
    deviations: Floats
    weights: Floats | None
    weight_draws: Floats | None
    target: str | None
    panel: tuple[Floats, Floats] | None
    panel_is_scored: bool
    own: Floats | None
    loss: Floats | None
    forecast: Floats | None
    robustness: Floats | None
    truth: Floats | None
    budget: list[Hashable] | None
    all_lower: bool
    warnings: tuple[str, ...]

    @property
    def proxy_places(self) -> list[int]:
        """Columns that are neither the target, nor loss or forecast."""
        return [i for i in range(len(self.kept)) if self.names[i] != self.target]

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

    def proxy_panel(self) -> tuple[Floats, Floats]:
        """The panel's scores on the proxies, and its target's scores."""
        if not self.proxy_places:
            raise ProxyError(
                "the target is the only task without gaps: give at least one proxy task beside it"
            )
        assert self.panel is not None
        return self.panel[0][:, self.proxy_places], self.panel[1]

    def noise_of(self, places: Sequence[int]) -> Floats | None:
        """Deviation of each score of some columns; None where nothing is known of any."""
        noise = self.deviations[:, list(places)]
        return noise if np.isfinite(noise).any() else None


def read_input(
    matrix: ScoreMatrix, *, weights: Any, target: str | None, panel: ScoreMatrix | None, evidence: Evidence,
    truth: Truth | None, gaps: str,
) -> RankingInput:  # fmt: skip
    """Check everything once (see `proxy.rank_configurations` for the arguments)."""
    models, tasks = matrix.models, matrix.tasks
    if len(models) < 2:
        raise ProxyError(f"{len(models)} model: a ranking needs at least 2")
    if weights is None and target is None:
        raise ProxyError("nothing to rank by: give weights, or the target whose weights are to be fitted")
    if target is not None and target not in tasks:
        raise ProxyError(f"the target {target!r} is not among the tasks: {', '.join(tasks)}")
    shares = None if weights is None else shares_of(weights, tasks)
    signs, warnings = matrix.signs(), []
    x = matrix.scores * signs
    place = None if target is None else tasks.index(target)
    learned = None
    if place is not None and shares is None:
        shown = x if panel is None else panel.select(tasks=tasks).scores * signs
        rows = np.isfinite(shown[:, place])
        learned = shown[rows], shown[rows, place]
    needed = np.array([task != target for task in tasks]) & (True if shares is None else shares != 0)
    lacking = _lacking(matrix, None if learned is None else learned[0], needed, gaps)
    if (lacking & needed).any():
        warnings.append(f"left out for gaps: {', '.join(np.array(tasks)[lacking & needed])}")
    kept = np.flatnonzero(~lacking).tolist()
    own = x[:, place] if place is not None and place in kept else None
    loss = per_model("loss", evidence.loss, models)
    forecast = per_model("forecast", evidence.forecast, models)
    beside = {
        name: column
        for name, column in ((LOSS, None if loss is None else -loss), (FORECAST, forecast))
        if column is not None
    }
    truths, labels = _truth(truth, models, warnings)
    ratios = per_task("robustness", evidence.robustness, matrix)
    return RankingInput(
        models=models,
        names=(*(tasks[i] for i in kept), *beside),
        kept=kept,
        columns=np.column_stack([x[:, kept], *beside.values()]),
        deviations=_deviations(matrix, evidence, kept, len(beside)),
        weights=None if shares is None else _kept_shares(shares, kept, len(beside)),
        weight_draws=_weight_draws(evidence.weight_draws, len(tasks), kept, len(beside)),
        target=target,
        panel=None if learned is None else (learned[0][:, kept], learned[1]),
        panel_is_scored=panel is None,
        own=own,
        loss=loss,
        forecast=forecast,
        robustness=None if ratios is None else ratios[kept],
        truth=truths,
        budget=labels,
        all_lower=bool((signs[kept] < 0).all()),
        warnings=tuple(warnings),
    )


def _kept_shares(shares: Floats, kept: list[int], beside: int) -> Floats:
    """Weights of the columns, sizes summing to 1 again."""
    columns = np.concatenate([shares[kept], np.zeros(beside)])
    if np.abs(columns).sum() == 0:
        raise ProxyError("every task with a weight has a gap: fill the gaps, or weigh other tasks")
    return np.asarray(columns / np.abs(columns).sum())


def _lacking(
    matrix: ScoreMatrix, panel: Floats | None, needed: NDArray[np.bool_], gaps: str
) -> NDArray[np.bool_]:
    """Tasks that some model, or some model of the panel, has no score on; refused if such a task is needed."""
    holes = np.isnan(matrix.scores)
    lacking = np.asarray(holes.any(axis=0))
    if panel is not None:
        lacking = lacking | ~np.isfinite(panel).all(axis=0)
    dropped = np.flatnonzero(lacking & needed)
    if dropped.size and gaps == "refuse":
        rows = np.flatnonzero(holes[:, dropped[0]])
        where = matrix.models[int(rows[0])] if rows.size else "a model of the panel"
        count = "1 task has gaps" if dropped.size == 1 else f"{dropped.size} tasks have gaps"
        raise ProxyError(
            f"{where} has no score on {matrix.tasks[int(dropped[0])]} ({count}): fill it, leave the task out, "
            'or drop such tasks (gaps="drop")'
        )
    return lacking


def _deviations(matrix: ScoreMatrix, evidence: Evidence, kept: list[int], beside: int) -> Floats:
    """Deviation of each score, models x columns: standard errors and seed noise, taken as independent."""
    rows = len(matrix.models)
    known, square = np.zeros((rows, len(kept) + beside), dtype=bool), np.zeros((rows, len(kept) + beside))
    for part in (matrix.stderr, per_task("noise", evidence.noise, matrix)):
        if part is not None:
            wide = np.broadcast_to(part[..., kept], (rows, len(kept)))
            finite = np.isfinite(wide)
            known[:, : len(kept)] |= finite
            square[:, : len(kept)] += np.where(finite, wide, 0.0) ** 2
    if evidence.forecast is not None and evidence.forecast_noise is not None:
        known[:, -1], square[:, -1] = True, evidence.forecast_noise**2
    return np.asarray(np.where(known, np.sqrt(square), np.nan))


def _truth(
    truth: Truth | None, models: Sequence[str], warnings: list[str]
) -> tuple[Floats | None, list[Hashable] | None]:
    """True values that count upwards, NaN where unknown, and a budget for each model."""
    if truth is None:
        return None, None
    values = by_name("truth", truth.scores, models, "model")
    if np.isinf(values).any():
        place = int(np.argmax(np.isinf(values)))
        raise ProxyError(f"truth of {models[place]} is {values[place]}: leave it out where unknown")
    lacking = int(np.isnan(values).sum())
    if lacking:
        verbs = ("has", "was") if lacking == 1 else ("have", "were")
        warnings.append(
            f"{lacking} of {len(models)} models {verbs[0]} no known truth and {verbs[1]} not compared with it"
        )
    return truth.direction * values, labels_of(truth.budget, models)


def _weight_draws(weight_draws: ArrayLike | None, tasks: int, kept: list[int], beside: int) -> Floats | None:
    """Plausible weights of the columns: those of kept tasks, sizes summing to 1 before any task is dropped."""
    if weight_draws is None:
        return None
    drawn = np.asarray(weight_draws, dtype=np.float64)
    if drawn.ndim != 2 or drawn.shape[1] != tasks or not np.isfinite(drawn).all():
        raise ProxyError(
            f"weight_draws of shape {drawn.shape} for {tasks} tasks: give draws x tasks, all finite"
        )
    size = np.abs(drawn).sum(axis=1, keepdims=True)
    if (size == 0).any():
        raise ProxyError("a row of weight_draws is 0 throughout: drop it")
    return np.hstack([(drawn / size)[:, kept], np.zeros((drawn.shape[0], beside))])
