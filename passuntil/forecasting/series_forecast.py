"""What a forecast found, as frozen values with the JSON shape that every caller shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from passuntil._text import grid
from passuntil.counts.aggregate import DatasetEstimate
from passuntil.growth.circuits import CircuitComparison
from passuntil.growth.classes import GrowthResult
from passuntil.laws.base import Forecast
from passuntil.laws.loss_fit import LossFit


def plain(number: float | None) -> float | int | None:
    """A size without its point where it is whole: 2450000000, not 2450000000.0."""
    return int(number) if number is not None and float(number).is_integer() else number


def _bounds(forecast: Forecast) -> dict[str, float]:
    return {"mean": forecast.mean, "low": forecast.low, "high": forecast.high, "level": forecast.level}


@dataclass(frozen=True, slots=True)
class TargetForecast:
    """Forecasts of one target size: one for each method, and the name of the recommended one.

    sources: by method, what was added to its own interval, as standard deviations of F: "deviations", what
    the other tasks of the series say and its own residuals did not; "forms", the disagreement of the methods;
    "backtest", what it was off beyond its own intervals there.
    """

    n_params: float
    methods: dict[str, Forecast]
    recommended: str
    sources: dict[str, dict[str, float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The target in the JSON shape."""
        methods = {name: _bounds(forecast) for name, forecast in self.methods.items()}
        return {
            "n_params": plain(self.n_params),
            "methods": methods,
            "recommended": self.recommended,
            "sources": {name: dict(parts) for name, parts in self.sources.items()},
        }


@dataclass(frozen=True, slots=True)
class Growth:
    """Class of growth of F over log N, the p value of its test, and the reason for the class."""

    label: str
    p_value: float | None
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """The growth in the JSON shape."""
        return {"class": self.label, "p_value": self.p_value, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class ModelPoint:
    """One model: its size on the scale of the fit, its task mean, and F less the line (None if unused).

    paper: the mean of the paper's r / K, biased upwards, for comparison only.
    """

    model: str
    n_params: float
    measured: DatasetEstimate
    residual: float | None = None
    paper: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The model in the JSON shape."""
        measured = self.measured
        return {
            "model": self.model,
            "n_params": plain(self.n_params),
            "mean": measured.mean,
            "low": measured.low,
            "high": measured.high,
            "level": measured.level,
            "se_draws": measured.se_draws,
            "se_instances": measured.se_instances,
            "instances": measured.instances,
            "zero_cells": measured.zero,
            "capped_cells": measured.capped,
            "unfinished_cells": measured.unfinished,
            "residual": self.residual,
            "paper_r_over_k": self.paper,
        }


@dataclass(frozen=True, slots=True)
class Judged:
    """A forecast held against a model that was measured and not fitted.

    held_out: the models left out of this fit. hit: the measured mean lies in the forecast's interval.
    compatible: the forecast's interval and the measurement's own overlap, which is all that can be asked
    where the measurement is rough. method, forecast: the recommended one; methods: all of them.
    """

    model: str
    held_out: tuple[str, ...]
    method: str
    forecast: Forecast
    measured: DatasetEstimate
    methods: dict[str, Forecast] = field(default_factory=dict)

    @property
    def hit(self) -> bool:
        """Whether the measured mean lies in the forecast's interval."""
        return self.forecast.low <= self.measured.mean <= self.forecast.high

    @property
    def compatible(self) -> bool:
        """Whether the two intervals overlap."""
        return self.forecast.low <= self.measured.high and self.measured.low <= self.forecast.high

    def as_dict(self) -> dict[str, Any]:
        """The comparison in the JSON shape."""
        return {
            "model": self.model,
            "n_params": plain(self.forecast.n_params),
            "held_out": list(self.held_out),
            "method": self.method,
            **_bounds(self.forecast),
            "measured": self.measured.mean,
            "measured_low": self.measured.low,
            "measured_high": self.measured.high,
            "hit": self.hit,
            "compatible": self.compatible,
            "methods": {name: _bounds(forecast) for name, forecast in self.methods.items()},
        }


@dataclass(frozen=True, slots=True)
class SeriesForecast:
    """Forecasts of a series with what they rest on (see `passuntil.forecasting.forecast.forecast_tallies`).

    targets, growth, backtest: as in the JSON shape. models: the fitted models by size. held_out: models
    kept out by request, judged. law: constants of the dataset-level line; dropped: sizes it leaves out
    because nothing passed. instances: how many are common to all models; instances_left_out: how many are
    not. warnings: one sentence each. methods_left_out: methods that the data do not carry, with the reason.
    choice: why the recommended method is the one; scores: each method's in the backtest (lower is better).
    instance_law: what the likelihood fit found over all instances. pooled: the other tasks and losses that
    its prior of deviations rests on; pooled_left_out: those that say nothing, with the reason. circuits: one
    circuit or two, on the shared curve. losses: the law of each loss that all models have.
    """

    scale: str
    targets: tuple[TargetForecast, ...]
    growth: Growth | GrowthResult
    backtest: tuple[Judged, ...]
    models: tuple[ModelPoint, ...]
    held_out: tuple[Judged, ...]
    law: dict[str, float | None]
    dropped: tuple[float, ...]
    instances: int
    instances_left_out: int
    warnings: tuple[str, ...]
    methods_left_out: dict[str, str] = field(default_factory=dict)
    choice: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    instance_law: dict[str, float | list[float]] = field(default_factory=dict)
    pooled: tuple[str, ...] = ()
    pooled_left_out: dict[str, str] = field(default_factory=dict)
    circuits: CircuitComparison | None = None
    losses: dict[str, LossFit] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.table()

    def as_dict(self) -> dict[str, Any]:
        """The whole forecast as plain JSON values (no NaN): targets, growth, backtest, diagnostics."""
        return {
            "targets": [target.as_dict() for target in self.targets],
            "growth": self.growth.as_dict(),
            "backtest": [judged.as_dict() for judged in self.backtest],
            "diagnostics": {
                "scale": self.scale,
                "law": dict(self.law),
                "models": [point.as_dict() for point in self.models],
                "held_out": [judged.as_dict() for judged in self.held_out],
                "dropped_sizes": [plain(size) for size in self.dropped],
                "instances": self.instances,
                "instances_left_out": self.instances_left_out,
                "zero_cells": sum(point.measured.zero for point in self.models),
                "capped_cells": sum(point.measured.capped for point in self.models),
                "unfinished_cells": sum(point.measured.unfinished for point in self.models),
                "methods_left_out": dict(self.methods_left_out),
                "recommended_because": self.choice,
                "scores": dict(self.scores),
                "instance_law": dict(self.instance_law),
                "pooled": list(self.pooled),
                "pooled_left_out": dict(self.pooled_left_out),
                "circuits": self.circuits.as_dict() if self.circuits else None,
                "losses": {name: law.as_dict() for name, law in self.losses.items()},
                "warnings": list(self.warnings),
            },
        }

    def table(self) -> str:
        """The forecast as plain text, a line for each model, target and backtest."""
        lines = [f"Pass probability over {self.instances} instances; scale: {self.scale}", ""]
        measured = [
            (
                p.model,
                _size(p.n_params),
                p.measured.mean,
                p.measured.low,
                p.measured.high,
                f"{p.measured.zero} zero",
                "-" if p.paper is None else p.paper,
            )
            for p in self.models
        ]
        lines += grid(("model", "size", "measured", "low", "high", "cells", "r / K"), measured)
        lines.append("r / K is the paper's estimate: biased upwards, for comparison only, and never fitted")
        targets = [
            (
                name + (" *" if name == target.recommended else ""),
                _size(target.n_params),
                f.mean,
                f.low,
                f.high,
            )
            for target in self.targets
            for name, f in target.methods.items()
        ]
        if targets:
            level = next(iter(self.targets[0].methods.values())).level
            lines += ["", *grid(("forecast", "size", "mean", f"{level:.0%} low", "high"), targets)]
        for title, judged in (("backtest", self.backtest), ("held out", self.held_out)):
            if judged:
                rows = [
                    (
                        j.model,
                        name + (" *" if name == j.method else ""),
                        str(len(j.held_out)),
                        f.mean,
                        f.low,
                        f.high,
                        j.measured.mean,
                        "hit" if f.low <= j.measured.mean <= f.high else "miss",
                    )
                    for j in judged
                    for name, f in (j.methods or {j.method: j.forecast}).items()
                ]
                header = (title, "method", "left out", "mean", "low", "high", "measured", "")
                lines += ["", *grid(header, rows)]
        if self.choice:
            lines += ["", f"* recommended: {self.choice}"]
        lines += [f"no {name}: {reason}" for name, reason in self.methods_left_out.items()]
        if self.instance_law:
            lines.append(self._deviations())
        lines += ["", f"growth: {self.growth.label} ({self.growth.reason})"]
        if self.circuits:
            lines.append(f"circuits: {self.circuits.verdict}")
        lines += [f"{name}: {law.table()}" for name, law in self.losses.items()]
        lines += [f"warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)

    def _deviations(self) -> str:
        low, high = self.instance_law["deviation_sd_low"], self.instance_law["deviation_sd_high"]
        told = f"deviations of models from their law, sd of F: {low:.3g} to {high:.3g} (90%), "
        if not self.pooled:
            return told + "from this task alone"
        return told + f"pooled with {len(self.pooled)} others: {', '.join(self.pooled)}"


def _size(number: float) -> str:
    """A small whole size in full, a large one in four digits."""
    return f"{number:,.0f}" if number < 1e7 and float(number).is_integer() else f"{number:.4g}"
