"""PassUntil: pass probabilities far below what a benchmark shows, and what they say of larger models.

Count the passes of one instance with a stopping rule, estimate its pass probability without bias and with an
exact interval, average over a task, fit a task scaling law over model sizes, forecast a larger model.

The idea of drawing until r passes come, and the law, are of Hu et al., "Predicting Emergent Abilities with
Infinite Resolution Evaluation" (arXiv 2310.03262). The estimates and intervals here correct what it leaves
open.

>>> rule = UntilPasses(r=2, cap=1000)
>>> tally = rule.settle([0, 0, 1, 0, 0, 0, 0, 1, 0, 1])
>>> tally.stopped_at, round(tally.estimate(), 4)
(8, 0.1429)
"""

from passuntil import estimates, forecast, intervals
from passuntil.aggregate import DatasetEstimate, dataset_estimate
from passuntil.errors import PassUntilError
from passuntil.forecast import forecast_tallies
from passuntil.intervals import Interval
from passuntil.laws import DatasetOLS, Forecast, ScalingLaw
from passuntil.results import SeriesForecast
from passuntil.rules import FixedDraws, StoppingRule, UntilPasses, rule_from_dict
from passuntil.tables import TallyRow, read_tallies, write_tallies
from passuntil.tally import Tally

# isort: split
# Measurement: bought precision, looks, allocation, plans, resampling.
from passuntil import gbas, sequences
from passuntil.allocation import Allocation, Rounds
from passuntil.bootstrap import BootstrapResult, paired_bootstrap
from passuntil.gbas import GammaEstimate, gamma_estimate, passes_needed
from passuntil.planning import BetaPrior, Plan
from passuntil.report import TallyReport, tally_report
from passuntil.rules import AdaptiveEstimate, DatasetPrecision, RelativeError

# isort: split
# Laws and forecasts.
from passuntil.deviations import DeviationPrior, Deviations, deviations_of, pool_deviations
from passuntil.instance_likelihood import InstanceBootstrap, InstanceLikelihood
from passuntil.instance_ml import InstanceML, instance_ml
from passuntil.instance_ols import InstanceOLS
from passuntil.loss_assisted import LossAssisted
from passuntil.loss_law import LossFit, LossForecast, LossLaw
from passuntil.loss_table import read_losses

# isort: split
# Growth: classes of curvature and circuits.
from passuntil.circuits import CircuitComparison, CurveFit, compare_circuits
from passuntil.growth import GrowthResult, growth_class, pooled_noise

__all__ = [
    "DatasetEstimate",
    "DatasetOLS",
    "FixedDraws",
    "Forecast",
    "Interval",
    "PassUntilError",
    "ScalingLaw",
    "SeriesForecast",
    "StoppingRule",
    "Tally",
    "TallyRow",
    "UntilPasses",
    "dataset_estimate",
    "estimates",
    "forecast",
    "forecast_tallies",
    "intervals",
    "read_tallies",
    "rule_from_dict",
    "write_tallies",
]
__all__ += [
    "AdaptiveEstimate",
    "Allocation",
    "BetaPrior",
    "BootstrapResult",
    "DatasetPrecision",
    "GammaEstimate",
    "Plan",
    "RelativeError",
    "Rounds",
    "TallyReport",
    "gamma_estimate",
    "gbas",
    "paired_bootstrap",
    "passes_needed",
    "sequences",
    "tally_report",
]
__all__ += [
    "DeviationPrior",
    "Deviations",
    "InstanceBootstrap",
    "InstanceLikelihood",
    "InstanceML",
    "InstanceOLS",
    "LossAssisted",
    "LossFit",
    "LossForecast",
    "LossLaw",
    "deviations_of",
    "instance_ml",
    "pool_deviations",
    "read_losses",
]
__all__ += [
    "CircuitComparison",
    "CurveFit",
    "GrowthResult",
    "compare_circuits",
    "growth_class",
    "pooled_noise",
]
