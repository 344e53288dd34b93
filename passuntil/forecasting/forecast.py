"""From tallies of a series of models to forecasts of larger ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from passuntil._checks import confidence, whole
from passuntil.counts.tables import TallyRow, check_series
from passuntil.errors import PassUntilError
from passuntil.forecasting._limits import FAR, FEW_SIZES, above, fittable, warnings
from passuntil.forecasting.backtests import (
    Choice,
    Point,
    backtest,
    centre_and_sd,
    choose,
    disagreement,
    widened,
)
from passuntil.forecasting.methods import SCALES, Law, Series, fit_methods, read_series
from passuntil.forecasting.pooling import Pooled, read_neighbours, split_tasks
from passuntil.forecasting.series_forecast import Growth, Judged, ModelPoint, SeriesForecast, TargetForecast
from passuntil.growth.circuits import CircuitComparison, compare_circuits
from passuntil.growth.classes import GrowthResult, growth_class
from passuntil.laws.base import Forecast
from passuntil.laws.dataset_ols import DatasetOLS
from passuntil.laws.deviation_prior import DeviationPrior
from passuntil.laws.instance_likelihood import InstanceLikelihood
from passuntil.laws.loss_fit import LossFit, fit_loss
from passuntil.laws.loss_table import check_losses

__all__ = ["FAR", "FEW_SIZES", "SCALES", "forecast_tallies"]

#: Draws from the predictive distributions of instance laws.
SAMPLES = 2000


def forecast_tallies(
    rows: Iterable[TallyRow],
    targets: Sequence[float],
    hold_out: Sequence[str] = (),
    level: float = 0.9,
    scale: str = "n_params",
    *,
    task: str | None = None,
    losses: Mapping[str, Mapping[str, float]] | None = None,
    guess_rate: float = 0.0,
    deviation: DeviationPrior | None = None,
    seed: int = 0,
) -> SeriesForecast:
    """Forecast the mean pass probability of larger models of the same series.

    rows: the tallies (see `read_tallies`). targets: sizes to forecast, on `scale`, each above every fitted
    size.
    hold_out: names of models that are not fitted; they are forecast and judged. level: of all intervals.
    scale: "n_params", "tokens" (training tokens D) or "compute" (6 N D, floating-point operations); the last
    two need tokens in every row. Sizes in the result (`n_params`) are on this scale.
    task: which one to forecast, where the rows name several. The others and `losses` (by name, the loss of
    each model in nats) tell how models deviate from their laws (`passuntil.forecasting.pooling`), with the models that
    are fitted and no others; a loss of all models also serves `LossAssisted` where cells have no nll.
    deviation: a prior instead of theirs. guess_rate: known chance of passing by guessing; only the
    likelihood fit has a place for it. seed: of the sampled intervals.

    Task means are taken over the instances that all models share, zeros and capped cells included. Every
    method that the data carry is fitted: `DatasetOLS`, `InstanceOLS`, `InstanceLikelihood`, and
    `LossAssisted` where every cell has an nll or every model a loss. The backtest leaves out the largest
    fitted size, then the largest two, and forecasts them from the rest, as long as three sizes with a pass
    remain; the method that does best there is recommended (`passuntil.forecasting.backtests.choose`). An interval adds,
    in squares on the scale of F, a method's own sources, the disagreement of the methods, and what the
    method was off in the backtest beyond its own intervals. Beside them: the class of growth, the comparison
    of circuits on the curve that the instances share, and the law of each loss.

    Raises PassUntilError: nothing to fit, fewer than three sizes with a pass, no pass at all, means of 1, a
    target that is not above the data, an unknown model in `hold_out`, no common instance, missing tokens,
    several tasks and none named.
    """
    level = confidence(level)
    rows, others = split_tasks(rows, task)
    check_series(row for mine in (rows, *others.values()) for row in mine)
    series = read_series(rows, scale, level, check_losses(losses or {}))
    neighbours = read_neighbours(others, scale, level)
    # A single name is a sequence of letters, and never meant as one.
    kept_out = {hold_out} if isinstance(hold_out, str) else set(hold_out)
    unknown = sorted(kept_out - set(series.names))
    if unknown:
        names = ", ".join(series.names)
        raise PassUntilError(f"hold_out names {', '.join(unknown)}, which no row has; the models are {names}")
    fitted = series.keep(name for name in series.names if name not in kept_out)
    held = series.keep(kept_out)
    fittable(fitted)
    largest = float(fitted.sizes.max())
    sizes = [above(target, largest) for target in targets]
    seed = whole("seed", seed)

    def fit(some: Series) -> tuple[dict[str, Law], dict[str, str]]:
        prior = deviation or neighbours.pooled(some).prior
        return fit_methods(some, guess_rate=guess_rate, deviation=prior, seed=seed, n_samples=SAMPLES)

    pooled = Pooled(None, (), {}) if deviation else neighbours.pooled(fitted)
    laws, refused = fit(fitted)
    if not laws:
        raise PassUntilError(refused["dataset_ols"])
    points = backtest(fitted, fit, level)
    choice = choose(laws, points)
    found = _Fit(fitted, laws, choice, pooled)
    line = laws.get("dataset_ols")
    ols = line if isinstance(line, DatasetOLS) else None
    bayes = laws.get("instance_likelihood")
    growth = _growth(fitted, rows, seed, bayes.tau_ if isinstance(bayes, InstanceLikelihood) else 0.0)
    return SeriesForecast(
        scale=scale,
        targets=tuple(_target(found, size, level) for size in sizes),
        growth=growth,
        backtest=tuple(_judged(point, choice.method) for point in points),
        models=_points(fitted, ols),
        held_out=tuple(_held_out(held, found, level)),
        law=_constants(ols),
        dropped=() if ols is None else ols.dropped_,
        instances=fitted.draws.shape[0],
        instances_left_out=series.left_out,
        warnings=tuple(warnings(fitted, ols, sizes, series.left_out, growth.label)),
        methods_left_out=refused,
        choice=choice.reason,
        scores=choice.scores,
        instance_law=_instance_law(bayes) if isinstance(bayes, InstanceLikelihood) else {},
        pooled=pooled.rests_on,
        pooled_left_out=pooled.left_out,
        circuits=_circuits(growth, seed),
        losses=_losses(fitted, sizes, level),
    )


@dataclass(frozen=True, slots=True)
class _Fit:
    """The fitted methods of a series, the choice among them, and what its other tasks say."""

    series: Series
    laws: dict[str, Law]
    choice: Choice
    pooled: Pooled


def _growth(series: Series, rows: Sequence[TallyRow], seed: int, cell_noise: float) -> Growth | GrowthResult:
    """The class of growth of the fitted models, tested against the law with instances of their own."""
    names = set(series.names)
    designs = {(row.tally.r, row.tally.floor or 0, row.tally.cap) for row in rows if row.model in names}
    # One rule for all cells can be repeated by the test's bootstrap; otherwise it repeats the draws as they are.
    r, floor, cap = designs.pop() if len(designs) == 1 else (None, 0, None)
    try:
        return growth_class(
            series.sizes,
            series.draws.T,
            series.passes.T,
            r=r,
            floor=floor,
            cap=cap if r else None,
            cell_noise=cell_noise,
            seed=seed,
        )
    except PassUntilError as error:
        return Growth("undetermined", None, f"not tested: {error}")


def _circuits(growth: Growth | GrowthResult, seed: int) -> CircuitComparison | None:
    """Two circuits against line and quadratic, on the curve that the instances share."""
    if not isinstance(growth, GrowthResult) or not growth.curve:
        return None
    sizes, f, _ = zip(*growth.curve, strict=True)
    return compare_circuits(sizes, f, seed=seed)


def _losses(fitted: Series, targets: Sequence[float], level: float) -> dict[str, LossFit]:
    """The law of every loss that all models have, from four sizes on; "answer" is the mean of the cells' nll."""
    found = {}
    for name, loss in fitted.whole_losses().items():
        try:
            found[name] = fit_loss(fitted.sizes, loss, targets, level=level)
        except PassUntilError:
            continue  # Three sizes leave no degree of freedom; the page says which laws there are.
    return found


def _all_methods(
    fit: _Fit, size: float, level: float
) -> tuple[dict[str, Forecast], dict[str, dict[str, float]]]:
    """Forecasts of all methods with every source of uncertainty, and the sources as deviations of F."""
    own = {name: law.forecast(size, level=level) for name, law in fit.laws.items()}
    apart = disagreement(own, fit.choice.scores)
    reach = fit.pooled.reach(fit.series, size, level)
    sources = {}
    for name, forecast in own.items():
        # The likelihood fit starts from the pooled deviations; the others are as wide at least.
        short = 0.0 if name == "instance_likelihood" else reach**2 - centre_and_sd(forecast)[1] ** 2
        sources[name] = {
            "deviations": math.sqrt(max(short, 0.0)),
            "forms": apart[name],
            "backtest": fit.choice.excess.get(name, 0.0),
        }
    wide = {name: widened(own[name], math.hypot(*sources[name].values())) for name in own}
    return wide, sources


def _target(fit: _Fit, size: float, level: float) -> TargetForecast:
    methods, sources = _all_methods(fit, size, level)
    return TargetForecast(size, methods, fit.choice.method, sources)


def _held_out(held: Series, fit: _Fit, level: float) -> Iterable[Judged]:
    best = fit.choice.method
    for name, size, mean in zip(held.names, held.sizes.tolist(), held.means, strict=True):
        methods, _ = _all_methods(fit, size, level)
        yield Judged(name, held.names, best, methods[best], mean, methods)


def _judged(point: Point, recommended: str) -> Judged:
    method = recommended if recommended in point.methods else next(iter(point.methods))
    return Judged(point.model, point.held_out, method, point.methods[method], point.measured, point.methods)


def _points(fitted: Series, ols: DatasetOLS | None) -> tuple[ModelPoint, ...]:
    residuals = iter([] if ols is None else ols.residuals_.tolist())
    return tuple(
        ModelPoint(name, size, mean, next(residuals, None) if 0 < mean.mean < 1 else None, paper)
        for name, size, mean, paper in zip(
            fitted.names, fitted.sizes.tolist(), fitted.means, fitted.paper.tolist(), strict=True
        )
    )


def _constants(ols: DatasetOLS | None) -> dict[str, float | None]:
    """Constants of the dataset-level line; None where it could not be fitted."""
    if ols is None:
        return dict.fromkeys(("c", "log_c", "alpha", "scatter", "n_used"))
    return {
        # With sizes in ones and a steep line c overflows; its logarithm never does.
        "c": ols.c_ if math.isfinite(ols.c_) else None,
        "log_c": ols.log_c_,
        "alpha": ols.alpha_,
        "scatter": ols.scatter_,
        "n_used": ols.n_used_,
    }


def _instance_law(law: InstanceLikelihood) -> dict[str, float | list[float]]:
    """What the likelihood fit found over all instances."""
    sd = np.sqrt(np.diag(law.covariance_))
    return {
        "log_c_mean": float(law.mean_[0]),
        "log_c_sd": float(sd[0]),
        "alpha_mean": float(law.mean_[1]),
        "alpha_sd": float(sd[1]),
        "deviations": law.deviations_.tolist(),
        "deviation_sd": law.sigma_,
        "deviation_sd_low": law.deviation_.sigma(0.05),
        "deviation_sd_high": law.deviation_.sigma(0.95),
        "drift": law.kappa_,
        "overdispersion": law.tau_,
        "seed": law.seed,
    }
