"""From tallies of a series of models to forecasts of larger ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from passuntil._checks import confidence, whole
from passuntil._text import counted
from passuntil.counts.tally_row import TallyRow
from passuntil.errors import PassUntilError
from passuntil.forecasting._limits import above, fittable, warnings
from passuntil.forecasting._sources import Sources
from passuntil.forecasting.backtests import backtest
from passuntil.forecasting.choice import choose
from passuntil.forecasting.methods import Fitted, fit_methods
from passuntil.forecasting.per_model import FittedModel, HeldOut, TargetForecast
from passuntil.forecasting.pooling import Pooled, pool
from passuntil.forecasting.series import Series, read_series
from passuntil.forecasting.series_forecast import SeriesForecast
from passuntil.growth.circuit_comparison import CircuitComparison, compare_circuits
from passuntil.growth.classification import growth_class
from passuntil.growth.growth_result import GrowthResult
from passuntil.laws.dataset_ols import DatasetOLS
from passuntil.laws.deviation_prior import DeviationPrior
from passuntil.laws.instance_likelihood import InstanceLikelihood
from passuntil.laws.loss_fit import LossFit, fit_loss


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
    progress: Callable[[str], None] = lambda stage: None,
) -> SeriesForecast:
    """Forecast the mean pass probability of larger models of the same series.

    Task means are taken over the instances that all models share, zeros and capped cells included. Every
    method that the data carry is fitted: `DatasetOLS`, `InstanceOLS`, `InstanceLikelihood`, and
    `LossAssisted` where every cell has an nll or every model a loss. The backtest leaves out the largest
    fitted size, then the largest two, and forecasts them from the rest, as long as three sizes with a pass
    remain; the method that does best there is recommended (`passuntil.forecasting.choice.choose`). Beside
    the forecasts stand the class of growth, the comparison of circuits on the curve that the instances
    share, and the law of each loss.

    Parameters
    ----------
    rows : iterable of TallyRow
        The tallies (see `read_tallies`). Where they name several tasks, one is forecast, and the others tell
        how models deviate from their laws (`passuntil.forecasting.pooling`), with the models that are fitted
        and no others.
    targets : sequence of float
        Sizes to forecast, on `scale`, each above every fitted size.
    hold_out : sequence of str, optional
        Names of models that are not fitted; they are forecast and judged.
    level : float, optional
        Of all intervals, in (0, 1).
    scale : {"n_params", "tokens", "compute"}, optional
        What counts as size: non-embedding parameters N, training tokens D or compute 6 N D in
        floating-point operations; the last two need tokens in every row. Sizes in the result (`n_params`)
        are on this scale.
    task : str, optional
        Which one to forecast; needed where the rows name several.
    losses : mapping of str to mapping of str to float, optional
        By name, the loss of each model in nats, above 0. They too tell how models deviate, and a loss of all
        models serves `LossAssisted` where cells have no nll.
    guess_rate : float, optional
        Known chance of passing by guessing, in [0, 1); only the likelihood fit has a place for it.
    deviation : DeviationPrior, optional
        A prior of the models' deviations, instead of what other tasks and losses say.
    seed : int, optional
        Of the sampled intervals and of the growth test, from 0.
    progress : callable, optional
        Called with a few words when a stage begins; large series take a minute.

    Returns
    -------
    SeriesForecast
        The forecasts with what they rest on.

    Raises
    ------
    PassUntilError
        Nothing to fit, fewer than three sizes with a pass, no pass at all, means of 1, a target that is not
        above the data, an unknown model in `hold_out`, no common instance, missing tokens, several tasks and
        none named.

    Notes
    -----
    An interval adds, in squares on the scale of F = log(-log p), a method's own sources, the deviations of
    models that the other tasks tell of, the disagreement of the methods, and what the method was off in the
    backtest beyond its own intervals.

    References
    ----------
    .. [1] Hu et al., "Predicting Emergent Abilities with Infinite Resolution Evaluation", arXiv 2310.03262.

    Examples
    --------
    >>> from passuntil import Tally
    >>> rows = [
    ...     TallyRow(f"m{j}", size, f"q{i}", Tally(2000, round(2000 * math.exp(-(3 + i) * size**-0.3))))
    ...     for j, size in enumerate((1.0, 2.0, 4.0, 8.0))
    ...     for i in range(3)
    ... ]
    >>> forecast = forecast_tallies(rows, [16.0])
    >>> target = forecast.targets[0]
    >>> target.recommended, round(target.methods["dataset_ols"].mean, 2)
    ('instance_likelihood', 0.18)
    """
    level = confidence(level)
    progress("reading the series")
    series, neighbours = read_series(rows, scale, level, task=task, losses=losses)
    kept, held = _split(series, hold_out)
    fittable(kept)
    sizes = [above(target, float(kept.sizes.max())) for target in targets]
    seed = whole("seed", seed)

    def fit(some: Series, pooled: Pooled | None = None) -> Fitted:
        progress(f"fitting {counted(len(some.names), 'model')} of {len(kept.names)}")
        prior = deviation or (pooled or pool(some, neighbours)).prior
        return fit_methods(some, guess_rate=guess_rate, deviation=prior, seed=seed)

    pooled = Pooled() if deviation else pool(kept, neighbours)
    fitted = fit(kept, pooled)
    if not fitted.laws:
        raise PassUntilError(fitted.refused["dataset_ols"])
    backtests = backtest(kept, fit, level)
    choice = choose(fitted.laws, backtests)
    sources = Sources(fitted, pooled, choice, level)
    progress("testing the class of growth")
    growth = _growth(kept, seed, fitted.likelihood)
    progress("forecasting the targets")
    return SeriesForecast(
        scale=scale,
        targets=tuple(_target(size, sources) for size in sizes),
        growth=growth,
        backtest=tuple(held_out.judged_by(choice.method) for held_out in backtests),
        models=_models(kept, fitted.line),
        held_out=tuple(_held_out(held, sources)),
        law=_constants(fitted.line),
        dropped=() if fitted.line is None else fitted.line.dropped_,
        instances=kept.draws.shape[0],
        instances_left_out=series.left_out,
        warnings=tuple(warnings(kept, fitted.line, sizes, growth.label)),
        methods_left_out=fitted.refused,
        choice=choice.reason,
        scores=choice.scores,
        instance_law={} if fitted.likelihood is None else _instance_law(fitted.likelihood),
        pooled=pooled.rests_on,
        pooled_left_out=pooled.left_out,
        circuits=_circuits(growth, seed),
        losses=_losses(kept, sizes, level),
    )


def _split(series: Series, hold_out: Sequence[str]) -> tuple[Series, Series]:
    """(the models that are fitted, those that are held out)."""
    # A single name is a sequence of letters, and never meant as one.
    names = {hold_out} if isinstance(hold_out, str) else set(hold_out)
    unknown = ", ".join(sorted(names - set(series.names)))
    if unknown:
        known = ", ".join(series.names)
        raise PassUntilError(f"hold_out names {unknown}, which no row has; the models are {known}")
    return series.keep(set(series.names) - names), series.keep(names)


def _growth(series: Series, seed: int, likelihood: InstanceLikelihood | None) -> GrowthResult:
    """The class of growth of the fitted models, tested against the law with instances of their own."""
    # One rule for all cells can be repeated by the test's bootstrap; otherwise it repeats the draws as they are.
    r, floor, cap = series.design
    return growth_class(
        series.sizes,
        series.draws.T,
        series.passes.T,
        r=r,
        floor=floor,
        cap=cap if r else None,
        cell_noise=0.0 if likelihood is None else likelihood.tau_,
        seed=seed,
    )


def _circuits(growth: GrowthResult, seed: int) -> CircuitComparison | None:
    """Two circuits against line and quadratic, on the curve that the instances share."""
    if not growth.curve:
        return None
    sizes, f, _ = zip(*growth.curve, strict=True)
    return compare_circuits(sizes, f, seed=seed)


def _losses(fitted: Series, targets: Sequence[float], level: float) -> dict[str, LossFit]:
    """The law of every loss that all models have, from four sizes on; "answer" is the mean of the cells' nll."""
    laws = {}
    for name, loss in fitted.whole_losses().items():
        try:
            laws[name] = fit_loss(fitted.sizes, loss, targets, level=level)
        except PassUntilError:
            continue  # Three sizes leave no degree of freedom; the page says which laws there are.
    return laws


def _target(size: float, sources: Sources) -> TargetForecast:
    forecasts, widths = sources.forecasts(size)
    return TargetForecast(size, forecasts, sources.choice.method, widths)


def _held_out(held: Series, sources: Sources) -> Iterable[HeldOut]:
    for name, size, mean in zip(held.names, held.sizes.tolist(), held.means, strict=True):
        forecasts, _ = sources.forecasts(size)
        yield HeldOut(name, held.names, mean, forecasts, sources.choice.method)


def _models(fitted: Series, line: DatasetOLS | None) -> tuple[FittedModel, ...]:
    residuals = iter([] if line is None else line.residuals_.tolist())
    return tuple(
        FittedModel(name, size, mean, next(residuals, None) if 0 < mean.mean < 1 else None, paper)
        for name, size, mean, paper in zip(
            fitted.names, fitted.sizes.tolist(), fitted.means, fitted.paper.tolist(), strict=True
        )
    )


def _constants(line: DatasetOLS | None) -> dict[str, float | None]:
    """Constants of the line through the task means; None where it could not be fitted."""
    if line is None:
        return dict.fromkeys(("c", "log_c", "alpha", "scatter", "n_used"))
    return {
        # With sizes in ones and a steep line c overflows; its logarithm never does.
        "c": line.c_ if math.isfinite(line.c_) else None,
        "log_c": line.log_c_,
        "alpha": line.alpha_,
        "scatter": line.scatter_,
        "n_used": line.n_used_,
    }


def _instance_law(law: InstanceLikelihood) -> dict[str, float | list[float]]:
    """What the likelihood fit says over all instances."""
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
