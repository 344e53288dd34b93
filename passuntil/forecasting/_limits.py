"""What a series cannot carry: refusals of a forecast with the remedy, and what to mind with one."""

from __future__ import annotations

from collections.abc import Iterable

from passuntil._checks import positive
from passuntil.errors import PassUntilError
from passuntil.forecasting.methods import Series
from passuntil.laws.base import LEAST_SIZES
from passuntil.laws.dataset_ols import DatasetOLS

#: Beyond this many times the largest fitted size, a forecast says that it reaches far. The paper's own step
#: is 1.6.
FAR = 4.0
#: With fewer sizes the scatter about the line is a guess, and the t quantile says so.
FEW_SIZES = 5
#: What a class of growth other than the law's means for forecasts by the law.
BENT = {
    "accelerated": "forecasts by the law tend to be too low",
    "sub_scaling": "forecasts by the law tend to be too high",
    "mixed": "forecasts by the law may be off either way",
}


def fittable(fitted: Series) -> None:
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


def above(target: float, largest: float) -> float:
    size = positive("target", target)
    if size <= largest:
        raise PassUntilError(
            f"target {size:g} is not above the largest fitted size, {largest:g}: that would be no forecast; "
            "give a larger target, or hold out the larger models"
        )
    return size


def warnings(
    fitted: Series, ols: DatasetOLS | None, targets: list[float], left_out: int, growth: str
) -> Iterable[str]:
    """One sentence for each thing that a reader must know before trusting the forecast."""
    if growth in BENT:
        yield f"growth is {growth}: instances bend beyond the law, so {BENT[growth]}; see the backtest"
    for target in targets:
        ratio = target / float(fitted.sizes.max())
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
