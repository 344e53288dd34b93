"""What makes an interval as wide as it is: a method's own sources, and those that it knows nothing of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from passuntil.forecasting._scoring import as_array, centre_and_sd, quantile
from passuntil.forecasting.choice import Choice
from passuntil.forecasting.methods import Fitted
from passuntil.forecasting.pooling import Pooled
from passuntil.laws._lines import log_log
from passuntil.laws.base import Forecast


@dataclass(frozen=True, slots=True)
class Sources:
    """The fitted methods of a series, and all that widens their intervals."""

    fitted: Fitted
    pooled: Pooled
    choice: Choice
    level: float

    def forecasts(self, size: float) -> tuple[dict[str, Forecast], dict[str, dict[str, float]]]:
        """Forecasts of all methods with every source of uncertainty, and the sources as deviations of F."""
        own = {name: law.forecast(size, level=self.level) for name, law in self.fitted.laws.items()}
        apart = disagreement(own, self.choice.scores)
        reach = self.pooled.reach(self.fitted.series, size, self.level)
        sources = {}
        for name, forecast in own.items():
            # The likelihood fit starts from the pooled deviations; the others are as wide at least.
            short = 0.0 if name == "instance_likelihood" else reach**2 - centre_and_sd(forecast)[1] ** 2
            sources[name] = {
                "deviations": math.sqrt(max(short, 0.0)),
                "forms": apart[name],
                "backtest": self.choice.excess.get(name, 0.0),
            }
        wide = {name: widened(own[name], math.hypot(*sources[name].values())) for name in own}
        return wide, sources


def widened(forecast: Forecast, extra: float) -> Forecast:
    """The forecast with a further standard deviation `extra` of F, added in squares to either side."""
    more = extra * quantile(forecast)
    if not more > 0.0:
        return forecast
    centre = float(log_log(as_array(forecast.mean)))
    ends = []
    for end, side in ((forecast.low, 1.0), (forecast.high, -1.0)):
        reach = abs(float(log_log(as_array(end))) - centre)
        ends.append(math.exp(-math.exp(min(centre + side * math.hypot(reach, more), 700.0))))
    low, high = min(ends[0], forecast.low), max(ends[1], forecast.high)
    return Forecast(forecast.n_params, forecast.mean, low, high, forecast.level)


def disagreement(methods: Mapping[str, Forecast], scores: Mapping[str, float]) -> dict[str, float]:
    """How far the other methods lie from each one: root mean square on the scale of F.

    Methods count by the inverse square of their back-test score, alike where there is none.
    """
    centres = {name: centre_and_sd(forecast)[0] for name, forecast in methods.items()}
    known = all(name in scores for name in methods)
    weights = {name: 1.0 / max(scores[name], 1e-3) ** 2 if known else 1.0 for name in methods}
    total = sum(weights.values())
    return {
        name: math.sqrt(
            sum(w * (centres[other] - centres[name]) ** 2 for other, w in weights.items()) / total
        )
        for name in methods
    }
