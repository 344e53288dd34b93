"""How an ability grows with size: by the law, below it, above it, both, or nobody can tell yet.

The paper (arXiv 2310.03262, Definition 1) looks at F(N) = log(-log PU(N)) of the task mean: straight in log N
is growth by the law, convex is sub-scaling, concave is accelerated. The mean of instances that all obey the
law but differ in difficulty is concave by itself, so here the question is put to the instances:

    null: eta_ij = log c_i - alpha_i log N_j + delta_j,   delta_j ~ N(0, sigma^2)

and curvature is what all instances share beyond that (docs/method-growth.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from passuntil._checks import positive, real, whole, whole_or_none
from passuntil.errors import PassUntilError
from passuntil.growth._bending import bend, line
from passuntil.growth._input import counts, known_noise, share, too_thin
from passuntil.growth._instances import fit_shared
from passuntil.growth._null import (
    bootstrap,
    disagreement,
    normal_curves,
    power_at,
    sign_change,
    signed,
    two_sided,
)

#: The names of the classes, as every caller and the JSON shape have them.
CLASSES = ("scaling_law", "sub_scaling", "accelerated", "mixed", "undetermined")
#: How alpha is shared out: the curvature common to all, its change of sign, instances that disagree.
SHARES = {"curvature": 0.8, "sign_change": 0.1, "disagreement": 0.1}
#: An exponent below this counts as this much when the reference effect is made of it.
LEAST_EXPONENT = 0.1


@dataclass(frozen=True, slots=True)
class GrowthResult:
    """Class of growth with what it rests on.

    label: one of `CLASSES`. p_value: of the null that every instance obeys the law (None where nothing was
    tested); below `alpha` it is rejected. tests: the p values it is made of. curvature, low, high: F'' that
    all instances share, per unit of log N squared, with its interval at level 1 - alpha; negative is
    concave. exponent: mean alpha. noise: sigma of the models about the law, on F. power: probability to
    reject, at this design, if the curvature were `effect` in size, the one at which the local exponent
    changes by the factor `factor` from the smallest size to the largest. concave, convex: instances whose
    own curvature is significant at 5% (2.5% each are expected by chance). curve: (size, F, standard error)
    of the shared curve, the law of a middling instance. evidence: the reason in words.
    """

    label: str
    p_value: float | None
    evidence: str
    alpha: float
    factor: float
    sizes: int
    instances: int
    replicates: int
    seed: int
    tests: dict[str, float]
    curvature: float | None = None
    low: float | None = None
    high: float | None = None
    exponent: float | None = None
    noise: float | None = None
    noise_df: float = 0.0
    power: float | None = None
    effect: float | None = None
    concave: int = 0
    convex: int = 0
    curve: tuple[tuple[float, float, float], ...] = ()

    def __str__(self) -> str:
        return self.table()

    def table(self) -> str:
        """The result as text: the class with its reason, and the shared curve, a line a model."""
        lines = [f"{self.label}: {self.evidence}"]
        if self.curve:
            lines.append(f"{'size':>12} {'F':>8} {'se':>7} {'middling PU':>12}")
            lines += [f"{n:>12.4g} {f:>8.3f} {se:>7.3f} {exp(-exp(f)):>12.4g}" for n, f, se in self.curve]
        return "\n".join(lines)

    @property
    def reason(self) -> str:
        """The evidence, under the name that forecasts use."""
        return self.evidence

    def as_dict(self) -> dict[str, Any]:
        """The result in the JSON shape: class, p_value and what they rest on; no NaN."""
        return {
            "class": self.label,
            "p_value": self.p_value,
            "reason": self.evidence,
            "alpha": self.alpha,
            "tests": dict(self.tests),
            "curvature": self.curvature,
            "curvature_low": self.low,
            "curvature_high": self.high,
            "level": 1.0 - self.alpha,
            "exponent": self.exponent,
            "noise": self.noise,
            "power": self.power,
            "effect": self.effect,
            "factor": self.factor,
            "concave_instances": self.concave,
            "convex_instances": self.convex,
            "instances": self.instances,
            "sizes": self.sizes,
            "replicates": self.replicates,
            "seed": self.seed,
            "curve": [
                {"n_params": int(n) if n.is_integer() else n, "f": f, "se": se} for n, f, se in self.curve
            ],
        }


def growth_class(
    n_params: ArrayLike,
    draws: ArrayLike,
    passes: ArrayLike,
    *,
    r: int | None = None,
    floor: int = 0,
    cap: int | None = None,
    alpha: float = 0.05,
    factor: float = 2.0,
    least_power: float = 0.5,
    noise: tuple[float, float] | None = None,
    cell_noise: float = 0.0,
    replicates: int = 200,
    calibration: str = "counts",
    seed: int = 0,
) -> GrowthResult:
    """Classify the growth of a task from the counts of a series of models.

    n_params: sizes > 0, shape (J,). draws, passes: whole numbers, shape (J, I), a row a model and a column an
    instance; NaN or masked where a cell was not measured. r, floor, cap: the stopping rule of all cells,
    which the bootstrap repeats; without r it repeats the draws as they are. alpha: level of the test of the
    null. factor: change of the local exponent over the range that one wants to be able to see. least_power:
    below it a test that found nothing says "undetermined". noise: (sigma, degrees of freedom) of the models'
    deviations where other tasks of the series tell them (see `pooled_noise`). cell_noise: standard deviation
    of single cells on F (`InstanceLikelihood.tau_`), which the simulated counts then have too. replicates:
    of the parametric bootstrap, at least 99 for a level of 5%. calibration: "counts" simulates the counts of
    populations under the null and fits each again; "curve" only draws the shared curve from its normal
    distribution there, is some twenty times as fast, and leaves the disagreement of instances untested.

    Raises PassUntilError for counts that cannot be, for shapes that do not fit and for options out of range.
    Data too thin for a verdict are no error: the class is "undetermined" and says why.

    >>> sizes = np.array([1e6, 2e6, 5e6, 1e7, 3e7, 1e8])
    >>> p = np.exp(-np.array([30.0, 60.0, 90.0, 200.0]) * sizes[:, None] ** -0.25)
    >>> result = growth_class(sizes, np.full(p.shape, 20000), np.round(20000 * p), replicates=99)
    >>> result.label, result.sizes, result.instances
    ('scaling_law', 6, 4)
    """
    alpha, least_power = share("alpha", alpha), share("least_power", least_power)
    factor = positive("factor", factor)
    if factor <= 1:
        raise PassUntilError(f"factor must be above 1, not {factor:g}; 2 means that the exponent doubles")
    if calibration not in ("counts", "curve"):
        raise PassUntilError(f"calibration must be 'counts' or 'curve', not {calibration!r}")
    replicates, seed = whole("replicates", replicates, least=19), whole("seed", seed)
    r, floor, cap = whole_or_none("r", r, least=1), whole("floor", floor), whole_or_none("cap", cap, least=1)
    sigma, noise_df = known_noise(noise)
    cell_noise = real("cell_noise", cell_noise)
    if cell_noise < 0:
        raise PassUntilError(f"cell_noise must be at least 0, not {cell_noise:g}")
    sizes, n, s = counts(n_params, draws, passes, cap)
    blank = GrowthResult(
        label="undetermined",
        p_value=None,
        evidence=too_thin(sizes, n, s),
        alpha=alpha,
        factor=factor,
        sizes=int(np.unique(sizes).size),
        instances=int(n.shape[0]),
        replicates=replicates,
        seed=seed,
        tests={},
    )
    if blank.evidence:
        return blank

    x = np.log(sizes)
    x = x - x.mean()
    fit = fit_shared(x, n[None], s[None])
    found = bend(x, fit.curve, fit.curve_cov, noise=sigma, noise_df=noise_df)
    coefficients, null = line(x, fit.curve, fit.curve_cov, found.noise)
    own = signed(x, n, s, fit, found)
    generator, spread = np.random.default_rng(seed), float(found.noise[0])
    starred = (
        bootstrap(
            generator, x, n, fit, null[0], spread, (r, floor, cap), sigma, noise_df, replicates, cell_noise
        )
        if calibration == "counts"
        else normal_curves(generator, x, fit, null[0], spread, sigma, noise_df, replicates)
    )
    tests = {
        "curvature": two_sided(float(found.largest[0]), starred.bends.largest),
        "sign_change": sign_change(x, fit, found.noise),
        "disagreement": disagreement(float(own.disagreement[0]), starred.disagreements),
    }
    p_value = min(1.0, *(p / SHARES[name] for name, p in tests.items()))

    exponent = -float(coefficients[0, 1])
    effect = _reference(exponent, factor, float(np.ptp(x)))
    low_t, high_t = np.quantile(starred.bends.t, [alpha / 2, 1 - alpha / 2])
    power = power_at(x, starred, effect, alpha * SHARES["curvature"], sigma, noise_df)
    value, error = float(found.value[0]), float(found.error[0])
    label = _label(float(found.largest[0]), tests, p_value, alpha, power, least_power)
    result = replace(
        blank,
        label=label,
        p_value=p_value,
        tests=tests,
        curvature=2 * value,
        low=2 * (value - float(high_t) * error),
        high=2 * (value - float(low_t) * error),
        exponent=exponent,
        noise=float(np.sqrt(found.noise[0])),
        noise_df=float(found.df),
        power=power,
        effect=effect,
        concave=int(own.concave[0]),
        convex=int(own.convex[0]),
        curve=tuple(
            zip(
                sizes.tolist(),
                fit.curve[0].tolist(),
                np.sqrt(np.diagonal(fit.curve_cov[0])).tolist(),
                strict=True,
            )
        ),
    )
    return _worded(result, least_power)


def pooled_noise(results: list[GrowthResult] | tuple[GrowthResult, ...]) -> tuple[float, float]:
    """(sigma, degrees of freedom) of a series from several of its tasks, for `growth_class(noise=...)`.

    The mean of sigma^2, weighted by degrees of freedom. Tasks of one series share their models, and with
    them part of the deviations, so the degrees of freedom are those of the richest task, not the sum.
    Raises PassUntilError if no task was fitted.
    """
    usable = [result for result in results if result.noise is not None and result.noise_df > 0]
    if not usable:
        raise PassUntilError("no result carries an estimate of the noise; give tasks with four or more sizes")
    weights = np.array([result.noise_df for result in usable])
    variances = np.array([float(result.noise or 0.0) ** 2 for result in usable])
    return float(np.sqrt((weights * variances).sum() / weights.sum())), float(weights.max())


def _reference(exponent: float, factor: float, span: float) -> float:
    """|F''| at which the local exponent changes by `factor` over the range, its mean unchanged."""
    return 2 * (factor - 1) / (factor + 1) * max(abs(exponent), LEAST_EXPONENT) / span


def _label(
    t: float, tests: dict[str, float], p_value: float, alpha: float, power: float, least_power: float
) -> str:
    if p_value > alpha:
        return "scaling_law" if power >= least_power else "undetermined"
    if min(tests[name] / SHARES[name] for name in ("sign_change", "disagreement")) <= alpha:
        return "mixed"
    return "accelerated" if t < 0 else "sub_scaling"


def _worded(result: GrowthResult, least_power: float) -> GrowthResult:
    """The result with its evidence in words."""
    shape = "concave" if (result.curvature or 0.0) < 0 else "convex"
    bent = (
        f"F'' shared by {result.instances} instances is {result.curvature:+.4f} "
        f"[{result.low:+.4f}, {result.high:+.4f}] over {result.sizes} sizes, models scatter by "
        f"{result.noise:.3f} about the law"
    )
    can = (
        f"power {result.power:.0%} to see the exponent change {result.factor:g}-fold over the range "
        f"(|F''| = {result.effect:.4f})"
    )
    verdict = {
        "accelerated": f"instances bend beyond their own laws, {shape}: p = {result.p_value:.3g}",
        "sub_scaling": f"instances bend beyond their own laws, {shape}: p = {result.p_value:.3g}",
        "mixed": _mixed_words(result),
        "scaling_law": f"no curvature beyond the instances' own laws: p = {result.p_value:.3g}",
        "undetermined": (
            f"nothing significant (p = {result.p_value:.3g}), but the power is below {least_power:.0%}: more "
            "sizes or more models a size would tell"
        ),
    }[result.label]
    return replace(result, evidence=f"{verdict}; {bent}; {can}")


def _mixed_words(result: GrowthResult) -> str:
    found = []
    if result.tests["sign_change"] / SHARES["sign_change"] <= result.alpha:
        found.append("the shared curve changes the sign of its curvature")
    if result.tests["disagreement"] / SHARES["disagreement"] <= result.alpha:
        found.append(
            f"instances bend both ways ({result.concave} concave and {result.convex} convex on their own)"
        )
    return " and ".join(found) + f": p = {result.p_value:.3g}"
