"""`firstlight import`: result files of other programs into one table of scores."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import proxy
from proxy._text import counted
from proxy.scores import FORMAT_NAMES
from workers.cli.progress import tracked
from workers.cli.proxy_tables import add_table_options, print_remarks, table_options


def add_commands(commands: Any) -> None:
    load = commands.add_parser("import")
    load.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="result files, or folders of them; - is standard input",
    )
    load.add_argument(
        "--format",
        choices=FORMAT_NAMES,
        default="auto",
        help="the format of all files; auto looks into each (eee: Every Eval Ever)",
    )
    load.add_argument("--out", type=Path, required=True, metavar="SCORES.csv", help="the table to write")
    load.add_argument("--metric", help="the metric to take where a task has several and has this one")
    load.add_argument("--all-metrics", action="store_true", help="keep every metric, as task:metric")
    load.add_argument(
        "--groups",
        choices=("keep", "drop"),
        default="keep",
        help="groups of tasks whose parts are there too: keep them and say so (default), or leave them out",
    )
    load.add_argument(
        "--names",
        type=Path,
        metavar="NAMES.csv",
        help="names of models and tasks for you to edit: read where the file exists, written with the new ones",
    )
    load.add_argument("--model", metavar="NAME", help="the model's name, for files that do not say it")
    add_table_options(load.add_argument_group("a plain CSV"))
    load.add_argument("--json", action="store_true", help="print what was read as JSON")
    load.set_defaults(run=run_import)


def run_import(arguments: argparse.Namespace) -> int:
    path = arguments.names
    known = proxy.scores.read_names(path) if path is not None and path.exists() else None
    imported = proxy.import_scores(
        arguments.files,
        form=arguments.format,
        metric=arguments.metric,
        all_metrics=arguments.all_metrics,
        groups=arguments.groups,
        names=known,
        model=arguments.model,
        table=table_options(arguments),
        progress=lambda files: tracked(files, "reading"),
    )
    rows = proxy.write_scores(arguments.out, imported.matrix)
    if path is not None and imported.names != known:
        proxy.scores.write_names(path, imported.names)
    matrix = imported.matrix
    result = {
        "out": str(arguments.out),
        "formats": list(imported.formats),
        "files": len(imported.files),
        "models": len(matrix.models),
        "tasks": len(matrix.tasks),
        "rows": rows,
        "metrics": imported.metrics,
        "names": {"models": dict(imported.names.models), "tasks": dict(imported.names.tasks)},
        "skipped": list(imported.skipped),
        "lower_is_better": [task for task in matrix.tasks if matrix.direction.get(task, 1) == -1],
        "flags": [flag.as_dict() for flag in proxy.scores.flag_tasks(matrix)],
        "notes": list(matrix.notes),
    }
    if arguments.json:
        print(json.dumps(result, allow_nan=False))
        return 0
    print(
        f"{arguments.out}: {counted(rows, 'score')} of {counted(len(matrix.models), 'model')} on "
        f"{counted(len(matrix.tasks), 'task')}, from {counted(len(imported.files), 'file')} "
        f"({', '.join(imported.formats)})"
    )
    print_remarks(result)
    return 0
