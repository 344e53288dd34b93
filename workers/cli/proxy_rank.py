"""`firstlight rank` and `seeds`: order configurations by proxy scores, and say what more seeds would bring."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import proxy
from proxy._text import shown, text_table
from proxy.selection import AGGREGATES
from proxy.weights.recommended import SELECTOR_NAMES
from workers.cli.proxy_tables import add_scores, read_column, read_matrix, read_noise, read_weights


def add_commands(commands: Any) -> None:
    rank = commands.add_parser(
        "rank", help="rank models by weighted proxy scores, with intervals and controls"
    )
    add_scores(rank)
    rank.add_argument("--weights", type=Path, metavar="WEIGHTS.json", help="from `select`, or {task: weight}")
    rank.add_argument("--target", metavar="TASK", help="fit weights for this task instead")
    rank.add_argument("--truth", type=Path, metavar="TRUTH.csv", help="model,score: the truth, to judge by")
    rank.add_argument(
        "--budget",
        type=Path,
        metavar="CSV",
        help="model,label: only equal labels are compared with the truth",
    )
    rank.add_argument("--selector", choices=SELECTOR_NAMES, help="of weights (default recommended)")
    rank.add_argument("--panel", type=Path, metavar="PANEL.csv", help="models to fit the weights on")
    rank.add_argument("--data-group", type=Path, metavar="D.csv", help="small models of other training data")
    rank.add_argument(
        "--noise-group", type=Path, metavar="R.csv", help="small models of other seeds, for the noise"
    )
    rank.add_argument("--loss", type=Path, metavar="CSV", help="model,loss: held-out loss")
    rank.add_argument("--forecast", type=Path, metavar="CSV", help="model,score: PassUntil's, of the target")
    rank.add_argument(
        "--forecast-noise", type=float, metavar="SD", help="standard deviation of the forecasts"
    )
    rank.add_argument("--aggregate", choices=AGGREGATES, help="mean of raw scores or of z-scores")
    rank.add_argument(
        "--gaps", choices=("refuse", "drop"), default="refuse", help="drop: leave out tasks that have one"
    )
    rank.add_argument("--level", type=float, default=0.95, help="of the intervals (default 0.95)")
    rank.add_argument("--seed", type=int, default=0)
    rank.add_argument("--json", action="store_true")
    rank.set_defaults(run=run_rank)

    seeds = commands.add_parser("seeds", help="how many seeds a configuration are worth buying, from a pilot")
    add_scores(seeds)
    seeds.add_argument(
        "--noise-group", type=Path, required=True, metavar="R.csv", help="seeds of one configuration"
    )
    seeds.add_argument(
        "--weights", type=Path, metavar="WEIGHTS.json", help="advise on this mean of tasks, too"
    )
    seeds.add_argument("--seeds-had", type=int, default=1, help="seeds behind each score (default 1)")
    seeds.add_argument(
        "--relevance", type=float, default=1.0, help="correlation of noise-free score and truth (default 1)"
    )
    seeds.add_argument(
        "--least-gain",
        type=float,
        default=0.01,
        help="decision accuracy that a seed must bring (default .01)",
    )
    seeds.add_argument("--most", type=int, default=20, help="seeds considered (default 20)")
    seeds.add_argument("--level", type=float, default=0.95, help="of the intervals (default 0.95)")
    seeds.add_argument("--json", action="store_true")
    seeds.set_defaults(run=run_seeds)


def run_rank(arguments: argparse.Namespace) -> int:
    if (arguments.weights is None) == (arguments.target is None):
        raise proxy.ProxyError(
            "give --weights or --target: weights from a file, or weights fitted for a task"
        )
    for name in ("panel", "selector", "data_group"):
        if arguments.weights is not None and getattr(arguments, name) is not None:
            raise proxy.ProxyError(
                f"--{name.replace('_', '-')} fits weights, and --weights gives them; leave one out"
            )
    matrix = read_matrix(arguments)
    options: dict[str, Any] = {"level": arguments.level, "seed": arguments.seed, "gaps": arguments.gaps}
    if arguments.weights is not None:
        options["weights"] = read_weights(arguments.weights)
        # A column without a weight is no proxy: it stays out, and out of the controls.
        missing = [task for task in options["weights"] if task not in matrix.tasks]
        if missing:
            raise proxy.ProxyError(
                f"{arguments.scores}: no task {missing[0]!r}, which {arguments.weights} weighs"
            )
        matrix = matrix.select(tasks=list(options["weights"]))
    else:
        options["target"] = arguments.target
    options |= {
        name: getattr(arguments, name)
        for name in ("selector", "aggregate", "forecast_noise")
        if getattr(arguments, name) is not None
    }
    options |= {
        name: read_column(getattr(arguments, name))
        for name in ("truth", "loss", "forecast")
        if getattr(arguments, name) is not None
    }
    if arguments.budget is not None:
        options["budget"] = proxy.scores.read_mapping(arguments.budget)
    if arguments.panel is not None:
        options["panel"] = proxy.read_scores(arguments.panel).select(tasks=matrix.tasks).scores
    if arguments.noise_group is not None:
        options["noise"] = read_noise(arguments.noise_group, matrix.tasks)
    if arguments.data_group is not None:
        if arguments.noise_group is None:
            raise proxy.ProxyError("no noise group: robustness compares two groups; give both, or neither")
        groups = (proxy.read_scores(path) for path in (arguments.data_group, arguments.noise_group))
        ratios = proxy.study_robustness(*groups, tasks=matrix.tasks)
        options["robustness"] = {task: ratio.capped for task, ratio in ratios.items()}
    if matrix.stderr is not None:
        options["stderr"] = matrix.stderr
    ranking = proxy.rank_configurations(
        matrix.scores,
        matrix.models,
        matrix.tasks,
        direction={task: matrix.direction.get(task, 1) for task in matrix.tasks},
        **options,
    )
    if arguments.json:
        print(json.dumps(ranking.as_dict(), allow_nan=False))
    else:
        _show_ranking(ranking)
    return 0


def _show_ranking(ranking: proxy.Ranking) -> None:
    rows = [
        [one.model, f"{one.score:.4g}", str(one.rank), f"{one.rank_low}-{one.rank_high}",
         f"{one.probability_best:.2f}", str(one.tied_set)]
        for one in ranking.ranking
    ]  # fmt: skip
    print(text_table(["model", "score", "rank", "range", "best", "set"], rows))
    shares = sorted(ranking.weights.items(), key=lambda pair: -abs(pair[1]))
    print(f"\n{ranking.method} weights: " + ", ".join(f"{task} {share:.3f}" for task, share in shares))
    decided = sum(one.decided for one in ranking.decisions)
    print(f"{decided} of {len(ranking.decisions)} pairs decided at {ranking.level:g} (Holm)")
    if ranking.truth is not None:
        judged = [("this ranking", ranking.truth.as_dict())]
        judged += [(name, one.as_dict()) for name, one in ranking.controls.items()]
        print("\n" + text_table(["against the truth", "tau", "accuracy", "inversions", "p"], [
            [name, shown(of["kendall_tau"], ".2f"), shown(of["decision_accuracy"], ".2f"),
             shown(of["inversions"], "g"), shown(of["p_value"], ".2g")]
            for name, of in judged
        ]))  # fmt: skip
    for warning in ranking.warnings:
        print(f"note: {warning}")


def run_seeds(arguments: argparse.Namespace) -> int:
    advice = proxy.study_seeds(
        read_matrix(arguments),
        proxy.read_scores(arguments.noise_group),
        weights=None if arguments.weights is None else read_weights(arguments.weights),
        seeds_had=arguments.seeds_had,
        relevance=arguments.relevance,
        least_gain=arguments.least_gain,
        most=arguments.most,
        level=arguments.level,
    )
    if arguments.json:
        print(json.dumps({"advice": {name: one.as_dict() for name, one in advice.items()}}, allow_nan=False))
        return 0
    rows = [
        [name, str(one.seeds), f"{one.accuracy[0]:.3f}", f"{one.accuracy[one.seeds - 1]:.3f}",
         f"[{one.low:.3f}, {one.high:.3f}]", f"{one.limit:.3f}", f"{one.reliability:.2f}"]
        for name, one in advice.items()
    ]  # fmt: skip
    print(text_table(["task", "seeds", "with one", "with these", "interval", "endless", "signal"], rows))
    first = next(iter(advice))
    print(f"{first}: {advice[first].sentence}")
    return 0
