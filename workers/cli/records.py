"""`firstlight register` and `run`: new rows of the site, by its actions."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from firstlight.files.errors import Refused
from workers.cli.options import add_rule, rule_of
from workers.cli.sizes import whole_size
from workers.database import prepare_database, set_up_django


def add_commands(commands: Any) -> None:
    register = commands.add_parser("register")
    register.add_argument("folder", help="the checkpoint's folder, below one of FIRSTLIGHT_MODEL_ROOTS")
    register.add_argument("--series", required=True, help="the series' name; a new one is created")
    register.add_argument(
        "--configuration", required=True, help="the training configuration's name; a new one is created"
    )
    register.add_argument("--name", help="the checkpoint's name (default: the folder's)")
    register.add_argument("--tokens", type=whole_size, help="tokens of training, such as 300B")
    register.add_argument("--step", type=int, help="step of training")
    register.add_argument("--seed", type=int, help="seed of training")
    register.add_argument("--user", required=True, help="who registers it")
    register.set_defaults(run=register_command)
    run = commands.add_parser("run")
    run.add_argument("--series", required=True, help="the series' name")
    run.add_argument("--checkpoint", required=True, help="the checkpoint's name")
    run.add_argument("--task", required=True, help="the task's name; its newest version is drawn")
    add_rule(run)
    run.add_argument("--seed", type=int, default=0, help="seed of the draws (default 0)")
    run.add_argument("--engine", default="reference", help="kind of engine (default reference)")
    run.add_argument("--user", required=True, help="who creates the run")
    run.set_defaults(run=run_command)


def register_command(arguments: argparse.Namespace) -> int:
    set_up_django()
    prepare_database()
    from firstlight.registry import actions
    from firstlight.registry.models import Series, TrainingConfiguration

    user, team = _who(arguments.user)
    folder = Path(arguments.folder).resolve()
    with _one_change():
        series = Series.objects.filter(team=team, name=arguments.series).first() or actions.create_series(
            user, team, name=arguments.series
        )
        configuration = TrainingConfiguration.objects.filter(
            team=team, name=arguments.configuration
        ).first() or actions.create_configuration(
            user, team, name=arguments.configuration, recipe={}, status="trained"
        )
        checkpoint = actions.register_checkpoint(
            user,
            series,
            configuration,
            name=arguments.name or folder.name,
            location=str(folder),
            tokens=arguments.tokens,
            step=arguments.step,
            seed=arguments.seed,
        )
    digest = checkpoint.digest or "a worker reads its digest"
    print(f"registered {checkpoint}: N = {checkpoint.n_params:,}, {checkpoint.dtype}, {digest}")
    return 0


def run_command(arguments: argparse.Namespace) -> int:
    set_up_django()
    prepare_database()
    from firstlight.evaluations.actions import create_run
    from firstlight.registry.models import Checkpoint, Task

    user, team = _who(arguments.user)
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
    rule = rule_of(arguments)
    with _one_change():
        run = create_run(user, checkpoint, task, rule=rule, seed=arguments.seed, engine=arguments.engine)
    waiting = "1 unit waits" if run.units_total == 1 else f"{run.units_total:,} units wait"
    print(f"run {run.pk}: {waiting} for a worker (firstlight up)")
    return 0


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


def _who(username: str) -> tuple[Any, Any]:
    from django.contrib.auth import get_user_model

    from firstlight.teams.access import teams_of

    user = get_user_model().objects.filter(username=username).first()
    if user is None:
        raise Refused(
            f"no user {username!r}: firstlight user add {username} makes one, firstlight user list shows who is there."
        )
    team = teams_of(user).order_by("id").first()
    if team is None:
        raise Refused(
            f"{username} belongs to no team: firstlight team add NAME --owner {username} makes one."
        )
    return user, team
