"""`firstlight register` and `run`: new rows of the site, by its actions."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from firstlight.client import Firstlight
from firstlight.files.errors import Refused
from workers.cli.options import add_rule, rule_of
from workers.cli.remote import add_site, site_of
from workers.cli.sizes import whole_size
from workers.database import prepare_database, set_up_django


def add_commands(commands: Any) -> None:
    register = commands.add_parser("register")
    register.add_argument(
        "folder",
        nargs="*",
        help="folders of checkpoints, or of folders of them, below one of FIRSTLIGHT_MODEL_ROOTS",
    )
    register.add_argument("--csv", type=Path, help="a CSV that names them, with a column folder")
    register.add_argument("--series", required=True, help="the series' name; a new one is created")
    register.add_argument(
        "--configuration", required=True, help="the training configuration's name; a new one is created"
    )
    register.add_argument("--name", help="the checkpoint's name, for a single one (default: the folder's)")
    register.add_argument(
        "--preview", action="store_true", help="say what would be registered, and register nothing"
    )
    register.add_argument("--tokens", type=whole_size, help="tokens of training, such as 300B")
    register.add_argument("--step", type=int, help="step of training")
    register.add_argument("--seed", type=int, help="seed of training")
    register.add_argument("--user", help="who registers it, on this machine's site")
    add_site(register)
    register.set_defaults(run=register_command)
    run = commands.add_parser("run")
    run.add_argument("--series", required=True, help="the series' name")
    run.add_argument("--checkpoint", required=True, help="the checkpoint's name")
    run.add_argument("--task", required=True, help="the task's name; its newest version is drawn")
    add_rule(run)
    run.add_argument("--seed", type=int, default=0, help="seed of the draws (default 0)")
    run.add_argument("--engine", default="reference", help="kind of engine (default reference)")
    run.add_argument("--user", help="who creates the run, on this machine's site")
    add_site(run)
    run.set_defaults(run=run_command)


def register_command(arguments: argparse.Namespace) -> int:
    """All folders or none."""
    if bool(arguments.folder) == bool(arguments.csv):
        raise Refused("name folders, or a file with --csv: one of the two.")
    site = site_of(arguments)
    if site is not None:
        return _register_there(site, arguments)
    user, team = _who(arguments)
    from firstlight.registry.folders import find_checkpoints, find_in_table
    from firstlight.registry.register_actions import NewCheckpoint, register_folder

    if arguments.csv:
        found = find_in_table(arguments.csv.read_bytes())
    else:
        places = [_place(folder) for folder in arguments.folder]
        for place in places:
            _fetch_here(user, place)
        found = [one for place in places for one in find_checkpoints(place)]
    rows = _rows(arguments, [one.facts() for one in found])
    if arguments.preview:
        return _say(arguments, {"found": [one.facts() for one in found]}, _preview(rows))
    with _one_change():
        made = register_folder(
            user,
            team,
            series=arguments.series,
            configuration=arguments.configuration,
            rows=[NewCheckpoint(**row) for row in rows],
        )
    facts = [{"id": c.pk, "name": c.name, "n_params": c.n_params, "digest": c.digest} for c in made]
    lines = [
        f"registered {c}: N = {c.n_params:,}, {c.dtype}, {c.digest or 'a worker reads its digest'}"
        for c in made
    ]
    return _say(arguments, {"checkpoints": facts}, lines)


def _register_there(site: Firstlight, arguments: argparse.Namespace) -> int:
    """The folders are those of the site's machine."""
    for folder in arguments.folder:
        if not folder.startswith("/"):
            _follow(
                partial(site.get, "/downloads", location=folder),
                site.post("/downloads", {"location": folder}),
            )
    if arguments.csv:
        previews = [site.upload("/tables/preview", {}, arguments.csv)]
    else:
        previews = [site.post("/folders/preview", {"location": folder}) for folder in arguments.folder]
    found = [one for preview in previews for one in preview["found"]]
    rows = _rows(arguments, found)
    if arguments.preview:
        return _say(arguments, {"found": found}, _preview(rows))
    body = {"series": arguments.series, "configuration": arguments.configuration, "rows": rows}
    made = site.post("/folders/register", body | {"team": arguments.team})
    lines = [
        f"registered {c['name']}: N = {c['n_params']:,}, checkpoint {c['id']}" for c in made["checkpoints"]
    ]
    return _say(arguments, made, lines)


def _fetch_here(user: Any, place: str) -> None:
    """Have a hub id in the cache: downloaded by this command, unless a worker is at it already."""
    from firstlight.registry import downloads
    from firstlight.registry.models import HubDownload
    from workers.hub import download

    with _one_change():
        row = downloads.have(user, place)
    if row is None:
        return

    print(f"downloading {place}", file=sys.stderr)
    download(row.pk)

    def state() -> dict[str, Any]:
        return downloads.facts(HubDownload.objects.get(pk=row.pk))

    _follow(state, state())


def _follow(look: Callable[[], dict[str, Any]], state: dict[str, Any]) -> None:
    """Until a download is done, saying how far it is; raises Refused where it failed."""
    while state["state"] not in ("done", "failed"):
        print(f"{state['location']}: {state['done']:,} of {state['total']:,} bytes", file=sys.stderr)
        time.sleep(1.0)
        state = look()
    if state["state"] == "failed":
        raise Refused(f"{state['location']}: {state['error']}")


def _rows(arguments: argparse.Namespace, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What to register of what was found, with what the command line says of it."""
    for one in found:
        if one["refused"]:
            raise Refused(f"{one['refused']}")
    if arguments.name and len(found) != 1:
        raise Refused(f"--name is for a single checkpoint, and {len(found)} were found: leave it out.")
    given = {name: getattr(arguments, name) for name in ("tokens", "step", "seed")}
    return [
        {
            "location": one["location"],
            "name": arguments.name or one["name"],
            "seen": one["seen"],
            "configuration": one.get("configuration", ""),
            **{name: one[name] if value is None else value for name, value in given.items()},
        }
        for one in found
    ]


def _place(folder: str) -> str:
    """A folder as people name it from where they are; a hub id as it is."""
    path = Path(folder)
    return str(path.resolve()) if path.is_absolute() or path.exists() else folder


def _preview(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"would register {row['name']}: "
        + ", ".join(f"{name} {row[name]}" for name in ("tokens", "step", "seed") if row[name] is not None)
        for row in rows
    ]


def _say(arguments: argparse.Namespace, facts: Any, lines: list[str]) -> int:
    print(json.dumps(facts, indent=2, default=str) if arguments.json else "\n".join(lines))
    return 0


def run_command(arguments: argparse.Namespace) -> int:
    rule = rule_of(arguments)
    site = site_of(arguments)
    if site is not None:
        return _run_there(site, arguments, rule.to_dict())
    user, team = _who(arguments)
    from firstlight.evaluations.actions import create_run
    from firstlight.registry.models import Checkpoint, Task

    checkpoint = Checkpoint.objects.filter(
        series__team=team, series__name=arguments.series, name=arguments.checkpoint
    ).first()
    if checkpoint is None:
        raise Refused(
            f"no checkpoint {arguments.checkpoint!r} in series {arguments.series!r}: register it first."
        )
    task = Task.objects.filter(team=team, name=arguments.task).order_by("-version").first()
    if task is None:
        raise Refused(f"no task {arguments.task!r}: upload it on the site first.")
    with _one_change():
        run = create_run(user, checkpoint, task, rule=rule, seed=arguments.seed, engine=arguments.engine)
    waiting = "1 unit waits" if run.units_total == 1 else f"{run.units_total:,} units wait"
    return _say(arguments, {"run": run.pk}, [f"run {run.pk}: {waiting} for a worker (firstlight up)"])


def _run_there(site: Firstlight, arguments: argparse.Namespace, rule: dict[str, Any]) -> int:
    series = [one for one in site.rows("/series") if one["name"] == arguments.series]
    known = site.rows("/checkpoints", series=series[0]["id"]) if series else []
    fit = [one["id"] for one in known if one["name"] == arguments.checkpoint]
    if not fit:
        raise Refused(f"no checkpoint {arguments.checkpoint!r} in series {arguments.series!r} on this site.")
    (run,) = site.evaluate(fit, arguments.task, rule=rule, seed=arguments.seed, engine=arguments.engine)
    return _say(arguments, {"run": run.id}, [f"run {run.id} is {run.state} (firstlight wait {run.id})"])


@contextmanager
def _one_change() -> Iterator[None]:
    """All or nothing: a refused folder leaves no empty series. A read-only role is refused in one line."""
    from django.core.exceptions import PermissionDenied
    from django.db import transaction

    try:
        with transaction.atomic():
            yield
    except PermissionDenied as error:
        raise Refused(str(error)) from error


def _who(arguments: argparse.Namespace) -> tuple[Any, Any]:
    if not arguments.user:
        raise Refused("say who you are with --user NAME, or name a site elsewhere with --site.")
    set_up_django()
    prepare_database()
    from django.contrib.auth import get_user_model

    from firstlight.teams.access import teams_of

    username = arguments.user
    user = get_user_model().objects.filter(username=username).first()
    if user is None:
        raise Refused(
            f"no user {username!r}: firstlight user add {username} makes one, firstlight user list shows who is there."
        )
    teams = teams_of(user).order_by("id")
    team = (teams.filter(name=arguments.team) if arguments.team else teams).first()
    if team is None and arguments.team:
        raise Refused(
            f"{username} is in no team {arguments.team!r}: firstlight team list shows which there are."
        )
    if team is None:
        raise Refused(
            f"{username} belongs to no team: firstlight team add NAME --owner {username} makes one."
        )
    return user, team
