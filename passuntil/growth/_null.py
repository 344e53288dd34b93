"""The null of growth: populations whose instances obey the law, simulated, and what the statistics are there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from passuntil._arrays import Floats
from passuntil._samples import LARGE_CELLS, evenly
from passuntil.growth._bending import Bend, KnownNoise, bend
from passuntil.growth._instances import SharedFit, fit_shared, simulate
from passuntil.growth._statistics import own_bends

#: Cells of one batch of replicates; larger batches leave the processor's cache.
BATCH_CELLS = 250_000


@dataclass(frozen=True, slots=True)
class Design:
    """The stopping rule of all cells, which the bootstrap repeats; without r it repeats the draws as they are."""

    r: int | None
    floor: int
    cap: int | None


@dataclass(frozen=True, slots=True)
class Replicates:
    """Populations under the null: curves (R, J), their covariances, and the statistics."""

    curves: Floats
    covs: Floats
    bends: Bend
    disagreements: Floats


@dataclass(frozen=True, slots=True)
class Null:
    """The law as fitted to one series: a straight shared curve, and models that scatter about it.

    x: centred log sizes, shape (J,). fit: of the series, one replicate, for the spread of its instances.
    line: the shared curve under the null, (J,). variance: sigma^2 of the models' deviations. known: where
    other tasks tell it.
    """

    x: Floats
    fit: SharedFit
    line: Floats
    variance: float
    known: KnownNoise | None = None

    def bootstrap(
        self,
        generator: np.random.Generator,
        draws: Floats,
        design: Design,
        *,
        replicates: int,
        cell_noise: float = 0.0,
    ) -> Replicates:
        """Statistics of populations that obey the null, with the spread of instances that the data show.

        draws: (I, J). cell_noise: standard deviation of each cell's own deviation, on F. The fit knows of none;
        that it takes such noise for a bend, where cells stop at few passes, is then part of the null. Above
        `LARGE_CELLS` a population has instances that stand for all: the errors of its curve are scaled to those of
        all, its disagreement is that of these instances.
        """
        x, some = self.x, standing_for_all(self.fit)
        fit, draws, share = self.fit.of(some), draws[some], some.size / len(draws)
        limit = None if design.cap is None else np.full(draws.shape, float(design.cap))
        root = np.linalg.cholesky(fit.own_cov[0] + 1e-12 * np.eye(2))
        z = np.stack([np.ones_like(x), x], axis=1)
        truths: list[Floats] = []
        curves: list[Floats] = []
        covs: list[Floats] = []
        disagreements: list[Floats] = []
        size = max(1, BATCH_CELLS // draws.size)
        for begin in range(0, replicates, size):
            count = min(size, replicates - begin)
            normal = generator.standard_normal((count, len(draws), 2))
            own = fit.own + np.einsum("ikl,ril->rik", root, normal)
            curve = self.line + np.sqrt(self.variance) * generator.standard_normal((count, x.size))
            eta = curve[:, None] + own @ z.T
            if cell_noise:
                eta = eta + cell_noise * generator.standard_normal(eta.shape)
            n, s = simulate(generator, eta, draws, design.r, design.floor, limit)
            again = fit_shared(
                x,
                n,
                s,
                start=(self.line, fit.own[0], fit.omega[0], fit.own_cov[0]),
                iterations=10,
                tolerance=2e-3,
            )
            truths.append(curve)
            curves.append(again.curve)
            covs.append(again.curve_cov)
            bent = bend(x, again.curve, again.curve_cov, self.known)
            disagreements.append(own_bends(x, n, s, again, bent).disagreement)
        fitted, errors = np.concatenate(curves), np.concatenate(covs)
        if share < 1.0:
            fitted, errors = _of_all(np.concatenate(truths), fitted, share), share * errors
        return self._measured(fitted, errors, np.concatenate(disagreements))

    def normal_curves(self, generator: np.random.Generator, *, replicates: int) -> Replicates:
        """As `bootstrap`, but with curves drawn from N(line, V + sigma^2) instead of fitted to counts."""
        cov = self.fit.curve_cov[0]
        root = np.linalg.cholesky(cov + self.variance * np.eye(self.x.size))
        curves = self.line + generator.standard_normal((replicates, self.x.size)) @ root.T
        return self._measured(
            curves, np.broadcast_to(cov, (replicates, self.x.size, self.x.size)), np.zeros(0)
        )

    def power(self, replicates: Replicates, *, effect: float, level: float) -> float:
        """Share of the replicates that would be rejected if |F''| were `effect`; mean over both signs.

        The curvature is added to the replicates' curves, whose precision is kept as it is under the null.
        """
        low, high = np.quantile(replicates.bends.largest, [level / 2, 1 - level / 2])
        shares = []
        for sign in (-1.0, 1.0):
            bent = replicates.curves + sign * effect / 2 * self.x**2
            t = bend(self.x, bent, replicates.covs, self.known).largest
            shares.append(float(((t < low) | (t > high)).mean()))
        return sum(shares) / 2

    def _measured(self, curves: Floats, covs: Floats, disagreements: Floats) -> Replicates:
        return Replicates(curves, covs, bend(self.x, curves, covs, self.known), disagreements)


def standing_for_all(fit: SharedFit) -> NDArray[np.intp]:
    """The instances that a simulated population has: all, or above `LARGE_CELLS` some that stand for all."""
    instances, models = fit.own.shape[1], fit.x.size
    if instances * models <= LARGE_CELLS:
        return np.arange(instances)
    return np.sort(evenly(fit.own[0, :, 0], LARGE_CELLS // (2 * models)))


def _of_all(truths: Floats, fitted: Floats, share: float) -> Floats:
    """Curves fitted to a share of the instances, as they would be of all: their errors shrink, their bias stays."""
    error = fitted - truths
    bias = error.mean(axis=0)
    return np.asarray(truths + bias + np.sqrt(share) * (error - bias))
