"""The forecast of a series, as a frozen value with the JSON shape and the text that every caller shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from passuntil._text import counted, grid, size_text
from passuntil.forecasting._json import plain
from passuntil.forecasting.methods import METHODS
from passuntil.forecasting.per_model import FittedModel, HeldOut, TargetForecast
from passuntil.forecasting.scales import SCALES
from passuntil.growth.circuit_comparison import CircuitComparison
from passuntil.growth.growth_result import CLASSES, GrowthResult
from passuntil.laws.loss_fit import LossFit


@dataclass(frozen=True, slots=True)
class SeriesForecast:
    """Forecasts of a series with what they rest on (see `passuntil.forecast_tallies`).

    Parameters
    ----------
    scale : {"n_params", "tokens", "compute"}
        What counts as size.
    targets : tuple of TargetForecast
        The forecasts, one for each target.
    growth : GrowthResult
        The class of growth of the fitted models.
    backtest : tuple of HeldOut
        The fitted models, left out and forecast.
    models : tuple of FittedModel
        The fitted models by size.
    held_out : tuple of HeldOut
        The models kept out by request, judged.
    law : dict of str to (float or None)
        Constants of the line through the task means; None where it could not be fitted.
    dropped : tuple of float
        Sizes that this line leaves out because nothing passed.
    instances : int
        Instances that all models share.
    instances_left_out : int
        Instances that some model lacks.
    warnings : tuple of str
        One sentence each.
    methods_left_out : dict of str to str, optional
        Methods that the data do not carry, with the reason.
    choice : str, optional
        Why the recommended method is the one.
    scores : dict of str to float, optional
        Each method's score in the backtest; lower is better.
    instance_law : dict of str to (float or list of float), optional
        What the likelihood fit says over all instances; empty where it could not be fitted.
    pooled : tuple of str, optional
        The other tasks and losses that its prior of deviations rests on.
    pooled_left_out : dict of str to str, optional
        Those that say nothing, with the reason.
    circuits : CircuitComparison or None, optional
        One circuit or two, on the curve that the instances share.
    losses : dict of str to LossFit, optional
        The law of each loss that all models have.
    """

    scale: str
    targets: tuple[TargetForecast, ...]
    growth: GrowthResult
    backtest: tuple[HeldOut, ...]
    models: tuple[FittedModel, ...]
    held_out: tuple[HeldOut, ...]
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
        """Return the whole forecast in the JSON shape: targets, growth, backtest, diagnostics; no NaN.

        Returns
        -------
        dict
            Plain JSON values.
        """
        return {
            "targets": [target.as_dict() for target in self.targets],
            "growth": self.growth.as_dict(),
            "backtest": [held.as_dict() for held in self.backtest],
            "diagnostics": {
                "scale": self.scale,
                "law": dict(self.law),
                "models": [model.as_dict() for model in self.models],
                "held_out": [held.as_dict() for held in self.held_out],
                "dropped_sizes": [plain(size) for size in self.dropped],
                "instances": self.instances,
                "instances_left_out": self.instances_left_out,
                "zero_cells": sum(model.measured.zero for model in self.models),
                "capped_cells": sum(model.measured.capped for model in self.models),
                "unfinished_cells": sum(model.measured.unfinished for model in self.models),
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
        """Return the forecast as plain text, a line for each model, target and backtest.

        Returns
        -------
        str
            Lines without trailing spaces.
        """
        lines = [
            f"Pass probability over {counted(self.instances, 'instance')}; size: {SCALES[self.scale]}",
            "",
        ]
        lines += grid(
            ("model", "size", "measured", "low", "high", "cells without a pass", "r / K"),
            [
                (
                    model.model,
                    size_text(model.n_params),
                    model.measured.mean,
                    model.measured.low,
                    model.measured.high,
                    str(model.measured.zero),
                    "-" if model.paper is None else model.paper,
                )
                for model in self.models
            ],
        )
        lines.append("r / K is the paper's estimate: biased upwards, for comparison only, and never fitted")
        lines += self._targets()
        for title, held_out in (("backtest", self.backtest), ("held out", self.held_out)):
            if held_out:
                lines += ["", *_comparison(title, held_out)]
        if self.choice:
            lines += ["", f"* recommended: {self.choice}"]
        lines += [f"not fitted: {METHODS[name]}; {why}" for name, why in self.methods_left_out.items()]
        if self.instance_law:
            lines.append(self._deviations())
        lines += ["", f"growth: {CLASSES[self.growth.label]}; {self.growth.reason}"]
        if self.circuits:
            lines.append(f"circuits: {self.circuits.verdict}")
        lines += [f"{name}: {law.table()}" for name, law in self.losses.items()]
        lines += [f"warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)

    def _targets(self) -> list[str]:
        rows = [
            (
                _marked(name, target.recommended),
                size_text(target.n_params),
                forecast.mean,
                forecast.low,
                forecast.high,
            )
            for target in self.targets
            for name, forecast in target.methods.items()
        ]
        if not rows:
            return []
        level = next(iter(self.targets[0].methods.values())).level
        return ["", *grid(("forecast", "size", "mean", f"{level:.0%} low", "high"), rows)]

    def _deviations(self) -> str:
        low, high = self.instance_law["deviation_sd_low"], self.instance_law["deviation_sd_high"]
        sd = f"standard deviation of models about their law, on F: {low:.3g} to {high:.3g} (90%), "
        if not self.pooled:
            return sd + "from this task alone"
        return sd + f"pooled with {counted(len(self.pooled), 'other')}: {', '.join(self.pooled)}"


def _comparison(title: str, held_out: tuple[HeldOut, ...]) -> list[str]:
    """Forecasts of every method beside what was measured."""
    rows = [
        (
            held.model,
            _marked(name, held.method),
            str(len(held.held_out)),
            forecast.mean,
            forecast.low,
            forecast.high,
            held.measured.mean,
            "hit" if forecast.low <= held.measured.mean <= forecast.high else "miss",
        )
        for held in held_out
        for name, forecast in held.methods.items()
    ]
    return grid((title, "method", "left out", "mean", "low", "high", "measured", ""), rows)


def _marked(method: str, recommended: str) -> str:
    """The method's words, with the mark of the recommended one."""
    return METHODS[method] + (" *" if method == recommended else "")
