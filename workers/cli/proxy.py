"""`firstlight relevance` and `select`: which tasks speak for a target, and how much, without a site."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import proxy
from proxy._text import shown, text_table
from proxy.choices import AGGREGATES, METRICS, PHI
from workers.cli.progress import stages
from workers.cli.proxy_tables import add_scores, listed, print_remarks, read_matrix

if TYPE_CHECKING:
    from proxy.relevance import RelevanceStudy

#: What the tables call the scores of a normalisation.
NORMALISED = {"raw": "raw scores", "two_way": "two-way normalised scores"}
#: What the columns of `relevance` mean.
COLUMNS = """
raw, two-way: correlation on raw scores, and with each model's general level taken away
interval: {level:g} % interval of the correlation
p adj.: how often the best of so many unrelated tasks would reach it
less one: lowest correlation with one model left out
partial: what remains beyond the general factor of the other tasks
"""
#: What the columns of `select` mean.
SELECT_COLUMNS = """
ratio: variance over training data by variance over seeds (a dot: not measured)
phi: what the weight has of the ratio
"""


def add_commands(commands: Any) -> None:
    relevance = commands.add_parser("relevance")
    add_scores(relevance)
    _study(relevance)
    relevance.add_argument(
        "--subset", type=int, metavar="M", help="models drawn in a round of Algorithm 1 (default 6 of 10)"
    )
    relevance.add_argument(
        "--top", type=int, metavar="K", help="tasks compared between rounds (default: a third, at most 5)"
    )
    relevance.add_argument(
        "--permutations",
        type=int,
        default=1999,
        metavar="N",
        help="permutations of the target behind the p values (default 1999)",
    )
    relevance.add_argument(
        "--level", type=float, default=0.9, help="confidence level of the intervals (default 0.9)"
    )
    relevance.set_defaults(run=run_relevance)

    select = commands.add_parser("select")
    add_scores(select)
    _study(select)
    select.add_argument(
        "--data-group",
        type=Path,
        metavar="D.csv",
        help="scores of small models trained on different data, to measure robustness",
    )
    select.add_argument(
        "--noise-group",
        type=Path,
        metavar="R.csv",
        help="scores of small models trained with different seeds, to measure robustness",
    )
    select.add_argument(
        "--recipe",
        choices=("default", "paper"),
        default="default",
        help="paper: the settings of arXiv 2412.07111, without tests",
    )
    select.add_argument(
        "--phi",
        choices=PHI,
        help="how a variance ratio R weighs: R / (1 + R), its logistic function, or not at all (default ratio)",
    )
    select.add_argument(
        "--aggregate", choices=AGGREGATES, help="take the mean of raw scores or of z-scores (default raw)"
    )
    select.add_argument(
        "--relevance-threshold",
        type=float,
        metavar="T",
        help="least correlation with the target (default 0.3)",
    )
    select.add_argument(
        "--robustness-threshold", type=float, metavar="R", help="least variance ratio (default 1)"
    )
    select.add_argument(
        "--alpha", type=float, help="level of the test against guessing (default 0.05; 1 for no test)"
    )
    select.add_argument("--most", type=int, metavar="K", help="keep only the best K tasks")
    select.add_argument("--out", type=Path, metavar="WEIGHTS.json", help="also write the JSON to this file")
    select.set_defaults(run=run_select)


def _study(parser: argparse.ArgumentParser) -> None:
    """The options that `relevance` and `select` share."""
    parser.add_argument(
        "--target", required=True, metavar="TASK", help="the task that others should foretell"
    )
    parser.add_argument("--target-from", type=Path, metavar="CSV", help="take the target from another table")
    parser.add_argument(
        "--pairs",
        type=Path,
        metavar="CSV",
        help="two columns: names of models in SCORES.csv, and in --target-from",
    )
    parser.add_argument(
        "--guess-names", action="store_true", help="also join models whose names are alike; notes say which"
    )
    parser.add_argument(
        "--candidates", metavar="TASKS", help="comma-separated tasks to study (default: all others)"
    )
    parser.add_argument(
        "--metric",
        choices=("auto", *METRICS),
        default="auto",
        help="the correlation; auto lets Algorithm 1 choose (default auto)",
    )
    parser.add_argument(
        "--normalisation",
        choices=tuple(NORMALISED),
        help="the scores to rank by: raw, or with each model's general level taken away (default raw)",
    )
    parser.add_argument(
        "--rounds", type=int, default=1000, metavar="N", help="rounds of Algorithm 1 (default 1000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default 0)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run_relevance(arguments: argparse.Namespace) -> int:
    with stages() as progress:
        progress(f"reading {arguments.scores}")
        matrix = read_matrix(arguments)  # first: a file that cannot be read need not wait for the methods
        study = proxy.study_relevance(
            matrix,
            arguments.target,
            candidates=listed(arguments.candidates),
            metric=arguments.metric,
            normalisation=arguments.normalisation or "raw",
            subset=arguments.subset,
            top=arguments.top,
            rounds=arguments.rounds,
            permutations=arguments.permutations,
            level=arguments.level,
            seed=arguments.seed,
            progress=progress,
        )
    if arguments.json:
        print(json.dumps(study.as_dict(), allow_nan=False))
    else:
        _show_consistency(study)
        _show_relevance(study)
        print_remarks(study.as_dict())
    return 0


def _show_consistency(study: RelevanceStudy) -> None:
    """What Algorithm 1 says, for each normalisation."""
    for name, consistency in study.consistency.items():
        rows = [
            [
                metric,
                f"{one.baseline:.3f} ± {one.baseline_se:.3f}",
                f"{one.sampling:.3f} ± {one.sampling_se:.3f}",
            ]
            for metric, one in consistency.metrics.items()
        ]
        print(
            f"Algorithm 1 on {NORMALISED[name]} chooses {consistency.metric.capitalize()}. Share of the top tasks "
            f"({consistency.top} of {len(study.values())})\nthat come again when {consistency.subset} of "
            f"{len(study.models)} models are drawn, {consistency.chance:.2f} by chance:"
        )
        print(text_table(["metric", "in all models", "in other draws"], rows) + "\n")


def _show_relevance(study: RelevanceStudy) -> None:
    """The candidates, the most relevant first, and what the columns mean."""
    rows = []
    for task in study.ranking():
        row = study.tables[study.normalisation][task]
        other = study.tables.get("two_way", {}).get(task)
        rows.append(
            [
                task,
                shown(study.tables["raw"][task].value[study.metric]),
                shown(other.value[study.metric] if other else None),
                f"[{shown(row.low[study.metric], '.2f')}, {shown(row.high[study.metric], '.2f')}]",
                shown(row.p_adjusted[study.metric], ".2g"),
                shown(row.left_out_low[study.metric], ".2f"),
                shown(row.partial[study.metric], ".2f"),
                str(row.models),
            ]
        )
    print(
        f"{study.metric.capitalize()} correlation with {study.target}, ranked by {NORMALISED[study.normalisation]}"
    )
    print(text_table(["task", "raw", "two-way", "interval", "p adj.", "less one", "partial", "models"], rows))
    print(COLUMNS.format(level=100 * study.level))


def run_select(arguments: argparse.Namespace) -> int:
    matrix = read_matrix(arguments)
    settings: dict[str, Any] = dict(proxy.selection.PAPER) if arguments.recipe == "paper" else {}
    names = (
        "normalisation",
        "phi",
        "aggregate",
        "relevance_threshold",
        "robustness_threshold",
        "alpha",
        "most",
    )
    settings |= {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    groups: dict[str, Any] = {
        name: proxy.read_scores(path) if path is not None else None
        for name, path in (("data_group", arguments.data_group), ("noise_group", arguments.noise_group))
    }
    selection = proxy.select_proxies(
        matrix,
        arguments.target,
        candidates=listed(arguments.candidates),
        metric=arguments.metric,
        rounds=arguments.rounds,
        seed=arguments.seed,
        **groups,
        **settings,
    )
    result = selection.as_dict()
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    if arguments.json:
        print(json.dumps(result, allow_nan=False))
        return 0
    rows = [
        [
            one.task,
            shown(one.relevance),
            shown(one.robustness.ratio if one.robustness else None, ".3g"),
            shown(one.phi),
            shown(one.weight) if one.kept else "",
            one.why,
        ]
        for one in selection.tasks
    ]
    print(
        f"Proxies of {selection.target}: relevance is the {selection.metric.capitalize()} correlation on "
        f"{NORMALISED[selection.normalisation]}"
    )
    print(text_table(["task", "relevance", "ratio", "phi", "weight", "why"], rows, left=["why"]))
    print(SELECT_COLUMNS)
    print_remarks(result)
    return 0
