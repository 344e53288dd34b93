"""PassUntil: pass probabilities far below what a benchmark shows, and what they say of larger models.

Count the passes of one instance with a stopping rule, estimate its pass probability without bias and with an
exact interval, average over a task, fit a task scaling law over model sizes, forecast a larger model. The rooms
are `counts`, `rules`, `laws`, `growth` and `forecasting`; what a newcomer needs stands here too.

The idea of drawing until r passes come, and the law, are of Hu et al., "Predicting Emergent Abilities with
Infinite Resolution Evaluation" (arXiv 2310.03262). The estimates and intervals here correct what it leaves
open.

>>> from passuntil import UntilPasses
>>> rule = UntilPasses(r=2, cap=1000)
>>> tally = rule.settle([0, 0, 1, 0, 0, 0, 0, 1, 0, 1])
>>> tally.stopped_at, round(tally.estimate(), 4)
(8, 0.1429)
"""

from typing import TYPE_CHECKING

from passuntil._faces import lazily

if TYPE_CHECKING:
    from passuntil.counts import (
        DatasetEstimate,
        Interval,
        Tally,
        TallyRow,
        dataset_estimate,
        read_tallies,
        write_tallies,
    )
    from passuntil.errors import PassUntilError
    from passuntil.forecasting import SeriesForecast, forecast_tallies
    from passuntil.rules import DatasetPrecision, FixedDraws, RelativeError, UntilPasses, rule_from_dict

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
