"""How an ability grows with size: by the law, below it, above it, both, or nobody can tell yet.

The paper [1]_ looks at F(N) = log(-log PU(N)) of the task mean (Definition 1): straight in log N is growth by
the law, convex is sub-scaling, concave is accelerated. The mean of instances that all obey the law but differ
in difficulty is concave by itself, so here the question is put to the instances:

    null: eta_ij = log c_i - alpha_i log N_j + delta_j,   delta_j ~ N(0, sigma^2)

and curvature is what all instances share beyond that (docs/method-growth.md).

.. [1] Hu et al., "Predicting Emergent Abilities with Infinite Resolution Evaluation", arXiv 2310.03262.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from passuntil._checks import positive, real, whole, whole_or_none
from passuntil.errors import PassUntilError
from passuntil.growth._bending import bend, line
from passuntil.growth._input import counts, known_noise, share, too_thin
from passuntil.growth._instances import fit_shared
from passuntil.growth._null import Design, Null, standing_for_all
from passuntil.growth._reason import reason
from passuntil.growth._statistics import SHARES, disagreement, own_bends, sign_change, two_sided
from passuntil.growth.growth_result import GrowthResult

#: An exponent below this counts as this much when the reference effect is made of it.
LEAST_EXPONENT = 0.1


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

    Data too thin for a verdict are no error: the class is "undetermined" and says why.

    Parameters
    ----------
    n_params : array_like of float, shape (J,)
        Sizes of the models, finite and above 0, in any unit.
    draws : array_like of int, shape (J, I)
        A row a model and a column an instance; NaN or masked where a cell was not measured.
    passes : array_like of int, shape (J, I)
        At most the draws.
    r : int, optional
        Passes at which every cell stopped, from 1. The bootstrap repeats the stopping rule; without r it
        repeats the draws as they are.
    floor : int, optional
        Least draws of that rule, from 0.
    cap : int, optional
        Most draws of that rule, from 1; None for no cap.
    alpha : float, optional
        Level of the test of the null, in (0, 1).
    factor : float, optional
        Change of the local exponent over the range that one wants to be able to see, above 1.
    least_power : float, optional
        Below it, in (0, 1), a test that saw nothing says "undetermined".
    noise : (float, float), optional
        (sigma, degrees of freedom) of the models' deviations where other tasks of the series tell them (see
        `pooled_noise`).
    cell_noise : float, optional
        Standard deviation of single cells on F, at least 0 (`InstanceLikelihood.tau_`), which the simulated
        counts then have too.
    replicates : int, optional
        Of the parametric bootstrap, from 19; at least 99 for a level of 5%.
    calibration : {"counts", "curve"}, optional
        "counts" simulates the counts of populations under the null and fits each again; "curve" only draws
        the shared curve from its normal distribution there, is some twenty times as fast, and leaves the
        disagreement of instances untested.
    seed : int, optional
        Of the bootstrap, from 0.

    Returns
    -------
    GrowthResult
        The class, its p value, and the figures they rest on.

    Raises
    ------
    PassUntilError
        For counts that cannot be, shapes that do not fit and options out of range.

    Notes
    -----
    The null is eta_ij = log c_i - alpha_i log N_j + delta_j with delta_j ~ N(0, sigma^2) and
    eta_ij = log(-log p_ij), where every instance i has a law of its own and model j a deviation that its
    instances share. With m_j the shared curve and x = log N, the curvature is b2 of

        m_j = b0 + b1 x_j + b2 h(x_j) + delta_j,

    h the square or a hinge. Three tests share the level: the curvature (.8), its change of sign and the
    disagreement of instances (.1 each); `p_value` is the least of their weighted p values.

    References
    ----------
    .. [1] Hu et al., "Predicting Emergent Abilities with Infinite Resolution Evaluation", arXiv 2310.03262,
       Definition 1.

    Examples
    --------
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
    design = Design(whole_or_none("r", r, least=1), whole("floor", floor), whole_or_none("cap", cap, least=1))
    known = known_noise(noise)
    cell_noise = real("cell_noise", cell_noise)
    if cell_noise < 0:
        raise PassUntilError(f"cell_noise must be at least 0, not {cell_noise:g}")
    sizes, n, s = counts(n_params, draws, passes, design.cap)
    untested = GrowthResult(
        label="undetermined",
        p_value=None,
        reason=too_thin(sizes, n, s),
        alpha=alpha,
        factor=factor,
        sizes=int(np.unique(sizes).size),
        instances=int(n.shape[0]),
        replicates=replicates,
        seed=seed,
        tests={},
    )
    if untested.reason:
        return untested

    x = np.log(sizes)
    x = x - x.mean()
    fit = fit_shared(x, n[None], s[None])
    shared = bend(x, fit.curve, fit.curve_cov, known)
    coefficients, straight = line(x, fit.curve, fit.curve_cov, shared.noise)
    own = own_bends(x, n, s, fit, shared)
    some = standing_for_all(fit)
    tested = own if some.size == len(n) else own_bends(x, n[some], s[some], fit.of(some), shared)
    generator = np.random.default_rng(seed)
    null = Null(x, fit, straight[0], float(shared.noise[0]), known)
    replicated = (
        null.bootstrap(generator, n, design, replicates=replicates, cell_noise=cell_noise)
        if calibration == "counts"
        else null.normal_curves(generator, replicates=replicates)
    )
    largest = float(shared.largest[0])
    tests = {
        "curvature": two_sided(largest, replicated.bends.largest),
        "sign_change": sign_change(x, fit, shared.noise),
        "disagreement": disagreement(float(tested.disagreement[0]), replicated.disagreements),
    }
    p_value = min(1.0, *(p / SHARES[name] for name, p in tests.items()))

    exponent = -float(coefficients[0, 1])
    effect = _reference(exponent, factor, float(np.ptp(x)))
    low_t, high_t = np.quantile(replicated.bends.t, [alpha / 2, 1 - alpha / 2])
    power = null.power(replicated, effect=effect, level=alpha * SHARES["curvature"])
    value, error = float(shared.value[0]), float(shared.error[0])
    result = replace(
        untested,
        label=_label(largest, tests, p_value, alpha=alpha, seen=power >= least_power),
        p_value=p_value,
        tests=tests,
        curvature=2 * value,
        low=2 * (value - float(high_t) * error),
        high=2 * (value - float(low_t) * error),
        exponent=exponent,
        noise=float(np.sqrt(shared.noise[0])),
        noise_df=float(shared.df),
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
    return replace(result, reason=reason(result, least_power))


def pooled_noise(results: Sequence[GrowthResult]) -> tuple[float, float]:
    """Pool the noise of a series over several of its tasks, for `growth_class(noise=...)`.

    Tasks of one series share their models, and with them part of the deviations, so the degrees of freedom
    are those of the richest task, not the sum.

    Parameters
    ----------
    results : sequence of GrowthResult
        Of tasks of one series.

    Returns
    -------
    sigma : float
        Root of the mean of sigma^2, weighted by degrees of freedom.
    df : float
        Its degrees of freedom.

    Raises
    ------
    PassUntilError
        If no task was fitted.
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


def _label(t: float, tests: dict[str, float], p_value: float, *, alpha: float, seen: bool) -> str:
    """The class; t: of the curvature, with its sign; seen: whether a bend would have been."""
    if p_value > alpha:
        return "scaling_law" if seen else "undetermined"
    if min(tests[name] / SHARES[name] for name in ("sign_change", "disagreement")) <= alpha:
        return "mixed"
    return "accelerated" if t < 0 else "sub_scaling"
