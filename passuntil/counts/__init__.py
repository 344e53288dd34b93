"""Counts: what was drawn of one instance or of a whole task, and what that says of pass probabilities.

`Tally` holds the counts of an instance under its design; `estimates` and `intervals` work on arrays of them,
`sequences` holds at every look, `gbas` buys a relative error. `dataset_estimate` is the mean over a task.
"""

from typing import TYPE_CHECKING

from passuntil._faces import lazily

if TYPE_CHECKING:
    from passuntil.counts import estimates, intervals, sequences
    from passuntil.counts.aggregate import DatasetEstimate, dataset_estimate
    from passuntil.counts.bootstrap import BootstrapResult, paired_bootstrap
    from passuntil.counts.gbas import GammaEstimate, gamma_estimate, passes_needed
    from passuntil.counts.intervals import Interval
    from passuntil.counts.report import TallyReport, tally_report
    from passuntil.counts.tables import read_tallies, write_tallies
    from passuntil.counts.tally import Tally
    from passuntil.counts.tally_row import TallyRow

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
