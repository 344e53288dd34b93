"""The likelihood fit of all cells from nothing: first without scatter of single cells, then with it."""

from __future__ import annotations

import numpy as np

from passuntil._samples import LARGE_CELLS, evenly
from passuntil.laws import _empirical_bayes as bayes
from passuntil.laws._inputs import Cells

ROUNDS, TOLERANCE, WARM_TOLERANCE = 400, 1e-4, 0.03


def fitted(cells: Cells, guess: float, *, with_deviation: bool, with_tau: bool) -> bayes.Fit:
    """The fit; above `LARGE_CELLS` it starts where that of some of the instances ends, which saves most rounds."""
    z, (m, n) = cells.z, cells.draws.shape
    fit = bayes.start(z, cells.draws, cells.passes, guess)
    tau2, last = np.array([bayes.FIRST_TAU2]), TOLERANCE
    if m * n > LARGE_CELLS:
        some = evenly(cells.passes.sum(1) / np.maximum(cells.draws.sum(1), 1.0), LARGE_CELLS // (2 * n))
        near = fitted(cells.of(some), guess, with_deviation=with_deviation, with_tau=with_tau)
        fit.mu, fit.sigma, fit.delta, fit.deviation2 = near.mu, near.sigma, near.delta, near.deviation2
        fit.theta[:] = near.mu[:, None, :]
        tau2, last = near.tau2, TOLERANCE / 5.0  # so many instances tell more, so that the last steps count
    # First without tau: far from their place, instances would take their own misfit for scatter.
    for scattered, tolerance in ((False, WARM_TOLERANCE), (with_tau, last)):
        fit.tau2[:] = tau2
        bayes.run(
            fit,
            z,
            cells.draws,
            cells.passes,
            guess,
            np.ones((1, m)),
            with_deviation=with_deviation,
            with_tau=scattered,
            rounds=ROUNDS,
            tolerance=tolerance,
        )
    return fit
