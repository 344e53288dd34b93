"""A fitted loss law as values: what a forecast says of a loss beside the pass probability."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from numpy.typing import ArrayLike

from passuntil._checks import confidence
from passuntil.laws.loss_law import LossForecast, LossLaw


@dataclass(frozen=True, slots=True)
class LossFit:
    """A fitted loss law as values, as `fit_loss` returns it.

    Parameters
    ----------
    c, alpha : float
        Constants of the curve c N^-alpha + L0, c in the unit of the sizes.
    floor : float
        L0, in nats.
    intervals : dict of str to (float, float)
        Low and high of "c", "alpha" and "floor".
    level : float
        Confidence level of intervals and forecasts, in (0, 1).
    sizes : int
        Models fitted.
    forecasts : tuple of LossForecast
        One a target.
    """

    c: float
    alpha: float
    floor: float
    intervals: dict[str, tuple[float, float]]
    level: float
    sizes: int
    forecasts: tuple[LossForecast, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give the values as plain JSON.

        Returns
        -------
        dict
            By the names of the parameters; an end that overflows is None.
        """
        values = asdict(self)
        values["intervals"] = {
            name: [end if math.isfinite(end) else None for end in ends]
            for name, ends in self.intervals.items()
        }
        values["forecasts"] = [asdict(forecast) for forecast in self.forecasts]
        return {**values, "c": self.c if math.isfinite(self.c) else None}

    def table(self) -> str:
        """Lay the law out as text.

        Returns
        -------
        str
            A line for the constants and a line a forecast.
        """
        constants = ", ".join(
            f"{name} {value:.3g} [{low:.3g}, {high:.3g}]"
            for name, value in (("alpha", self.alpha), ("L0", self.floor))
            for low, high in [self.intervals["alpha" if name == "alpha" else "floor"]]
        )
        lines = [f"loss = c N^-alpha + L0 over {self.sizes} sizes: {constants}, {self.level:.0%}"]
        lines += [
            f"  loss at {f.n_params:.4g}: {f.mean:.4g} [{f.low:.4g}, {f.high:.4g}]" for f in self.forecasts
        ]
        return "\n".join(lines)


def fit_loss(
    n_params: ArrayLike, loss: ArrayLike, targets: Sequence[float], *, level: float = 0.9
) -> LossFit:
    """Fit a `LossLaw` to one loss a model, and forecast it at each target.

    Parameters
    ----------
    n_params : array_like of float, shape (n,)
        Sizes above 0, at least four of them distinct.
    loss : array_like of float, shape (n,)
        Nats, above 0.
    targets : sequence of float
        Sizes to forecast, above 0.
    level : float, optional
        Confidence level of intervals and forecasts, in (0, 1).

    Returns
    -------
    LossFit
        Constants, intervals and forecasts.

    Raises
    ------
    PassUntilError
        As `LossLaw.fit`, and for another target or level.

    Examples
    --------
    >>> fit = fit_loss([0.1, 0.2, 0.5, 1.0], [3.096, 2.797, 2.485, 2.3], [2.0])
    >>> round(fit.forecasts[0].mean, 2)
    2.15
    """
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
