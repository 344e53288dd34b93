"""From tallies of a series of models to forecasts of larger ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from passuntil._checks import confidence, positive, whole
from passuntil.backtests import Choice, Point, backtest, choose, disagreement, widened
from passuntil.deviations import DeviationPrior
from passuntil.errors import PassUntilError
from passuntil.growth import GrowthResult, growth_class
from passuntil.instance_likelihood import InstanceLikelihood
from passuntil.laws import LEAST_SIZES, DatasetOLS, Forecast
from passuntil.methods import SCALES, Law, Series, fit_methods, read_series
from passuntil.results import Growth, Judged, ModelPoint, SeriesForecast, TargetForecast
from passuntil.tables import TallyRow

__all__ = ["FAR", "FEW_SIZES", "SCALES", "forecast_tallies"]

#: Beyond this many times the largest fitted size, a forecast says that it reaches far. The paper's own step
#: is 1.6.
FAR = 4.0
#: With fewer sizes the scatter about the line is a guess, and the t quantile says so.
FEW_SIZES = 5
#: Draws from the predictive distributions of instance laws.
SAMPLES = 2000


def forecast_tallies(
    rows: Iterable[TallyRow],
    targets: Sequence[float],
    hold_out: Sequence[str] = (),
    level: float = 0.9,
    scale: str = "n_params",
    *,
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
    guess_rate: known chance of passing by guessing; only the likelihood fit has a place for it. deviation:
    what other tasks or losses of the series say of how models scatter (`pool_deviations`). seed: of the
    sampled intervals.

    Task means are taken over the instances that all models share, zeros and capped cells included. Every
    method that the data carry is fitted: `DatasetOLS`, `InstanceOLS`, `InstanceLikelihood`, and
    `LossAssisted` where every cell has an nll. The backtest leaves out the largest fitted size, then the
    largest two, and forecasts them from the rest, as long as three sizes with a pass remain; the method
    that does best there is recommended (`passuntil.backtests.choose`). An interval adds, in squares on the
    scale of F, a method's own sources, the disagreement of the methods, and what the method was off in the
    backtest beyond its own intervals.

    Raises PassUntilError: nothing to fit, fewer than three sizes with a pass, no pass at all, means of 1, a
    target that is not above the data, an unknown model in `hold_out`, no common instance, missing tokens.
    """
    level = confidence(level)
    rows = list(rows)
    series = read_series(rows, scale, level)
    # A single name is a sequence of letters, and never meant as one.
    kept_out = {hold_out} if isinstance(hold_out, str) else set(hold_out)
    unknown = sorted(kept_out - set(series.names))
    if unknown:
        names = ", ".join(series.names)
        raise PassUntilError(f"hold_out names {', '.join(unknown)}, which no row has; the models are {names}")
    fitted = series.keep(name for name in series.names if name not in kept_out)
    held = series.keep(kept_out)
    _fittable(fitted)
    largest = float(fitted.sizes.max())
    sizes = [_above(target, largest) for target in targets]

    fit = partial(
        fit_methods,
        guess_rate=guess_rate,
        deviation=deviation,
        seed=whole("seed", seed),
        n_samples=SAMPLES,
    )
    laws, refused = fit(fitted)
    if not laws:
        raise PassUntilError(refused["dataset_ols"])
    points = backtest(fitted, fit, level)
    choice = choose(laws, points)
    line = laws.get("dataset_ols")
    ols = line if isinstance(line, DatasetOLS) else None
    bayes = laws.get("instance_likelihood")
    return SeriesForecast(
        scale=scale,
        targets=tuple(_target(laws, size, level, choice) for size in sizes),
        growth=_growth(fitted, rows, seed),
        backtest=tuple(_judged(point, choice.method) for point in points),
        models=_points(fitted, ols),
        held_out=tuple(_held_out(held, laws, level, choice)),
        law=_constants(ols),
        dropped=() if ols is None else ols.dropped_,
        instances=fitted.draws.shape[0],
        instances_left_out=series.left_out,
        warnings=tuple(_warnings(fitted, ols, sizes, largest, series.left_out)),
        methods_left_out=refused,
        choice=choice.reason,
        scores=choice.scores,
        instance_law=_instance_law(bayes) if isinstance(bayes, InstanceLikelihood) else {},
    )


def _growth(series: Series, rows: Sequence[TallyRow], seed: int) -> Growth | GrowthResult:
    """The class of growth of the fitted models, tested against the law with instances of their own."""
    names = set(series.names)
    designs = {(row.tally.r, row.tally.floor or 0, row.tally.cap) for row in rows if row.model in names}
    # One rule for all cells can be repeated by the test's bootstrap; otherwise it repeats the draws as they are.
    r, floor, cap = designs.pop() if len(designs) == 1 else (None, 0, None)
    try:
        return growth_class(
            series.sizes, series.draws.T, series.passes.T, r=r, floor=floor, cap=cap if r else None, seed=seed
        )
    except PassUntilError as error:
        return Growth("undetermined", None, f"not tested: {error}")


def _fittable(fitted: Series) -> None:
    """Refuse, in the words of a series, what the fits would refuse in the words of arrays."""
    distinct = set(fitted.sizes.tolist())
    if len(distinct) < LEAST_SIZES:
        raise PassUntilError(
            f"{len(distinct)} sizes are left to fit; a forecast needs at least {LEAST_SIZES} distinct ones: "
            "measure more sizes or hold out fewer models"
        )
    pairs = list(zip(fitted.names, fitted.sizes.tolist(), fitted.means, strict=True))
    if all(mean.mean == 0 for _, _, mean in pairs):
        raise PassUntilError(
            "no model passed any draw, so there is nothing to fit; draw more or take an easier task"
        )
    some = {size for _, size, mean in pairs if mean.mean > 0}
    if len(some) < LEAST_SIZES:
        raise PassUntilError(
            f"{len(some)} distinct sizes have a pass probability above 0; the fit needs {LEAST_SIZES}: "
            "measure more sizes, or draw more where nothing passed"
        )
    solved = [name for name, _, mean in pairs if mean.mean == 1]
    open_sizes = {size for _, size, mean in pairs if 0 < mean.mean < 1}
    if solved and len(open_sizes) < LEAST_SIZES - 1:
        raise PassUntilError(
            f"the mean pass probability of {', '.join(solved)} is 1, and log(-log 1) is not finite; "
            "hold that model out or take a harder task"
        )


def _above(target: float, largest: float) -> float:
    size = positive("target", target)
    if size <= largest:
        raise PassUntilError(
            f"target {size:g} is not above the largest fitted size, {largest:g}: that would be no forecast; "
            "give a larger target, or hold out the larger models"
        )
    return size


def _all_methods(
    laws: dict[str, Law], size: float, level: float, choice: Choice
) -> tuple[dict[str, Forecast], dict[str, dict[str, float]]]:
    """Forecasts of all methods with every source of uncertainty, and the sources as deviations of F."""
    own = {name: law.forecast(size, level=level) for name, law in laws.items()}
    apart = disagreement(own, choice.scores)
    sources = {name: {"forms": apart[name], "backtest": choice.excess.get(name, 0.0)} for name in own}
    wide = {name: widened(own[name], math.hypot(*sources[name].values())) for name in own}
    return wide, sources


def _target(laws: dict[str, Law], size: float, level: float, choice: Choice) -> TargetForecast:
    methods, sources = _all_methods(laws, size, level, choice)
    return TargetForecast(size, methods, choice.method, sources)


def _held_out(held: Series, laws: dict[str, Law], level: float, choice: Choice) -> Iterable[Judged]:
    for name, size, mean in zip(held.names, held.sizes.tolist(), held.means, strict=True):
        methods, _ = _all_methods(laws, size, level, choice)
        yield Judged(name, held.names, choice.method, methods[choice.method], mean, methods)


def _judged(point: Point, recommended: str) -> Judged:
    method = recommended if recommended in point.methods else next(iter(point.methods))
    return Judged(point.model, point.held_out, method, point.methods[method], point.measured, point.methods)


def _points(fitted: Series, ols: DatasetOLS | None) -> tuple[ModelPoint, ...]:
    residuals = iter([] if ols is None else ols.residuals_.tolist())
    return tuple(
        ModelPoint(name, size, mean, next(residuals, None) if 0 < mean.mean < 1 else None)
        for name, size, mean in zip(fitted.names, fitted.sizes.tolist(), fitted.means, strict=True)
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


def _warnings(
    fitted: Series, ols: DatasetOLS | None, targets: list[float], largest: float, left_out: int
) -> Iterable[str]:
    """One sentence for each thing that a reader must know before trusting the forecast."""
    for target in targets:
        ratio = target / largest
        if ratio > FAR:
            yield f"target {target:.4g} is {ratio:.3g} times the largest fitted size, far from data"
    used = len({s for s, mean in zip(fitted.sizes.tolist(), fitted.means, strict=True) if 0 < mean.mean < 1})
    if used < FEW_SIZES:
        yield f"only {used} sizes were fitted; the interval rests on {max(used - 2, 0)} degrees of freedom"
    if ols is None:
        yield "some model passed every draw, so the dataset-level line cannot be fitted"
    elif ols.dropped_:
        sizes = ", ".join(f"{size:.4g}" for size in ols.dropped_)
        yield f"nothing passed at {sizes}; left out of the dataset-level line, which tends to flatten it"
    if ols is not None and ols.alpha_ <= 0:
        yield "the pass probability falls with size (inverse scaling); the law does not hold here"
    if left_out:
        yield f"{left_out} instances were not measured on all models and are left out"
    unfinished = sum(mean.unfinished for mean in fitted.means)
    if unfinished:
        yield f"{unfinished} cells are unfinished; their estimates are provisional"
