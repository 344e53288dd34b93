"""`firstlight relevance`, `select` and `import` (and, by `proxy_rank`, `rank` and `seeds`), without a site."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import proxy
from proxy._text import shown, text_table
from proxy.relevance.kernels import METRICS
from proxy.scores.importers import FORMATS
from proxy.selection.robustness import PHI
from proxy.selection.select import AGGREGATES
from workers.cli import proxy_rank
from workers.cli.proxy_tables import add_scores, listed, print_remarks, read_matrix


def add_commands(commands: Any) -> None:
    relevance = commands.add_parser("relevance")
    add_scores(relevance)
    _study(relevance)
    relevance.add_argument("--subset", type=int, metavar="M", help="models drawn in a round of Algorithm 1")
    relevance.add_argument("--top", type=int, metavar="K", help="tasks compared between rounds")
    relevance.add_argument("--permutations", type=int, default=1999, help="of the null (default 1999)")
    relevance.add_argument("--level", type=float, default=0.9, help="of the intervals (default 0.9)")
    relevance.set_defaults(run=run_relevance)

    select = commands.add_parser("select")
    add_scores(select)
    _study(select)
    select.add_argument(
        "--data-group", type=Path, metavar="D.csv", help="small models of other training data"
    )
    select.add_argument("--noise-group", type=Path, metavar="R.csv", help="small models of other seeds")
    select.add_argument(
        "--recipe", choices=("default", "paper"), default="default", help="paper: as published"
    )
    select.add_argument("--phi", choices=PHI, help="what becomes of the variance ratio (default ratio)")
    select.add_argument(
        "--aggregate", choices=AGGREGATES, help="mean of raw scores or of z-scores (default raw)"
    )
    select.add_argument(
        "--relevance-threshold", type=float, metavar="T", help="least relevance (default 0.3)"
    )
    select.add_argument("--robustness-threshold", type=float, metavar="R", help="least ratio (default 1)")
    select.add_argument("--alpha", type=float, help="of the above-chance test (default 0.05; 1: no test)")
    select.add_argument("--most", type=int, metavar="K", help="keep only the best K tasks")
    select.add_argument("--out", type=Path, metavar="WEIGHTS.json", help="also write the JSON there")
    select.set_defaults(run=run_select)

    proxy_rank.add_commands(commands)

    load = commands.add_parser("import")
    load.add_argument("files", type=Path, nargs="+", metavar="FILE")
    load.add_argument("--format", choices=FORMATS, default="auto")
    load.add_argument("--out", type=Path, required=True, metavar="SCORES.csv")
    load.add_argument("--metric", help="the metric that speaks for a task where it has it")
    load.add_argument("--all-metrics", action="store_true", help="keep every metric, as task:metric")
    load.add_argument("--json", action="store_true")
    load.set_defaults(run=run_import)


def _study(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--target", required=True, metavar="TASK")
    parser.add_argument("--target-from", type=Path, metavar="CSV", help="take the target from another table")
    parser.add_argument(
        "--pairs", type=Path, metavar="CSV", help="names in SCORES.csv, names in --target-from"
    )
    parser.add_argument(
        "--guess-names", action="store_true", help="also join names that look alike; it says which"
    )
    parser.add_argument("--candidates", help="comma-separated; all other tasks by default")
    parser.add_argument("--metric", choices=("auto", *METRICS), default="auto")
    parser.add_argument("--normalisation", choices=("raw", "two_way"), help="which table ranks (default raw)")
    parser.add_argument("--rounds", type=int, default=1000, help="of Algorithm 1 (default 1000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")


def run_relevance(arguments: argparse.Namespace) -> int:
    study = proxy.study_relevance(
        read_matrix(arguments),
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
    )
    if arguments.json:
        print(json.dumps(study.as_dict(), allow_nan=False))
        return 0
    for name, found in study.consistency.items():
        rows = [
            [m, f"{c.baseline:.3f} ± {c.baseline_se:.3f}", f"{c.sampling:.3f} ± {c.sampling_se:.3f}"]
            for m, c in found.metrics.items()
        ]
        print(
            f"Algorithm 1, {name}: {found.metric} (m' {found.subset}, k {found.top}, blind {found.chance:.2f})"
        )
        print(text_table(["metric", "baseline", "sampling"], rows) + "\n")
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
    print(f"{study.metric} with {study.target}, ranked by {study.normalisation}")
    print(text_table(["task", "raw", "two-way", "interval", "p adj.", "less one", "partial", "models"], rows))
    print_remarks(study.as_dict())
    return 0


def run_select(arguments: argparse.Namespace) -> int:
    settings: dict[str, Any] = {}
    if arguments.recipe == "paper":
        settings = {"normalisation": "two_way", "phi": "sigmoid", "robustness_threshold": 0.0, "alpha": 1.0}
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
        read_matrix(arguments),
        arguments.target,
        candidates=listed(arguments.candidates),
        metric=arguments.metric,
        rounds=arguments.rounds,
        seed=arguments.seed,
        **groups,
        **settings,
    )
    found = selection.as_dict()
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    if arguments.json:
        print(json.dumps(found, allow_nan=False))
        return 0
    rows = [
        [
            row.task,
            shown(row.relevance),
            shown(row.robustness.ratio if row.robustness else None, ".3g"),
            shown(row.phi),
            shown(row.weight) if row.kept else "",
            row.why,
        ]
        for row in selection.tasks
    ]
    print(
        f"proxies of {selection.target}: {selection.metric}, {selection.normalisation}, phi {selection.phi}"
    )
    print(text_table(["task", "relevance", "ratio", "phi", "weight", "why"], rows, left=["why"]))
    print_remarks(found)
    return 0


def run_import(arguments: argparse.Namespace) -> int:
    imported = proxy.import_scores(
        arguments.files, form=arguments.format, metric=arguments.metric, every=arguments.all_metrics
    )
    rows = proxy.write_scores(arguments.out, imported.matrix)
    matrix = imported.matrix
    found = {
        "out": str(arguments.out),
        "formats": list(imported.formats),
        "files": len(imported.files),
        "models": len(matrix.models),
        "tasks": len(matrix.tasks),
        "rows": rows,
        "metrics": imported.metrics,
        "lower_is_better": [task for task in matrix.tasks if matrix.direction.get(task, 1) == -1],
        "flags": [flag.as_dict() for flag in proxy.scores.flag_tasks(matrix)],
        "notes": list(matrix.notes),
    }
    if arguments.json:
        print(json.dumps(found, allow_nan=False))
        return 0
    print(
        f"{arguments.out}: {rows} scores of {len(matrix.models)} models on {len(matrix.tasks)} tasks "
        f"({', '.join(imported.formats)}, {len(imported.files)} files)"
    )
    print_remarks(found)
    return 0
