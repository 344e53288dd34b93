"""Speed of instance-level fits: 164 instances x 7 sizes with 1,000 bootstrap replicates, on one core.

    python benchmarks/statistics/instance_fit_speed.py [--seed 0] [--json] [--quick]

Ours refits everything in each replicate: mu, Sigma, sigma, tau, the models' deviations and all instances.
The loop that it is held against does less: for each instance of each replicate one `scipy.optimize.minimize`
(BFGS with the analytic gradient) of the same penalised likelihood, with mu, Sigma and the deviations given.
It is timed on a part of the replicates in the same run and scaled up. Seconds of processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.statistics.simulation import draw_counts, lawful_population
from passuntil.laws import InstanceLikelihood

SIZES = np.array([0.036, 0.109, 0.241, 0.499, 0.892, 1.542, 2.45])
Array = NDArray[np.float64]


def one_instance(
    start: Array, draws: Array, passes: Array, x: Array, offset: Array, mean: Array, precision: Array
) -> Array:
    """Mode of one instance's posterior by BFGS."""

    def value(theta: Array) -> tuple[float, Array]:
        h = np.exp(np.clip(theta[0] - theta[1] * x + offset, -30.0, 6.4))
        e = np.expm1(h)
        away = theta - mean
        log_l = float(((draws - passes) * (np.log(e) - h) - passes * h).sum())
        slope = (draws - passes) * h / e - passes * h
        gradient = np.array([slope.sum(), -(slope * x).sum()]) - precision @ away
        return -log_l + 0.5 * float(away @ precision @ away), -gradient

    return np.asarray(minimize(value, start, jac=True, method="BFGS").x)


def measure(seed: int, replicates: int, part: int) -> dict[str, Any]:
    """Seconds of processor time of both, and how far their instance fits are apart."""
    generator = np.random.default_rng(seed)
    p, _, _ = lawful_population(generator, SIZES, 164)
    draws, passes = draw_counts(generator, p, r=5, floor=64, cap=10_000)
    n, s = draws.astype(float), passes.astype(float)
    law = InstanceLikelihood(seed=seed).fit(SIZES, n, s)
    began = time.process_time()
    bootstrap = law.bootstrap(replicates, n_params=4.9)
    ours = time.process_time() - began

    plain = InstanceLikelihood(seed=seed, overdispersion=False, deviation=None).fit(SIZES, n, s)
    x, precision = np.log(SIZES), np.linalg.inv(plain.covariance_)
    began = time.process_time()
    apart = 0.0
    picks = np.random.default_rng(seed + 1)
    for _ in range(part):
        for i in picks.integers(0, 164, 164):
            mode = one_instance(plain.mean_, n[i], s[i], x, np.zeros(7), plain.mean_, precision)
            apart = max(apart, float(np.abs(mode - [plain.log_c_[i], plain.alpha_[i]]).max()))
    loop = (time.process_time() - began) * replicates / part
    return {
        "replicates": replicates,
        "seconds": ours,
        "loop_seconds": loop,
        "loop_timed_replicates": part,
        "times_faster": loop / ours,
        "largest_difference": apart,
        "tau": law.tau_,
        "bootstrap_sd_alpha": float(bootstrap.mean[:, 1].std()),
        "seed": seed,
    }


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="100 replicates, 2 of them in the loop")
    arguments = parser.parse_args()
    figures = measure(arguments.seed, *((100, 2) if arguments.quick else (1000, 20)))
    if arguments.json:
        print(json.dumps(figures))
        return 0
    print(
        f"{figures['replicates']} replicates of 164 x 7: {figures['seconds']:.1f} s; scipy.optimize loop "
        f"{figures['loop_seconds']:.0f} s (timed on {figures['loop_timed_replicates']}), "
        f"{figures['times_faster']:.0f} times; modes differ by at most {figures['largest_difference']:.1e}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
