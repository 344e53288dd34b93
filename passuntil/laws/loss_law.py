"""The law of the loss, L(N) = c N^-alpha + L0 (arXiv 2310.03262, eq. 1), with intervals by profile."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student
from sklearn.base import BaseEstimator

from passuntil._arrays import Floats
from passuntil._checks import confidence, positive
from passuntil.errors import PassUntilError
from passuntil.laws._inputs import above_zero, new_sizes, one_a_model, require_fit
from passuntil.laws._profile import ALPHAS, profile

#: Distinct sizes that the loss needs: its curve has three constants, and only a fourth tells of the scatter.
LEAST_LOSS_SIZES = 4


@dataclass(frozen=True, slots=True)
class LossForecast:
    """Forecast loss of one model that was not fitted.

    Parameters
    ----------
    n_params : float
        Its size, on the scale of the fit.
    mean : float
        The curve there, in nats.
    low, high : float
        Bounds, in nats, that hold the model's loss at `level`.
    level : float
        Confidence level, in (0, 1).
    """

    n_params: float
    mean: float
    low: float
    high: float
    level: float


class LossLaw(BaseEstimator):
    """Least squares for c, alpha and L0 >= 0, with intervals for each and for the loss of a larger model.

    Attributes
    ----------
    c_, alpha_ : float
        Constants of the curve, c in the unit of the sizes.
    floor_ : float
        L0, in nats.
    residuals_ : ndarray, shape (``n_used_``,)
        Loss less the curve, in nats.
    scatter_ : float
        Their standard deviation, ``n_used_`` - 3 degrees of freedom.
    n_used_ : int
        Models fitted.

    Notes
    -----
    ::

        L(N) = c N^-alpha + L0

    Intervals are by profile: the values for which some curve through them has a sum of squares of at most
    (1 + t^2 / (n - 3)) times the smallest (t: the quantile of Student's distribution, n - 3 degrees of
    freedom). Curves of this kind bend little within a decade or two, so alpha and L0 are often hardly known;
    then the profile says so, where a curvature at the optimum would not.

    References
    ----------
    .. [1] Hu et al. (2023), arXiv 2310.03262, eq. 1.

    Examples
    --------
    >>> sizes = np.array([0.1, 0.2, 0.5, 1.0, 2.0, 4.0])
    >>> law = LossLaw().fit(sizes, 0.8 * sizes**-0.3 + 1.5)
    >>> round(law.c_, 2), round(law.alpha_, 2), round(law.floor_, 2)
    (0.8, 0.3, 1.5)
    """

    name = "loss_law"

    def fit(self, n_params: ArrayLike, loss: ArrayLike) -> Self:
        """Fit the curve to the losses of n models.

        Parameters
        ----------
        n_params : array_like of float, shape (n,)
            Sizes above 0, at least four of them distinct.
        loss : array_like of float, shape (n,)
            Nats, above 0.

        Returns
        -------
        LossLaw
            This law, fitted.

        Raises
        ------
        PassUntilError
            For anything else.
        """
        sizes, losses = above_zero("n_params", n_params), above_zero("loss", loss)
        one_a_model(sizes, "loss", losses)
        distinct = np.unique(sizes).size
        if distinct < LEAST_LOSS_SIZES:
            raise PassUntilError(
                f"c, alpha and L0 need at least {LEAST_LOSS_SIZES} distinct sizes, not {distinct}; "
                "measure the loss at more sizes"
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
        """Loss of the curve, c N^-alpha + L0, at each size.

        Parameters
        ----------
        n_params : array_like of float
            Sizes above 0.

        Returns
        -------
        ndarray
            Nats, of the shape of `n_params`.

        Raises
        ------
        PassUntilError
            For a size that is not above 0.
        """
        require_fit(self, "alpha_")
        sizes = new_sizes(n_params)
        return np.asarray(self._scaled * (sizes / self._unit) ** -self.alpha_ + self.floor_)

    def intervals(self, level: float = 0.9) -> dict[str, tuple[float, float]]:
        """Intervals of the constants.

        Parameters
        ----------
        level : float, optional
            Confidence level, in (0, 1).

        Returns
        -------
        dict of str to (float, float)
            Low and high of "c", "alpha" and "floor" (L0). Ends of the grid of alpha (.005, 5) mean "or
            beyond".
        """
        allowed, c, floor, width = self._region(confidence(level))
        alphas = ALPHAS[allowed]
        sd_floor, sd_c = width
        log_unit = math.log(self._unit)
        with np.errstate(over="ignore"):
            low_c, high_c = np.maximum(c - sd_c, 0.0), c + sd_c
            scale = np.exp(alphas * log_unit)
            cs = float((low_c * scale).min()), float((high_c * scale).max())
        profiled = {
            "c": (self.c_, cs),
            "alpha": (self.alpha_, (float(alphas.min()), float(alphas.max()))),
            "floor": (
                self.floor_,
                (float(np.maximum(floor - sd_floor, 0.0).min()), float((floor + sd_floor).max())),
            ),
        }
        # Exact data leave one exponent of the grid, and the optimum beside it.
        return {name: (min(low, best), max(high, best)) for name, (best, (low, high)) in profiled.items()}

    def forecast(self, n_params: float, *, level: float = 0.9) -> LossForecast:
        """Loss of one new model: the curve's profile interval and the scatter of models, added in squares.

        Parameters
        ----------
        n_params : float
            Its size, above 0.
        level : float, optional
            Confidence level, in (0, 1).

        Returns
        -------
        LossForecast
            The curve there and the bounds, in nats.

        Raises
        ------
        PassUntilError
            For another size or level.
        """
        size, level = positive("n_params", n_params), confidence(level)
        allowed, c, floor, _ = self._region(level)
        step = (size / self._unit) ** -ALPHAS[allowed]
        _, of_curve = self._widths(level, allowed, step)
        curves = c * step + floor
        mean = float(self.predict(size))
        own = float(student.ppf((1.0 + level) / 2.0, max(self.n_used_ - 3, 1))) * self.scatter_
        low = mean - math.hypot(mean - min(float((curves - of_curve).min()), mean), own)
        high = mean + math.hypot(max(float((curves + of_curve).max()), mean) - mean, own)
        return LossForecast(size, mean, max(low, 0.0), high, level)

    def _region(self, level: float) -> tuple[Any, Floats, Floats, tuple[Floats, Floats]]:
        require_fit(self, "alpha_")
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
