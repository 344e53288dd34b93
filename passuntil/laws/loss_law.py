"""The law of the loss, L(N) = c N^-alpha + L0 (arXiv 2310.03262, eq. 1), with intervals by profile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from passuntil._arrays import Floats
from passuntil._checks import confidence, positive
from passuntil.errors import PassUntilError
from passuntil.laws._cells import vector

#: Exponents that are tried. Below the first the curve is as good as a logarithm, above the last a step.
ALPHAS: Floats = np.geomspace(0.005, 5.0, 1200)
LEAST_SIZES = 4


@dataclass(frozen=True, slots=True)
class Profile:
    """For each exponent of a grid the best c and L0 >= 0 of every curve, and the sum of squares: (grid, m).

    unit: the size in whose multiples c counts (the geometric mean), so that nothing overflows.
    """

    alphas: Floats
    c: Floats
    floor: Floats
    rss: Floats
    unit: float


def profile(sizes: Floats, losses: Floats, alphas: Floats = ALPHAS) -> Profile:
    """Least squares for curves `losses` (m, n) over sizes (n,): linear in (c, L0) once alpha is known."""
    unit = math.exp(float(np.log(sizes).mean()))
    basis = np.power.outer(sizes / unit, -alphas).T  # (grid, n)
    centre = basis.mean(1, keepdims=True)
    off = basis - centre
    mean = losses.mean(1)
    c = (off @ losses.T) / (off * off).sum(1, keepdims=True)
    floor = mean - c * centre
    # A negative floor is no loss: there the curve goes through L0 = 0, and a falling c through c = 0.
    bare = (basis @ losses.T) / (basis * basis).sum(1, keepdims=True)
    c, floor = np.where(floor < 0, bare, c), np.maximum(floor, 0.0)
    c, floor = np.where(c < 0, 0.0, c), np.where(c < 0, mean, floor)
    fitted = c[..., None] * basis[:, None, :] + floor[..., None]
    return Profile(alphas, c, floor, ((losses - fitted) ** 2).sum(-1), unit)


class LossLaw(BaseEstimator):
    """Least squares for c, alpha and L0 >= 0, with intervals for each and for the loss of a larger model.

    Intervals are by profile: the values for which some curve through them has a sum of squares of at most
    (1 + t^2 / (n - 3)) times the smallest (t: the quantile of Student's distribution, n - 3 degrees of
    freedom). Curves of this kind bend little within a decade or two, so alpha and L0 are often hardly known;
    then the profile says so, where a curvature at the optimum would not.

    Attributes after `fit`: `c_` (in the unit of the sizes), `alpha_`, `floor_` (L0), `residuals_`,
    `scatter_` (their standard deviation), `n_used_`.

    >>> sizes = np.array([0.1, 0.2, 0.5, 1.0, 2.0, 4.0])
    >>> law = LossLaw().fit(sizes, 0.8 * sizes**-0.3 + 1.5)
    >>> round(law.c_, 2), round(law.alpha_, 2), round(law.floor_, 2)
    (0.8, 0.3, 1.5)
    """

    name = "loss_law"

    def fit(self, n_params: ArrayLike, loss: ArrayLike) -> Self:
        """Fit to sizes and losses (n,), all above 0, of four distinct sizes; PassUntilError otherwise."""
        sizes, losses = vector("n_params", n_params), vector("loss", loss)
        if sizes.shape != losses.shape:
            raise PassUntilError(f"n_params has {sizes.size} values and loss {losses.size}; give one a model")
        for name, array in (("n_params", sizes), ("loss", losses)):
            if (array <= 0).any():
                raise PassUntilError(f"{name} must be above 0, not {array[array <= 0][0]:g}")
        distinct = np.unique(sizes).size
        if distinct < LEAST_SIZES:
            raise PassUntilError(
                f"{distinct} distinct sizes were given; c, alpha and L0 need at least {LEAST_SIZES}"
            )
        self._sizes, self._losses = sizes, losses
        self._profile = profile(sizes, losses[None])
        best = int(self._profile.rss[:, 0].argmin())
        near = ALPHAS[[max(best - 1, 0), min(best + 1, ALPHAS.size - 1)]]
        fine = profile(sizes, losses[None], np.geomspace(near[0], near[1], 401))
        at = int(fine.rss[:, 0].argmin())
        self.alpha_ = float(fine.alphas[at])
        self._scaled, self.floor_ = float(fine.c[at, 0]), float(fine.floor[at, 0])
        self.c_ = self._scaled * fine.unit**self.alpha_
        self._unit, self._rss = fine.unit, float(fine.rss[at, 0])
        self.n_used_ = sizes.size
        self.residuals_ = losses - self.predict(sizes)
        self.scatter_ = math.sqrt(self._rss / max(sizes.size - 3, 1))
        return self

    def predict(self, n_params: ArrayLike) -> Floats:
        """c N^-alpha + L0 at each size."""
        if not hasattr(self, "alpha_"):
            raise NotFittedError("This LossLaw is not fitted yet; call fit first.")
        sizes = np.asarray(n_params, dtype=np.float64)
        if not (np.isfinite(sizes) & (sizes > 0)).all():
            raise PassUntilError(f"n_params must be finite and above 0, not {n_params!r}")
        return np.asarray(self._scaled * (sizes / self._unit) ** -self.alpha_ + self.floor_)

    def intervals(self, level: float = 0.9) -> dict[str, tuple[float, float]]:
        """Intervals of c, alpha and L0, by name. Ends of the grid of alpha (.005, 5) mean "or beyond"."""
        allowed, c, floor, width = self._region(confidence(level))
        alphas = ALPHAS[allowed]
        sd_floor, sd_c = width
        log_unit = math.log(self._unit)
        with np.errstate(over="ignore"):
            low_c, high_c = np.maximum(c - sd_c, 0.0), c + sd_c
            scale = np.exp(alphas * log_unit)
            cs = float((low_c * scale).min()), float((high_c * scale).max())
        found = {
            "c": (self.c_, cs),
            "alpha": (self.alpha_, (float(alphas.min()), float(alphas.max()))),
            "floor": (
                self.floor_,
                (float(np.maximum(floor - sd_floor, 0.0).min()), float((floor + sd_floor).max())),
            ),
        }
        # Exact data leave one exponent of the grid, and the optimum beside it.
        return {name: (min(low, best), max(high, best)) for name, (best, (low, high)) in found.items()}

    def forecast(self, n_params: float, *, level: float = 0.9) -> LossForecast:
        """Loss of one new model: the curve's profile interval and the scatter of models, added in squares."""
        size, level = positive("n_params", n_params), confidence(level)
        allowed, c, floor, _ = self._region(level)
        step = (size / self._unit) ** -ALPHAS[allowed]
        _, of_curve = self._widths(level, allowed, step)
        there = c * step + floor
        mean = float(self.predict(size))
        own = float(student.ppf((1.0 + level) / 2.0, max(self.n_used_ - 3, 1))) * self.scatter_
        low = mean - math.hypot(mean - min(float((there - of_curve).min()), mean), own)
        high = mean + math.hypot(max(float((there + of_curve).max()), mean) - mean, own)
        return LossForecast(size, mean, max(low, 0.0), high, level)

    def _region(self, level: float) -> tuple[Any, Floats, Floats, tuple[Floats, Floats]]:
        if not hasattr(self, "alpha_"):
            raise NotFittedError("This LossLaw is not fitted yet; call fit first.")
        rss = self._profile.rss[:, 0]
        allowed = rss <= self._budget(level)
        # The optimum lies between grid points where the data are exact; its neighbours stand for it then.
        allowed[int(rss.argmin())] = True
        return (
            allowed,
            self._profile.c[allowed, 0],
            self._profile.floor[allowed, 0],
            self._widths(level, allowed, None),
        )

    def _budget(self, level: float) -> float:
        df = max(self.n_used_ - 3, 1)
        return self._rss * (1.0 + float(student.ppf((1.0 + level) / 2.0, df)) ** 2 / df)

    def _widths(self, level: float, allowed: Any, step: Floats | None) -> tuple[Floats, Floats]:
        """How far (L0, c), or (L0, the curve at `step`), may move at each allowed exponent."""
        basis = np.power.outer(self._sizes / self._unit, -ALPHAS[allowed]).T
        left = np.maximum(self._budget(level) - self._profile.rss[allowed, 0], 0.0)
        centre = basis.mean(1)
        spread = ((basis - centre[:, None]) ** 2).sum(1)
        n = self.n_used_
        at = np.zeros_like(centre)
        floor = np.sqrt(left * (1.0 / n + (at - centre) ** 2 / spread))
        if step is None:
            return floor, np.sqrt(left / spread)
        return floor, np.sqrt(left * (1.0 / n + (step - centre) ** 2 / spread))


@dataclass(frozen=True, slots=True)
class LossForecast:
    """Loss (nats) of a model that was not fitted: the curve there and bounds that hold it at `level`."""

    n_params: float
    mean: float
    low: float
    high: float
    level: float


@dataclass(frozen=True, slots=True)
class LossFit:
    """A fitted loss law as values: constants with their intervals at `level`, and forecasts.

    c counts in the unit of the sizes; its interval is (low, high), like those of alpha and of floor (L0).
    """

    c: float
    alpha: float
    floor: float
    intervals: dict[str, tuple[float, float]]
    level: float
    sizes: int
    forecasts: tuple[LossForecast, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; an end that overflows is None."""
        found = asdict(self)
        found["intervals"] = {
            name: [end if math.isfinite(end) else None for end in ends]
            for name, ends in self.intervals.items()
        }
        found["forecasts"] = [asdict(one) for one in self.forecasts]
        return {**found, "c": self.c if math.isfinite(self.c) else None}

    def table(self) -> str:
        """The law as text: a line for the constants and a line a forecast."""
        told = ", ".join(
            f"{name} {value:.3g} [{low:.3g}, {high:.3g}]"
            for name, value in (("alpha", self.alpha), ("L0", self.floor))
            for low, high in [self.intervals["alpha" if name == "alpha" else "floor"]]
        )
        lines = [f"loss = c N^-alpha + L0 over {self.sizes} sizes: {told}, {self.level:.0%}"]
        lines += [
            f"  loss at {f.n_params:.4g}: {f.mean:.4g} [{f.low:.4g}, {f.high:.4g}]" for f in self.forecasts
        ]
        return "\n".join(lines)


def fit_loss(
    n_params: ArrayLike, loss: ArrayLike, targets: Sequence[float], *, level: float = 0.9
) -> LossFit:
    """`LossLaw` fitted to one loss a model and forecast at each target; raises as `LossLaw.fit` does."""
    law = LossLaw().fit(n_params, loss)
    return LossFit(
        c=law.c_,
        alpha=law.alpha_,
        floor=law.floor_,
        intervals=law.intervals(level),
        level=confidence(level),
        sizes=law.n_used_,
        forecasts=tuple(law.forecast(size, level=level) for size in targets),
    )
