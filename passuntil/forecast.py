"""From tallies of a series of models to forecasts of larger ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from passuntil._checks import confidence, positive
from passuntil.aggregate import DatasetEstimate, dataset_estimate
from passuntil.errors import PassUntilError
from passuntil.laws import LEAST_SIZES, DatasetOLS
from passuntil.results import Growth, Judged, ModelPoint, SeriesForecast, TargetForecast
from passuntil.tables import TallyRow, check_series
from passuntil.tally import Tally

SCALES = ("n_params", "tokens", "compute")

#: Beyond this many times the largest fitted size, a forecast says that it reaches far. The paper's own step
#: is 1.6.
FAR = 4.0
#: With fewer sizes the scatter about the line is a guess, and the t quantile says so.
FEW_SIZES = 5

UNTESTED = Growth(
    "undetermined",
    None,
    "not tested: instances of spread-out difficulty bend log(-log PU) of the task mean by themselves, and "
    "this version does not test curvature against that",
)


@dataclass(frozen=True, slots=True)
class _Model:
    name: str
    size: float
    tallies: dict[str, Tally]


def forecast_tallies(
    rows: Iterable[TallyRow],
    targets: Sequence[float],
    hold_out: Sequence[str] = (),
    level: float = 0.9,
    scale: str = "n_params",
) -> SeriesForecast:
    """Forecast the mean pass probability of larger models of the same series.

    rows: the tallies (see `read_tallies`). targets: sizes to forecast, on `scale`, each above every fitted
    size.
    hold_out: names of models that are not fitted; they are forecast and judged. level: of all intervals.
    scale: "n_params", "tokens" (training tokens D) or "compute" (6 N D, floating-point operations); the last
    two need tokens in every row. Sizes in the result (`n_params`) are on this scale.

    Task means are taken over the instances that all models share, zeros and capped cells included
    (`dataset_estimate`), and fitted with `DatasetOLS`. The backtest leaves out the largest fitted size, then
    the largest two, and forecasts them from the rest, as long as three sizes with a pass remain.

    Raises PassUntilError: nothing to fit, fewer than three sizes with a pass, no pass at all, a mean of 1, a
    target that is not above the data, an unknown model in `hold_out`, no common instance, missing tokens.
    """
    level = confidence(level)
    rows = list(rows)
    models = _models(rows, scale)
    # A single name is a sequence of letters, and never meant as one.
    kept_out = {hold_out} if isinstance(hold_out, str) else set(hold_out)
    unknown = sorted(kept_out - {model.name for model in models})
    if unknown:
        names = ", ".join(model.name for model in models)
        raise PassUntilError(f"hold_out names {', '.join(unknown)}, which no row has; the models are {names}")
    common = set.intersection(*(set(model.tallies) for model in models))
    everywhere = set.union(*(set(model.tallies) for model in models))
    if not common:
        raise PassUntilError("no instance was measured on all models; measure the same instances on each")
    means = {m.name: dataset_estimate([m.tallies[i] for i in sorted(common)], level) for m in models}
    fitted = [model for model in models if model.name not in kept_out]
    _fittable(fitted, means)
    law = _fit(fitted, means)
    largest = max(model.size for model in fitted)
    forecasts = tuple(_target(law, target, largest, level) for target in targets)

    residuals = iter(law.residuals_.tolist())
    points = tuple(
        ModelPoint(m.name, m.size, means[m.name], next(residuals) if means[m.name].mean > 0 else None)
        for m in fitted
    )
    held = [model for model in models if model.name in kept_out]
    result = SeriesForecast(
        scale=scale,
        targets=forecasts,
        growth=UNTESTED,
        backtest=tuple(_backtest(fitted, means, level)),
        models=points,
        held_out=_judge(law, held, means, level, tuple(m.name for m in held)),
        law={
            # With sizes in ones and a steep line c overflows; its logarithm never does.
            "c": law.c_ if math.isfinite(law.c_) else None,
            "log_c": law.log_c_,
            "alpha": law.alpha_,
            "scatter": law.scatter_,
            "n_used": law.n_used_,
        },
        dropped=law.dropped_,
        instances=len(common),
        instances_left_out=len(everywhere) - len(common),
        warnings=(),
    )
    return _with_warnings(result, law, largest)


def _models(rows: list[TallyRow], scale: str) -> list[_Model]:
    """The models by size, with their tallies by instance."""
    if scale not in SCALES:
        raise PassUntilError(f"scale must be one of {', '.join(SCALES)}, not {scale!r}")
    if not rows:
        raise PassUntilError("no rows were given; a forecast needs the tallies of at least three sizes")
    check_series(rows)
    models: dict[str, _Model] = {}
    for row in rows:
        if scale != "n_params" and row.tokens is None:
            raise PassUntilError(
                f"scale {scale!r} needs tokens, and model {row.model!r} has none; use 'n_params'"
            )
        size = {
            "n_params": row.n_params,
            "tokens": row.tokens or 0.0,
            "compute": 6.0 * row.n_params * (row.tokens or 0),
        }
        models.setdefault(row.model, _Model(row.model, size[scale], {})).tallies[row.instance] = row.tally
    return sorted(models.values(), key=lambda model: (model.size, model.name))


def _fittable(fitted: list[_Model], means: dict[str, DatasetEstimate]) -> None:
    """Refuse, in the words of a series, what the fit would refuse in the words of arrays."""
    sizes = {model.size for model in fitted}
    if len(sizes) < LEAST_SIZES:
        raise PassUntilError(
            f"{len(sizes)} sizes are left to fit; a forecast needs at least {LEAST_SIZES} distinct ones: "
            "measure more sizes or hold out fewer models"
        )
    if all(means[model.name].mean == 0 for model in fitted):
        raise PassUntilError(
            "no model passed any draw, so there is nothing to fit; draw more or take an easier task"
        )
    solved = [model.name for model in fitted if means[model.name].mean == 1]
    if solved:
        raise PassUntilError(
            f"the mean pass probability of {', '.join(solved)} is 1, and log(-log 1) is not finite; "
            "hold that model out or take a harder task"
        )


def _fit(models: list[_Model], means: dict[str, DatasetEstimate]) -> DatasetOLS:
    return DatasetOLS().fit([m.size for m in models], [means[m.name].mean for m in models])


def _target(law: DatasetOLS, target: float, largest: float, level: float) -> TargetForecast:
    size = positive("target", target)
    if size <= largest:
        raise PassUntilError(
            f"target {size:g} is not above the largest fitted size, {largest:g}: that would be no forecast; "
            "give a larger target, or hold out the larger models"
        )
    return TargetForecast(size, {law.name: law.forecast(size, level=level)}, law.name)


def _judge(
    law: DatasetOLS,
    held: list[_Model],
    means: dict[str, DatasetEstimate],
    level: float,
    left_out: tuple[str, ...],
) -> tuple[Judged, ...]:
    return tuple(
        Judged(m.name, left_out, law.name, law.forecast(m.size, level=level), means[m.name]) for m in held
    )


def _backtest(fitted: list[_Model], means: dict[str, DatasetEstimate], level: float) -> Iterable[Judged]:
    """Leave out the largest size, then the largest two, where three sizes with a pass remain."""
    sizes = sorted({model.size for model in fitted})
    for count in (1, 2):
        if len(sizes) <= count:
            return
        edge = sizes[-count]
        rest, held = [m for m in fitted if m.size < edge], [m for m in fitted if m.size >= edge]
        if len({m.size for m in rest if means[m.name].mean > 0}) < LEAST_SIZES:
            return
        yield from _judge(_fit(rest, means), held, means, level, tuple(m.name for m in held))


def _with_warnings(result: SeriesForecast, law: DatasetOLS, largest: float) -> SeriesForecast:
    """The result with one sentence for each thing that a reader must know before trusting it."""
    found: list[str] = []
    for target in result.targets:
        ratio = target.n_params / largest
        if ratio > FAR:
            found.append(
                f"target {target.n_params:.4g} is {ratio:.3g} times the largest fitted size, far from data"
            )
    used = len({p.n_params for p in result.models if p.residual is not None})
    if used < FEW_SIZES:
        found.append(
            f"only {used} sizes were fitted; the interval rests on {law.n_used_ - 2} degrees of freedom"
        )
    if result.dropped:
        sizes = ", ".join(f"{size:.4g}" for size in result.dropped)
        found.append(
            f"nothing passed at {sizes}; left out of the fit, as in the paper, which tends to flatten the law"
        )
    if law.alpha_ <= 0:
        found.append("the pass probability falls with size (inverse scaling); the law does not hold here")
    if result.instances_left_out:
        found.append(
            f"{result.instances_left_out} instances were not measured on all models and are left out"
        )
    unfinished = sum(point.measured.unfinished for point in result.models)
    if unfinished:
        found.append(f"{unfinished} cells are unfinished; their estimates are provisional")
    changed = {field: getattr(result, field) for field in SeriesForecast.__dataclass_fields__}
    return SeriesForecast(**{**changed, "warnings": tuple(found)})
