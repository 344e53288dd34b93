"""Task scaling laws: from pass probabilities at some sizes to the pass probability at another.

A module a law. `DatasetOLS` fits the task's mean, `InstanceOLS` and `InstanceLikelihood` every instance,
`LossAssisted` goes by way of the loss; `deviations` says how far the models of a series are off their law.
"""

from typing import TYPE_CHECKING

from passuntil._faces import lazily

if TYPE_CHECKING:
    from passuntil.laws._resampling import InstanceBootstrap
    from passuntil.laws.base import Forecast, ScalingLaw
    from passuntil.laws.dataset_ols import DatasetOLS
    from passuntil.laws.deviation_prior import DeviationPrior
    from passuntil.laws.deviations import Deviations, deviations_of, pool_deviations
    from passuntil.laws.instance_likelihood import InstanceLikelihood
    from passuntil.laws.instance_ols import InstanceOLS
    from passuntil.laws.loss_assisted import LossAssisted
    from passuntil.laws.loss_fit import LossFit, fit_loss
    from passuntil.laws.loss_law import LossForecast, LossLaw
    from passuntil.laws.loss_table import read_losses
    from passuntil.laws.separate_instances import InstanceML, instance_ml

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
