"""`firstlight relevance`, `select`, `rank` and `import`: proxy tasks from tables of scores, without a site."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import proxy
from proxy.importers import FORMATS
from proxy.kernels import METRICS
from proxy.results import shown, text_table
from proxy.robustness import PHI
from proxy.selection import AGGREGATES


def add_commands(commands: Any) -> None:
    relevance = commands.add_parser(
        "relevance", help="how candidate tasks relate to a target, by Algorithm 1"
    )
    _scores(relevance)
    _study(relevance)
    relevance.add_argument("--subset", type=int, metavar="M", help="models drawn in a round of Algorithm 1")
    relevance.add_argument("--top", type=int, metavar="K", help="tasks compared between rounds")
    relevance.add_argument("--permutations", type=int, default=1999, help="of the null (default 1999)")
    relevance.add_argument("--level", type=float, default=0.9, help="of the intervals (default 0.9)")
    relevance.set_defaults(run=run_relevance)

    select = commands.add_parser("select", help="choose proxy tasks for a target and weigh them")
    _scores(select)
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

    rank = commands.add_parser(
        "rank", help="rank models by weighted proxy scores, with intervals and controls"
    )
    _scores(rank)
    rank.add_argument("--weights", type=Path, metavar="WEIGHTS.json", help="from `select`, or {task: weight}")
    rank.add_argument("--target", metavar="TASK", help="fit weights for this task instead")
    rank.add_argument("--truth", type=Path, metavar="TRUTH.csv", help="model,score: the truth, to judge by")
    rank.add_argument("--selector", help="how weights are fitted for --target (default recommended)")
    rank.add_argument("--panel", type=Path, metavar="PANEL.csv", help="models to fit the weights on")
    rank.add_argument(
        "--noise-group", type=Path, metavar="R.csv", help="small models of other seeds, for the noise"
    )
    rank.add_argument("--aggregate", choices=AGGREGATES, help="mean of raw scores or of z-scores")
    rank.add_argument("--level", type=float, default=0.95, help="of the intervals (default 0.95)")
    rank.add_argument("--seed", type=int, default=0)
    rank.add_argument("--json", action="store_true")
    rank.set_defaults(run=run_rank)

    load = commands.add_parser("import", help="result files of other programs into SCORES.csv")
    load.add_argument("files", type=Path, nargs="+", metavar="FILE")
    load.add_argument("--format", choices=FORMATS, default="auto")
    load.add_argument("--out", type=Path, required=True, metavar="SCORES.csv")
    load.add_argument("--metric", help="the metric that speaks for a task where it has it")
    load.add_argument("--all-metrics", action="store_true", help="keep every metric, as task:metric")
    load.add_argument("--json", action="store_true")
    load.set_defaults(run=run_import)


def _scores(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scores", type=Path, metavar="SCORES.csv")
    parser.add_argument("--tasks", help="comma-separated: use only these columns")
    parser.add_argument("--model-column", action="append", metavar="NAME", help="repeatable: joined with @")
    parser.add_argument("--duplicates", choices=("refuse", "first", "mean"), default="refuse")
    parser.add_argument(
        "--case", choices=("refuse", "first"), default="refuse", help="of names that differ in case"
    )
    for name, form in (("direction", "TASK=-1"), ("baseline", "TASK=SCORE"), ("scale", "TASK=1|100")):
        parser.add_argument(f"--{name}", action="append", default=[], metavar=form, help="repeatable")


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


def _read(arguments: argparse.Namespace) -> proxy.ScoreMatrix:
    target = getattr(arguments, "target", None)
    tasks = _list(arguments.tasks)
    elsewhere = getattr(arguments, "target_from", None)
    if tasks is not None and target and elsewhere is None and target not in tasks:
        tasks = [*tasks, target]
    matrix = proxy.read_scores(
        arguments.scores,
        tasks=tasks,
        model_columns=arguments.model_column or ("model",),
        duplicates=arguments.duplicates,
        case=arguments.case,
        direction={task: int(value) for task, value in _facts("direction", arguments.direction).items()},
        baseline=_facts("baseline", arguments.baseline),
        scale=_facts("scale", arguments.scale),
    )
    if elsewhere is None:
        return matrix
    assert target is not None
    other = proxy.read_scores(elsewhere).select(tasks=[target])
    if target in matrix.tasks:
        matrix = matrix.select(tasks=[task for task in matrix.tasks if task != target])
    mapping = proxy.read_mapping(arguments.pairs) if arguments.pairs else None
    return proxy.join_scores(
        matrix, other, mapping=mapping, guess=arguments.guess_names, pairs=arguments.pairs is not None
    ).matrix


def _list(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _facts(name: str, given: list[str]) -> dict[str, float]:
    facts = {}
    for text in given:
        task, _, value = text.rpartition("=")
        try:
            if not task:
                raise ValueError
            facts[task] = float(value)
        except ValueError:
            raise proxy.ProxyError(f"--{name} {text}: expected TASK=NUMBER") from None
    return facts


def run_relevance(arguments: argparse.Namespace) -> int:
    study = proxy.study_relevance(
        _read(arguments),
        arguments.target,
        candidates=_list(arguments.candidates),
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
    _remarks(study.as_dict())
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
        _read(arguments),
        arguments.target,
        candidates=_list(arguments.candidates),
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
    print(text_table(["task", "relevance", "ratio", "phi", "weight", "why"], rows))
    _remarks(found)
    return 0


def run_rank(arguments: argparse.Namespace) -> int:
    if (arguments.weights is None) == (arguments.target is None):
        raise proxy.ProxyError(
            "give --weights or --target: weights from a file, or weights fitted for a task"
        )
    matrix = _read(arguments)
    options: dict[str, Any] = {"level": arguments.level, "seed": arguments.seed}
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
    if arguments.selector is not None:
        options["selector"] = arguments.selector
    if arguments.aggregate is not None:
        options["aggregate"] = arguments.aggregate
    if arguments.panel is not None:
        options["panel"] = proxy.read_scores(arguments.panel).select(tasks=matrix.tasks).scores
    if arguments.noise_group is not None:
        options["noise"] = _noise(arguments.noise_group, matrix.tasks)
    if arguments.truth is not None:
        options["truth"] = read_truth(arguments.truth)
    if matrix.stderr is not None:
        options["stderr"] = matrix.stderr
    ranking = proxy.rank_configurations(
        matrix.scores,
        matrix.models,
        matrix.tasks,
        direction={task: matrix.direction.get(task, 1) for task in matrix.tasks},
        **options,
    )
    found = ranking.as_dict()
    if arguments.json:
        print(json.dumps(found, allow_nan=False))
        return 0
    rows = [
        [row["model"], f"{row['score']:.4g}", str(row["rank"]), f"{row['rank_low']}-{row['rank_high']}"]
        for row in found["ranking"]
    ]
    print(text_table(["model", "score", "rank", "range"], rows))
    if found["truth"]:
        rows = [
            [name, *_judged(one)]
            for name, one in [("this ranking", found["truth"]), *found["controls"].items()]
        ]
        print("\n" + text_table(["against the truth", "tau", "accuracy", "inversions", "p"], rows))
    for warning in found.get("warnings", []):
        print(f"note: {warning}")
    return 0


def _judged(found: dict[str, Any]) -> list[str]:
    return [
        shown(found.get("kendall_tau"), ".2f"),
        shown(found.get("decision_accuracy"), ".2f"),
        shown(found.get("inversions"), "g"),
        shown(found.get("p_value"), ".2g"),
    ]


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
        "flags": [flag.as_dict() for flag in proxy.flag_tasks(matrix)],
        "notes": list(matrix.notes),
    }
    if arguments.json:
        print(json.dumps(found, allow_nan=False))
        return 0
    print(
        f"{arguments.out}: {rows} scores of {len(matrix.models)} models on {len(matrix.tasks)} tasks "
        f"({', '.join(imported.formats)}, {len(imported.files)} files)"
    )
    _remarks(found)
    return 0


def read_weights(path: Path) -> dict[str, float]:
    """Weights from `select`'s JSON, or from a plain object {task: weight}."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise proxy.ProxyError(f"{path}: not JSON; give what `firstlight select --json` printed") from None
    weights = found.get("weights", found) if isinstance(found, dict) else None
    if not isinstance(weights, dict) or not weights:
        raise proxy.ProxyError(f"{path}: no weights; expected {{task: weight}}, or the JSON of select")
    for task, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not abs(weight) < float("inf"):
            raise proxy.ProxyError(f"{path}: the weight of {task!r} is {weight!r}, not a number")
    return {str(task): float(weight) for task, weight in weights.items()}


def read_truth(path: Path) -> dict[str, float]:
    """TRUTH.csv (model,score): model -> true score."""
    matrix = proxy.read_scores(path)
    if len(matrix.tasks) != 1:
        raise proxy.ProxyError(f"{path}: {len(matrix.tasks)} columns of scores; the truth has model,score")
    column = matrix.column(matrix.tasks[0])
    return {model: float(score) for model, score in zip(matrix.models, column, strict=True) if score == score}


def _noise(path: Path, tasks: tuple[str, ...]) -> dict[str, float]:
    """Standard deviation of each task over the models of the noise group."""
    group = proxy.read_scores(path)
    noise = {}
    for task in tasks:
        if task in group.tasks:
            values = group.column(task)
            values = values[values == values]
            if len(values) < 2:
                raise proxy.ProxyError(
                    f"{path}: {len(values)} models have {task}; a deviation needs at least 2"
                )
            noise[task] = float(values.std(ddof=1))
    return noise


def _remarks(found: dict[str, Any]) -> None:
    """What a person should know, one line each."""
    for task, why in found.get("left_out", {}).items():
        print(f"left out: {task}: {why}")
    for flag in found.get("flags", []):
        print(f"{flag['kind']}: {flag['name']}: {flag['detail']}")
    for note in found.get("notes", []):
        print(f"note: {note}")
