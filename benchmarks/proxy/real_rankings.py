"""Rankings of real configurations by every selector and every control, against the truth at the large scale.

    python benchmarks/proxy/real_rankings.py [--seed 0] [--json] [--quick] [--data NAME ...]

For every problem (a target, a set of candidates; `real_data.py`) each method scores the candidates, and is judged
by decision accuracy: the share of pairs ordered as the truth orders them. A data set's figure is the mean over its
problems. Two intervals stand beside it. The permutation interval is what methods without any skill would reach:
truths are dealt out anew among the configurations, for all targets, sizes and splits at once, since these share them.
The paired interval resamples the targets: how far recommended and another method differ over tasks like these.

The recommendation was fixed on the first three data sets before the truths of the other three were loaded
(docs/log.md).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from real_data import DATA, DEVELOPED_ON, HELD_OUT, Problem

from proxy.ranking.controls import control_scores
from proxy.ranking.truth import compare_with_truth, decision_accuracies
from proxy.weights import (
    DecisionSelector,
    PaperSelector,
    PooledSelector,
    Selector,
    ShrinkageSelector,
    recommend,
    reliabilities,
)
from proxy.weights.base import standardised

Floats = NDArray[np.float64]
PERMUTATIONS, RESAMPLES, RANDOM_WEIGHTS = 1000, 2000, 200


def methods(problem: Problem, seed: int) -> dict[str, Floats]:
    """Scores of the candidates by every selector and control."""
    h = reliabilities(problem.scores, problem.noise)
    selectors: dict[str, Selector] = {
        "paper": PaperSelector(robustness=problem.robustness),
        "paper, raw relevance": PaperSelector(robustness=problem.robustness, normalise=False, phi="ratio"),
        "shrinkage": ShrinkageSelector(),
        "decision": DecisionSelector(seed=seed),
        "pooled": PooledSelector(),
    }
    scores = {
        name: one.fit(problem.panel, problem.panel_target, reliability=h).predict(problem.scores)
        for name, one in selectors.items()
    }
    own, own_noise = problem.own, problem.own_noise
    if problem.forecast is not None:
        own, own_noise = problem.forecast, problem.forecast_noise
    fit = recommend(
        problem.panel, problem.panel_target, problem.scores, noise=problem.noise, own=own,
        own_noise=own_noise, loss=problem.loss, seed=seed,
    )  # fmt: skip
    scores = {"recommended": fit.predict(problem.scores, own, problem.loss), **scores}
    controls = control_scores(
        problem.scores, problem.tasks, noise=problem.noise, target=problem.own, loss=problem.loss,
        forecast=problem.forecast,
    )  # fmt: skip
    scores.update({name: values for name, (values, _) in controls.items()})
    scores["uniform_raw"] = problem.scores.mean(axis=1)
    return scores


def usable(problem: Problem) -> bool:
    """Whether there is anything to learn and to judge."""
    return np.ptp(problem.truth) > 0 and np.ptp(problem.panel_target) > 0


def dealt(problems: list[Problem], scores: list[Floats], generator: np.random.Generator) -> Floats:
    """Mean decision accuracies with truths dealt out anew; the first is that of the true dealing.

    One dealing serves all problems of a pool, for they share their models: their errors are not independent.
    """
    total = np.zeros(PERMUTATIONS + 1)
    for pool in dict.fromkeys(problem.pool for problem in problems):
        own = [(p, s) for p, s in zip(problems, scores, strict=True) if p.pool == pool]
        models = sorted({model for p, _ in own for model in p.models})
        truths = {p.target: dict[str, float]() for p, _ in own}
        for p, _ in own:
            truths[p.target].update(zip(p.models, p.truth.tolist(), strict=True))
        orders = generator.permuted(np.tile(np.arange(len(models)), (PERMUTATIONS + 1, 1)), axis=1)
        orders[0] = np.arange(len(models))
        for p, s in own:
            places = [models.index(model) for model in p.models]
            known = np.array([truths[p.target][model] for model in models])
            total += decision_accuracies(known[orders[:, places]].T, s)
    return total / len(problems)


def paired(differences: dict[str, list[float]], generator: np.random.Generator) -> tuple[float, float]:
    """95% interval of the mean difference, targets resampled."""
    means = np.array([np.mean(values) for values in differences.values()])
    sizes = np.array([len(values) for values in differences.values()], dtype=np.float64)
    drawn = generator.integers(0, means.size, (RESAMPLES, means.size))
    mean = (means * sizes)[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(mean, [0.025, 0.975])
    return float(low), float(high)


def one_set(name: str, problems: list[Problem], seed: int) -> dict[str, Any]:
    """Every method's mean decision accuracy on one data set, with its intervals."""
    generator = np.random.default_rng([seed, sum(map(ord, name))])
    scored = [methods(problem, seed) for problem in problems]
    accuracy: dict[str, list[float]] = defaultdict(list)
    random, at_least = [], []
    for problem, scores in zip(problems, scored, strict=True):
        stack = np.column_stack(list(scores.values()))
        for method, value in zip(scores, decision_accuracies(stack, problem.truth), strict=True):
            accuracy[method].append(float(value))
        weights = generator.dirichlet(np.ones(len(problem.tasks)), RANDOM_WEIGHTS)
        drawn = decision_accuracies(standardised(problem.scores) @ weights.T, problem.truth)
        random.append(float(drawn.mean()))
        at_least.append(float((drawn >= accuracy["recommended"][-1] - 1e-12).mean()))
    everywhere = [method for method, values in accuracy.items() if len(values) == len(problems)]
    rows = {}
    for method in everywhere:
        by_target: dict[str, list[float]] = defaultdict(list)
        for problem, best, other in zip(problems, accuracy["recommended"], accuracy[method], strict=True):
            by_target[problem.target].append(best - other)
        low, high = paired(by_target, generator)
        rows[method] = {
            "decision_accuracy": float(np.mean(accuracy[method])),
            "recommended_ahead_by": float(np.mean(accuracy["recommended"]) - np.mean(accuracy[method])),
            "low": low,
            "high": high,
        }
    null = dealt(problems, [scores["recommended"] for scores in scored], generator)
    own, null = null[0], null[1:]
    null_low, null_high = np.quantile(null, [0.025, 0.975])
    exact = [
        compare_with_truth(scores["recommended"], problem.truth, seed=seed, permutations=2000).p_value
        for problem, scores in zip(problems, scored, strict=True)
    ]
    ratios = [problem.robustness for problem in problems if problem.robustness is not None]
    return {
        "data": name,
        "developed_on": name in DEVELOPED_ON,
        "problems": len(problems),
        "targets": len({problem.target for problem in problems}),
        "candidates": int(problems[0].truth.size),
        "methods": rows,
        "random_weights": {
            "decision_accuracy": float(np.mean(random)),
            "share_at_least_as_good": float(np.mean(at_least)),
        },
        "permutation_interval": [float(null_low), float(null_high)],
        "permutation_p": float((1 + (null >= own - 1e-12).sum()) / (1 + null.size)),
        "problems_below_p_05": int(np.sum(np.array(exact) < 0.05)),
        "median_robustness": float(np.nanmedian(np.concatenate(ratios))) if ratios else None,
    }


def main() -> int:
    """Run every data set that is there and print the tables, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="at most 20 problems of each data set")
    parser.add_argument("--data", nargs="*", default=[*DEVELOPED_ON, *HELD_OUT])
    arguments = parser.parse_args()
    started, results = time.monotonic(), []
    for name in arguments.data:
        load = {**DEVELOPED_ON, **HELD_OUT}[name]
        if name != "ladder_mixtures" and not DATA.is_dir():
            print(f"{name}: the shared data are not here ({DATA.name}); skipped", file=sys.stderr)
            continue
        problems = [problem for problem in load(arguments.seed) if usable(problem)]
        if arguments.quick and len(problems) > 20:
            problems = problems[:: -(-len(problems) // 20)]
        results.append(one_set(name, problems, arguments.seed))
    shared = [set(result["methods"]) for result in results]
    means = {
        method: float(np.mean([r["methods"][method]["decision_accuracy"] for r in results]))
        for method in results[0]["methods"]
        if all(method in one for one in shared)
    }
    seconds = time.monotonic() - started
    if arguments.json:
        report = {"results": results, "means": means, "seed": arguments.seed, "seconds": seconds}
        print(json.dumps(report, allow_nan=False))
        return 0
    for r in results:
        low, high = r["permutation_interval"]
        print(
            f"\n{r['data']}{'' if r['developed_on'] else ' (held out)'}: {r['problems']} problems, "
            f"{r['targets']} targets, {r['candidates']} candidates; without skill [{low:.3f}, {high:.3f}], "
            f"recommended p = {r['permutation_p']:.3f}, {r['problems_below_p_05']} problems below p = .05 one by one"
        )
        for method, row in r["methods"].items():
            ahead = f"{row['recommended_ahead_by']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
            print(
                f"  {method:<22} {row['decision_accuracy']:.3f}   {'' if method == 'recommended' else ahead}"
            )
        random = r["random_weights"]
        print(
            f"  {'random weights':<22} {random['decision_accuracy']:.3f}   at least as good in "
            f"{random['share_at_least_as_good']:.0%} of draws"
        )
    print("\nmean over data sets")
    for method, value in sorted(means.items(), key=lambda pair: -pair[1]):
        print(f"  {method:<22} {value:.3f}")
    print(f"{seconds:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
