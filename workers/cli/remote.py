"""`firstlight wait` and `export`, and what `register` and `run` do on a site elsewhere.

A site is named by `--site` or FIRSTLIGHT_URL; its token stands in FIRSTLIGHT_TOKEN or in a file, never on the command
line, where others could read it. Without a site, the database of this installation is meant.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from firstlight.client import Firstlight, Run
from firstlight.client.site import ENDED
from firstlight.files.errors import Refused

#: The state of a run that went well.
GOOD = "complete"


def add_site(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--site", help="address of a site elsewhere (default: FIRSTLIGHT_URL, else this machine's)"
    )
    parser.add_argument(
        "--token-file", type=Path, help="file that holds the token (default: FIRSTLIGHT_TOKEN)"
    )
    parser.add_argument("--team", help="the team, where you write in several")
    parser.add_argument("--json", action="store_true", help="print JSON")


def site_of(arguments: argparse.Namespace) -> Firstlight | None:
    """The site elsewhere that is meant; None for this installation."""
    url = arguments.site or os.environ.get("FIRSTLIGHT_URL")
    if not url:
        return None
    token = arguments.token_file.read_text().strip() if arguments.token_file else None
    return Firstlight(url, token=token, team=arguments.team)


def add_commands(commands: Any) -> None:
    wait = commands.add_parser("wait")
    wait.add_argument("runs", nargs="+", type=int, metavar="RUN", help="numbers of runs")
    wait.add_argument("--timeout", type=float, help="seconds to wait at most (default: for ever)")
    add_site(wait)
    wait.set_defaults(run=wait_command)
    export = commands.add_parser("export")
    export.add_argument("runs", nargs="*", type=int, metavar="RUN", help="numbers of runs")
    export.add_argument(
        "--series", help="instead of numbers: the newest complete run of every checkpoint of a series"
    )
    export.add_argument("--task", help="with --series: the task's name")
    export.add_argument("--out", type=Path, help="file to write (default: standard output)")
    add_site(export)
    export.set_defaults(run=export_command)


def wait_command(arguments: argparse.Namespace) -> int:
    """Exit status 0 where all runs are complete, 1 where one ended otherwise."""
    source = _source(arguments)
    until = None if arguments.timeout is None else time.monotonic() + arguments.timeout
    said = ""
    while True:
        runs = [source.facts(run) for run in arguments.runs]
        line = ", ".join(f"run {r['id']} {r['state']} {r['units_done']}/{r['units_total']}" for r in runs)
        if line != said:
            print(line, file=sys.stderr)
            said = line
        if all(run["state"] in ENDED for run in runs):
            break
        if until is not None and time.monotonic() > until:
            raise Refused(f"not ended after {arguments.timeout:g} s: {line}.")
        time.sleep(1.0)
    if arguments.json:
        print(json.dumps(runs, indent=2, default=str))
    return 0 if all(run["state"] == GOOD for run in runs) else 1


def export_command(arguments: argparse.Namespace) -> int:
    """TALLIES.csv of runs, one header."""
    source = _source(arguments)
    runs = arguments.runs
    if bool(runs) == bool(arguments.series):
        raise Refused("name runs by their numbers, or a series with --series and --task: one of the two.")
    if arguments.series:
        if not arguments.task:
            raise Refused("--series needs --task: the name of the task.")
        runs = source.newest(arguments.series, arguments.task)
        if not runs:
            raise Refused(
                f"no complete run of {arguments.series!r} on {arguments.task!r}: start them with firstlight run."
            )
    lines = list(_joined(source.tallies(run) for run in runs))
    text = "\n".join(lines) + "\n"
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    if arguments.json:
        print(json.dumps({"runs": runs, "rows": len(lines) - 1}), file=sys.stderr)
    return 0


def _joined(tables: Iterator[str]) -> Iterator[str]:
    header = None
    for table in tables:
        first, *rows = table.splitlines()
        if header is None:
            header = first
            yield first
        elif first != header:
            raise Refused("these runs have other columns than the first: export them one by one.")
        yield from rows


class _Here:
    """This installation's database."""

    def __init__(self) -> None:
        from workers.database import prepare_database, set_up_django

        set_up_django()
        prepare_database()

    def _run(self, pk: int) -> Any:
        from firstlight.evaluations.models import Run as Row

        run = Row.objects.select_related("checkpoint", "task").filter(pk=pk).first()
        if run is None:
            raise Refused(f"no run {pk}: firstlight run prints the number of a new one.")
        return run

    def facts(self, pk: int) -> dict[str, Any]:
        run = self._run(pk)
        names = ("state", "reason", "units_done", "units_total", "draws", "passes")
        return {"id": run.pk, **{name: getattr(run, name) for name in names}}

    def tallies(self, pk: int) -> str:
        import io

        from firstlight.evaluations.figures import export_rows
        from passuntil import write_tallies

        text = io.StringIO()
        write_tallies(text, export_rows(self._run(pk)))
        return text.getvalue()

    def newest(self, series: str, task: str) -> list[int]:
        from firstlight.evaluations.models import Run as Row

        rows = Row.objects.filter(checkpoint__series__name=series, task__name=task, state=GOOD, left_out="")
        return _newest(rows.values("id", "checkpoint_id").order_by("id"), "checkpoint_id")


class _There:
    """A site elsewhere."""

    def __init__(self, site: Firstlight) -> None:
        self.site = site

    def facts(self, pk: int) -> dict[str, Any]:
        facts: dict[str, Any] = Run(self.site, {"id": pk}).refresh().facts
        return facts

    def tallies(self, pk: int) -> str:
        assert self.site.connection is not None
        return self.site.connection.text(f"/runs/{pk}/tallies.csv").decode()

    def newest(self, series: str, task: str) -> list[int]:
        known = [one["id"] for one in self.site.rows("/series") if one["name"] == series]
        if not known:
            raise Refused(f"no series {series!r} on this site.")
        wanted = {one["id"] for one in self.site.rows("/tasks", name=task)}
        rows = [
            run
            for one in wanted
            for run in self.site.rows("/runs", series=known[0], task=one, state=GOOD)
            if not run["left_out"]
        ]
        return _newest(sorted(rows, key=lambda run: run["id"]), "checkpoint")


def _newest(rows: Any, key: str) -> list[int]:
    return sorted({row[key]: row["id"] for row in rows}.values())


def _source(arguments: argparse.Namespace) -> _Here | _There:
    site = site_of(arguments)
    return _There(site) if site else _Here()
