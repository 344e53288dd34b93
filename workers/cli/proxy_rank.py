"""`firstlight rank` and `seeds`: order configurations by proxy scores, and say what more seeds would bring."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import proxy
from proxy._text import shown, text_table
from proxy.choices import AGGREGATES, GAPS, SELECTOR_NAMES
from workers.cli.proxy_tables import add_scores, read_column, read_matrix, read_noise, read_weights

if TYPE_CHECKING:
    from proxy.ranking import Ranking


def add_commands(commands: Any) -> None:
    rank = commands.add_parser("rank")
    add_scores(rank)
    rank.add_argument(
        "--weights", type=Path, metavar="WEIGHTS.json", help="from `select`, or as {task: weight}"
    )
    rank.add_argument("--target", metavar="TASK", help="fit weights for this task instead")
    rank.add_argument("--truth", type=Path, metavar="TRUTH.csv", help="model,score: true scores, to judge by")
    rank.add_argument(
        "--budget",
        type=Path,
        metavar="CSV",
        help="model,label: only models of one label are compared with the truth",
    )
    rank.add_argument(
        "--selector", choices=SELECTOR_NAMES, help="how weights are fitted (default recommended)"
    )
    rank.add_argument("--panel", type=Path, metavar="PANEL.csv", help="models to fit the weights on")
    rank.add_argument(
        "--data-group", type=Path, metavar="D.csv", help="small models of other training data, for robustness"
    )
    rank.add_argument(
        "--noise-group",
        type=Path,
        metavar="R.csv",
        help="small models of other seeds, for the noise of each task",
    )
    rank.add_argument("--loss", type=Path, metavar="CSV", help="model,loss: held-out loss")
    rank.add_argument("--forecast", type=Path, metavar="CSV", help="model,score: forecasts of the target")
    rank.add_argument(
        "--forecast-noise", type=float, metavar="SD", help="standard deviation of the forecasts"
    )
    rank.add_argument("--aggregate", choices=AGGREGATES, help="what is averaged: raw scores or z-scores")
    rank.add_argument(
        "--gaps", choices=GAPS, default="refuse", help="refuse tasks with gaps (default), or drop them"
    )
    rank.add_argument("--level", type=float, default=0.95, help="confidence of the intervals (default 0.95)")
    rank.add_argument("--seed", type=int, default=0, help="of the simulated errors (default 0)")
    rank.add_argument("--json", action="store_true", help="print JSON instead of tables")
    rank.set_defaults(run=run_rank)

    seeds = commands.add_parser("seeds")
    add_scores(seeds)
    seeds.add_argument(
        "--noise-group", type=Path, required=True, metavar="R.csv", help="seeds of one configuration"
    )
    seeds.add_argument(
        "--weights", type=Path, metavar="WEIGHTS.json", help="also advise on this weighted mean of the tasks"
    )
    seeds.add_argument(
        "--seeds-had", type=int, default=1, help="seeds behind each score of the pilot (default 1)"
    )
    seeds.add_argument(
        "--relevance",
        type=float,
        default=1.0,
        help="correlation of the noise-free score with the truth (default 1)",
    )
    seeds.add_argument(
        "--least-gain",
        type=float,
        default=0.01,
        help="decision accuracy that one more seed must add (default 0.01)",
    )
    seeds.add_argument(
        "--most", type=int, default=20, help="the largest number of seeds considered (default 20)"
    )
    seeds.add_argument("--level", type=float, default=0.95, help="confidence of the intervals (default 0.95)")
    seeds.add_argument("--json", action="store_true", help="print JSON instead of tables")
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
    if arguments.budget is not None and arguments.truth is None:
        raise proxy.ProxyError(
            "--budget says which models are compared with the truth: give --truth, or leave it out"
        )
    matrix, weights = read_matrix(arguments), None
    if arguments.weights is not None:
        weights = read_weights(arguments.weights)
        # A column without a weight is no proxy: it stays out, and out of the controls.
        missing = [task for task in weights if task not in matrix.tasks]
        if missing:
            raise proxy.ProxyError(
                f"{arguments.scores}: no task {missing[0]!r}, which {arguments.weights} weighs"
            )
        matrix = matrix.select(tasks=list(weights))
    chosen = {name: getattr(arguments, name) for name in ("selector", "aggregate", "gaps", "level", "seed")}
    ranking = proxy.rank_configurations(
        matrix,
        proxy.RankingSettings(**{name: value for name, value in chosen.items() if value is not None}),
        weights=weights,
        target=arguments.target,
        panel=None if arguments.panel is None else proxy.read_scores(arguments.panel),
        evidence=_evidence(arguments, matrix.tasks),
        truth=_truth(arguments),
    )
    if arguments.json:
        print(json.dumps(ranking.as_dict(), allow_nan=False))
    else:
        _show_ranking(ranking)
    return 0


def _evidence(arguments: argparse.Namespace, tasks: tuple[str, ...]) -> proxy.Evidence:
    """What the options give beside the scores."""
    robustness = None
    if arguments.data_group is not None:
        if arguments.noise_group is None:
            raise proxy.ProxyError("no noise group: robustness compares two groups; give both, or neither")
        groups = (proxy.read_scores(path) for path in (arguments.data_group, arguments.noise_group))
        ratios = proxy.study_robustness(*groups, tasks=tasks)
        robustness = {task: ratio.capped for task, ratio in ratios.items()}
    return proxy.Evidence(
        noise=None if arguments.noise_group is None else read_noise(arguments.noise_group, tasks),
        robustness=robustness,
        loss=None if arguments.loss is None else read_column(arguments.loss),
        forecast=None if arguments.forecast is None else read_column(arguments.forecast),
        forecast_noise=arguments.forecast_noise,
    )


def _truth(arguments: argparse.Namespace) -> proxy.Truth | None:
    if arguments.truth is None:
        return None
    budget = None if arguments.budget is None else proxy.scores.read_mapping(arguments.budget)
    return proxy.Truth(read_column(arguments.truth), budget=budget)


def _show_ranking(ranking: Ranking) -> None:
    rows = [
        [one.model, f"{one.score:.4g}", str(one.rank), f"{one.rank_low}-{one.rank_high}",
         f"{one.probability_best:.2f}", str(one.tied_set)]
        for one in ranking.ranking
    ]  # fmt: skip
    print(text_table(["model", "score", "rank", "range", "best", "set"], rows))
    shares = sorted(ranking.weights.items(), key=lambda pair: -abs(pair[1]))
    print(f"\n{ranking.method} weights: " + ", ".join(f"{task} {share:.3f}" for task, share in shares))
    decided = sum(one.decided for one in ranking.decisions)
    pairs = len(ranking.decisions)
    print(f"{decided} of {pairs} {'pair' if pairs == 1 else 'pairs'} decided at {ranking.level:g} (Holm)")
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
    matrix, noise = read_matrix(arguments), proxy.read_scores(arguments.noise_group)
    advice = proxy.study_seeds(
        matrix,
        noise,
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
    print(
        text_table(
            ["task", "seeds", "accuracy with 1", "with these", "interval", "with endless", "signal"], rows
        )
    )
    first = next(iter(advice))
    print(f"{first}: {advice[first].sentence}")
    return 0
