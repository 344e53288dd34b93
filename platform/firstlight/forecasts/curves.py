"""A curve as pages show it: points, the fitted law with its band, the target, what was left out and why."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.urls import reverse

from firstlight.evaluations.figures import mean_over, newest_by_checkpoint, tallies, why_left_out
from firstlight.evaluations.models import Run
from firstlight.forecasts.models import Forecast
from firstlight.registry.models import Checkpoint, Task
from passuntil import PassUntilError
from passuntil.forecasting import FAR_STEP
from passuntil.laws import DatasetOLS

POINT_LEVEL = 0.95
GRID = 60
#: No axis goes below: smaller probabilities are no more than the tail of a band.
SMALLEST = 1e-12


@dataclass
class Curve:
    """Everything that the chart, its table twin and the JSON show. All values are plain."""

    points: list[dict[str, Any]] = field(default_factory=list)
    law: dict[str, Any] | None = None
    band: list[dict[str, float]] = field(default_factory=list)
    no_law: str = ""
    target: dict[str, Any] | None = None
    measured: dict[str, Any] | None = None
    dropped: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    instances: int = 0

    def facts(self) -> dict[str, Any]:
        return dict(vars(self))


def log_log(p: float | None) -> float | None:
    """F = log(-log p); None at 0 and 1, where it is not finite."""
    return math.log(-math.log(p)) if p is not None and 0 < p < 1 else None


def build(
    checkpoints: Sequence[Checkpoint],
    runs: Sequence[Run],
    target: Checkpoint | None,
    forecast: Forecast | None,
) -> Curve:
    """The curve of one task over the checkpoints of a series.

    `runs`: all runs of that task and these checkpoints. A forecast's own inputs are shown where there is
    one; what was measured of the target is shown and never fitted.
    """
    curve = Curve()
    complete = [run for run in runs if run.state == Run.State.COMPLETE]
    frozen = set(forecast.inputs) if forecast else None
    inputs = newest_by_checkpoint(
        run
        for run in complete
        if (
            run.pk in frozen
            if frozen is not None
            else not why_left_out(run) and (target is None or run.checkpoint_id != target.pk)
        )
    )
    by_checkpoint = {checkpoint: run for (checkpoint, _), run in inputs.items()}
    cells = tallies(by_checkpoint.values())
    common = set.intersection(*(set(c) for c in cells.values())) if cells else set()
    curve.instances = len(common)
    for checkpoint in checkpoints:
        run = by_checkpoint.get(checkpoint.pk)
        if run is None:
            _why_not(curve, checkpoint, runs, target, forecast)
            continue
        mean = mean_over([cells[run.pk][instance] for instance in sorted(common)], level=POINT_LEVEL)
        if mean is None:
            _drop(
                curve,
                checkpoint,
                "no instance was measured on all models: measure the same instances on each",
                run,
            )
            continue
        curve.points.append(_point(checkpoint, run, mean, target))
    told = bool(forecast and forecast.result)
    _fit(curve, target, forecast.level if forecast else 0.9, told=told)
    if forecast and forecast.mean is not None:
        curve.target = {
            "n_params": forecast.target.n_params,
            "name": forecast.target.name,
            "mean": forecast.mean,
            "low": forecast.low,
            "high": forecast.high,
            "level": forecast.level,
            "method": forecast.method,
            "f": log_log(forecast.mean),
            "f_low": log_log(forecast.high),
            "f_high": log_log(forecast.low),
        }
        curve.warnings += forecast.result.get("diagnostics", {}).get("warnings", [])
    if forecast and forecast.measured is not None:
        curve.measured = {
            "n_params": forecast.target.n_params,
            "name": forecast.target.name,
            "mean": forecast.measured,
            "low": forecast.measured_low,
            "high": forecast.measured_high,
            "zero": forecast.measured == 0,
            "level": forecast.level,
            "run": forecast.measured_run_id,
            "url": reverse("run", args=[forecast.measured_run_id]) if forecast.measured_run_id else "",
            "f": log_log(forecast.measured),
            "f_low": log_log(forecast.measured_high),
            "f_high": log_log(forecast.measured_low),
        }
    elif target is not None:
        curve.measured = _measured_target(complete, target)
    return curve


def _measured_target(complete: Sequence[Run], target: Checkpoint) -> dict[str, Any] | None:
    """The newest complete run of the target itself, where no forecast was scored with it."""
    run = max(
        (run for run in complete if run.checkpoint_id == target.pk), key=lambda run: run.pk, default=None
    )
    mean = mean_over(list(tallies([run])[run.pk].values()), level=POINT_LEVEL) if run else None
    if run is None or mean is None:
        return None
    return _point(target, run, mean, target)


def _point(
    checkpoint: Checkpoint, run: Run, mean: dict[str, Any], target: Checkpoint | None
) -> dict[str, Any]:
    zero = mean["mean"] == 0
    above = target is not None and checkpoint.n_params >= target.n_params
    return {
        "name": checkpoint.name,
        "n_params": checkpoint.n_params,
        "mean": mean["mean"],
        "low": mean["low"],
        "high": mean["high"],
        "level": mean["level"],
        "zero": zero,
        "fitted": not zero and mean["mean"] < 1 and not above,
        "f": log_log(mean["mean"]),
        "f_low": log_log(mean["high"]),
        "f_high": log_log(mean["low"]),
        "instances": mean["instances"],
        "instances_without_a_pass": mean["zero"],
        "draws": run.draws,
        "passes": run.passes,
        "run": run.pk,
        "url": reverse("run", args=[run.pk]),
    }


def _why_not(
    curve: Curve,
    checkpoint: Checkpoint,
    runs: Sequence[Run],
    target: Checkpoint | None,
    forecast: Forecast | None,
) -> None:
    """Say why a checkpoint is no point."""
    if target is not None and checkpoint.pk == target.pk:
        return
    measured = [run for run in runs if run.checkpoint_id == checkpoint.pk]
    newest = max(measured, key=lambda run: run.pk, default=None)
    if checkpoint.planned:
        return
    if target is not None and checkpoint.n_params >= target.n_params:
        _drop(
            curve,
            checkpoint,
            "as large as the target or larger: a forecast looks from small to large",
            newest,
        )
    elif newest is None:
        _drop(curve, checkpoint, "not measured on this task yet", None)
    elif why := why_left_out(newest):
        _drop(curve, checkpoint, f"left out of fits: {why}", newest)
    elif newest.state == Run.State.COMPLETE and forecast is not None:
        since = "it is locked" if forecast.locked_at else "refresh the forecast to take it in"
        _drop(curve, checkpoint, f"measured after this forecast was made: {since}", newest)
    else:
        _drop(curve, checkpoint, f"its run is {newest.state}; only complete runs count", newest)


def _drop(curve: Curve, checkpoint: Checkpoint, reason: str, run: Run | None) -> None:
    curve.dropped.append(
        {
            "name": checkpoint.name,
            "n_params": checkpoint.n_params,
            "reason": reason,
            "run": run.pk if run else None,
            "url": reverse("run", args=[run.pk]) if run else reverse("checkpoint", args=[checkpoint.pk]),
        }
    )


def _fit(curve: Curve, target: Checkpoint | None, level: float, *, told: bool) -> None:
    fitted = [p for p in curve.points if p["fitted"]]
    for p in curve.points:
        if p["zero"]:
            curve.dropped.append(
                {
                    "name": p["name"],
                    "n_params": p["n_params"],
                    "run": p["run"],
                    "url": p["url"],
                    "reason": f"no pass in {p['draws']:,} draws: an upper bound, left out of the fit",
                }
            )
    if not fitted:
        curve.no_law = "No size has a pass yet, so no law can be fitted."
        return
    try:
        law = DatasetOLS().fit([p["n_params"] for p in fitted], [p["mean"] for p in fitted])
    except PassUntilError as error:
        curve.no_law = f"No law is fitted: {error}."
        return
    largest = max(p["n_params"] for p in fitted)
    curve.law = {
        "c": law.c_,
        "alpha": law.alpha_,
        "scatter": law.scatter_,
        "sizes": law.n_used_,
        "largest_fitted": largest,
        "level": level,
        "name": law.name,
    }
    first = min(p["n_params"] for p in curve.points) * 0.8
    last = max([largest, *(p["n_params"] for p in curve.points), target.n_params if target else 0]) * 1.25
    for i in range(GRID + 1):
        n = first * (last / first) ** (i / GRID)
        there = law.forecast(n, level=level)
        curve.band.append(
            {
                "n_params": n,
                "mean": max(there.mean, SMALLEST),
                "low": max(there.low, SMALLEST),
                "high": max(there.high, SMALLEST),
                "f": log_log(there.mean) or 0.0,
                "f_low": log_log(min(there.high, 1 - 1e-12)) or 0.0,
                "f_high": log_log(max(there.low, 1e-300)) or 0.0,
            }
        )
    if not told and target is not None and target.n_params / largest > FAR_STEP:
        curve.warnings.append(
            f"The target is {target.n_params / largest:.3g} times the largest fitted size: no data reach it."
        )


def targets_of(checkpoints: Sequence[Checkpoint]) -> list[Checkpoint]:
    """What a forecast may aim at: planned checkpoints first, then those that are larger than three others."""
    planned = [c for c in checkpoints if c.planned]
    sizes = sorted({c.n_params for c in checkpoints if not c.planned})
    others = [c for c in checkpoints if not c.planned and sum(size < c.n_params for size in sizes) >= 3]
    return planned + others[::-1]


def choose_task(tasks: Sequence[Task], wanted: int | None) -> Task | None:
    """The task that the URL names, else the first."""
    return next((task for task in tasks if task.pk == wanted), tasks[0] if tasks and wanted is None else None)
