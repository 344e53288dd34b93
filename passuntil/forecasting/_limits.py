"""What a series cannot carry: refusals of a forecast with the remedy, and what to know before trusting one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from passuntil._checks import positive
from passuntil._samples import LARGE_CELLS
from passuntil._text import counted, size_text
from passuntil.errors import PassUntilError
from passuntil.forecasting.series import Series
from passuntil.laws._predictive import REPRESENTED
from passuntil.laws.base import LEAST_SIZES
from passuntil.laws.dataset_ols import DatasetOLS

#: Beyond this many times the largest fitted size, a forecast says that it reaches far. The paper's own step
#: is 1.6.
FAR_STEP = 4.0
#: With fewer sizes the scatter about the line is a guess, and the t quantile says so.
FEW_SIZES = 5
#: What a class of growth other than the law's means for forecasts by the law.
BENT = {
    "accelerated": "(accelerated growth), so forecasts by the law tend to be too low",
    "sub_scaling": "(sub-scaling growth), so forecasts by the law tend to be too high",
    "mixed": "(mixed growth), so forecasts by the law may be off either way",
}


def fittable(fitted: Series) -> None:
    """Refuse, in the words of a series, what the fits would refuse in the words of arrays."""
    distinct = len(set(fitted.sizes.tolist()))
    if distinct < LEAST_SIZES:
        raise PassUntilError(
            f"{counted(distinct, 'size is', 'sizes are')} left to fit; a forecast needs at least {LEAST_SIZES} "
            "distinct ones: measure more sizes or hold out fewer models"
        )
    models = list(zip(fitted.names, fitted.sizes.tolist(), fitted.means, strict=True))
    if all(mean.mean == 0 for _, _, mean in models):
        raise PassUntilError(
            "no model passed any draw, so there is nothing to fit; draw more or take an easier task"
        )
    passed = len({size for _, size, mean in models if mean.mean > 0})
    if passed < LEAST_SIZES:
        raise PassUntilError(
            f"{counted(passed, 'distinct size has', 'distinct sizes have')} a pass probability above 0; the fit "
            f"needs {LEAST_SIZES}: measure more sizes, or draw more where nothing passed"
        )
    solved = [name for name, _, mean in models if mean.mean == 1]
    between = {size for _, size, mean in models if 0 < mean.mean < 1}
    if solved and len(between) < LEAST_SIZES - 1:
        raise PassUntilError(
            f"the mean pass probability of {', '.join(solved)} is 1, and log(-log 1) is not finite; "
            "hold that model out or take a harder task"
        )


def above(target: float, largest: float) -> float:
    """The target as a number, refused unless it is larger than every fitted size."""
    size = positive("target", target)
    if size <= largest:
        raise PassUntilError(
            f"target {size_text(size)} is not above the largest fitted size, {size_text(largest)}: that would "
            "be no forecast; give a larger target, or hold out the larger models"
        )
    return size


def warnings(series: Series, line: DatasetOLS | None, targets: Sequence[float], growth: str) -> Iterable[str]:
    """One sentence for each thing that a reader must know before trusting the forecast."""
    if growth in BENT:
        yield f"instances bend beyond the law {BENT[growth]}; see the backtest"
    for target in targets:
        ratio = target / float(series.sizes.max())
        if ratio > FAR_STEP:
            yield f"target {size_text(target)} is {ratio:.3g} times the largest fitted size, far from data"
    used = len({s for s, mean in zip(series.sizes.tolist(), series.means, strict=True) if 0 < mean.mean < 1})
    if used < FEW_SIZES:
        freedom = counted(max(used - 2, 0), "degree of freedom", "degrees of freedom")
        yield f"only {counted(used, 'size was', 'sizes were')} fitted; the interval rests on {freedom}"
    if any(mean.mean == 1 for mean in series.means):
        yield "some model passed every draw, so the line through task means cannot be fitted"
    if line is not None and line.dropped_:
        sizes = ", ".join(size_text(size) for size in line.dropped_)
        yield f"nothing passed at {sizes}; left out of the line through task means, which tends to flatten it"
    if line is not None and line.alpha_ <= 0:
        yield "the pass probability falls with size (inverse scaling); the law does not hold here"
    if series.left_out:
        yield counted(
            series.left_out,
            "instance was not measured on all models and is left out",
            "instances were not measured on all models and are left out",
        )
    if series.draws.size > LARGE_CELLS:
        models = len(series.names)
        yield (
            f"{series.draws.size:,} cells: all are fitted, but forecasts average over {REPRESENTED:,} instances that "
            f"stand for all, and the growth test simulates {LARGE_CELLS // (2 * models):,} at a time"
        )
    unfinished = sum(mean.unfinished for mean in series.means)
    if unfinished:
        yield counted(
            unfinished,
            "cell is unfinished; its estimate is provisional",
            "cells are unfinished; their estimates are provisional",
        )
