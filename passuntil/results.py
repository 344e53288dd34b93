"""What a forecast found, as frozen values with the JSON shape that every caller shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from passuntil.aggregate import DatasetEstimate
from passuntil.laws import Forecast


def plain(number: float | None) -> float | int | None:
    """A size without its point where it is whole: 2450000000, not 2450000000.0."""
    return int(number) if number is not None and float(number).is_integer() else number


def _bounds(forecast: Forecast) -> dict[str, float]:
    return {"mean": forecast.mean, "low": forecast.low, "high": forecast.high, "level": forecast.level}


@dataclass(frozen=True, slots=True)
class TargetForecast:
    """Forecasts of one target size: one for each method, and the name of the recommended one."""

    n_params: float
    methods: dict[str, Forecast]
    recommended: str

    def as_dict(self) -> dict[str, Any]:
        """The target in the JSON shape."""
        methods = {name: _bounds(forecast) for name, forecast in self.methods.items()}
        return {"n_params": plain(self.n_params), "methods": methods, "recommended": self.recommended}


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
    """One model: its size on the scale of the fit, its task mean, and F less the line (None if unused)."""

    model: str
    n_params: float
    measured: DatasetEstimate
    residual: float | None = None

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
        }


@dataclass(frozen=True, slots=True)
class Judged:
    """A forecast held against a model that was measured and not fitted.

    held_out: the models left out of this fit. hit: the measured mean lies in the forecast's interval.
    compatible: the forecast's interval and the measurement's own overlap, which is all that can be asked
    where the measurement is rough.
    """

    model: str
    held_out: tuple[str, ...]
    method: str
    forecast: Forecast
    measured: DatasetEstimate

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
        }


@dataclass(frozen=True, slots=True)
class SeriesForecast:
    """Forecasts of a series with what they rest on (see `passuntil.forecast.forecast_tallies`).

    targets, growth, backtest: as in the JSON shape. models: the fitted models by size. held_out: models
    kept out by request, judged. law: constants of the fit. dropped: sizes left out because nothing passed.
    instances: how many are common to all models; instances_left_out: how many are not. warnings: one
    sentence each.
    """

    scale: str
    targets: tuple[TargetForecast, ...]
    growth: Growth
    backtest: tuple[Judged, ...]
    models: tuple[ModelPoint, ...]
    held_out: tuple[Judged, ...]
    law: dict[str, float | None]
    dropped: tuple[float, ...]
    instances: int
    instances_left_out: int
    warnings: tuple[str, ...]

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
                "warnings": list(self.warnings),
            },
        }

    def table(self) -> str:
        """The forecast as plain text, a line for each model, target and backtest."""
        lines = [f"Pass probability over {self.instances} instances; scale: {self.scale}", ""]
        measured = [
            (
                p.model,
                f"{p.n_params:.4g}",
                p.measured.mean,
                p.measured.low,
                p.measured.high,
                f"{p.measured.zero} zero",
            )
            for p in self.models
        ]
        lines += _grid(("model", "size", "measured", "low", "high", "cells"), measured)
        targets = [
            (
                name + (" *" if name == target.recommended else ""),
                f"{target.n_params:.4g}",
                f.mean,
                f.low,
                f.high,
            )
            for target in self.targets
            for name, f in target.methods.items()
        ]
        if targets:
            level = next(iter(self.targets[0].methods.values())).level
            lines += ["", *_grid(("forecast", "size", "mean", f"{level:.0%} low", "high"), targets)]
        for title, judged in (("backtest", self.backtest), ("held out", self.held_out)):
            if judged:
                rows = [
                    (
                        j.model,
                        str(len(j.held_out)),
                        j.forecast.mean,
                        j.forecast.low,
                        j.forecast.high,
                        j.measured.mean,
                        "hit" if j.hit else "miss",
                    )
                    for j in judged
                ]
                lines += ["", *_grid((title, "left out", "mean", "low", "high", "measured", ""), rows)]
        lines += ["", f"growth: {self.growth.label} ({self.growth.reason})"]
        lines += [f"warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)


def _grid(header: Sequence[str], rows: Sequence[Sequence[str | float]]) -> list[str]:
    """Columns in line: text to the left, numbers in three significant digits to the right."""
    cells = [[v if isinstance(v, str) else f"{v:.3g}" for v in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(header), *cells]) for i in range(len(header))]
    return [
        "  ".join(
            v.ljust(w) if i == 0 else v.rjust(w) for i, (v, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [list(header), *cells]
    ]
