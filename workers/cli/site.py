"""Commands that need the site: `up`, `demo`, `register`, `run`."""

import argparse
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from firstlight.config import places
from firstlight.files.errors import Refused

from workers.cli.options import add_engine_options, add_rule, engine_options, rule_of
from workers.engines import KINDS as ENGINES
from workers.supervisor import Supervisor, engine_children, require_free_port, site_children


def add_commands(commands: Any) -> None:
    up = commands.add_parser("up", help="web, worker and beat on this machine, supervised")
    _address(up)
    up.set_defaults(run=up_command)
    demo = commands.add_parser(
        "demo", help="measure the ladder, forecast its largest model, serve the result"
    )
    _address(demo)
    demo.add_argument("--no-serve", action="store_true", help="end after the table")
    demo.add_argument(
        "--ladder", type=Path, help="folder of the ladder (default: examples/ladder of the checkout)"
    )
    demo.add_argument(
        "--task", action="append", default=[], metavar="NAME", help="tasks to measure; repeatable"
    )
    demo.add_argument("--passes", type=int, default=5)
    demo.add_argument("--floor", type=int, default=64)
    demo.add_argument("--cap", type=int, default=1000)
    demo.add_argument("--seed", type=int, default=0)
    demo.set_defaults(run=demo_command)
    register = commands.add_parser("register", help="register a checkpoint folder in a series")
    register.add_argument("folder")
    register.add_argument("--series", required=True, help="made where there is none of this name")
    register.add_argument("--configuration", required=True, help="made where there is none of this name")
    register.add_argument("--name", help="default: the folder's name")
    register.add_argument("--tokens", type=int)
    register.add_argument("--step", type=int)
    register.add_argument("--seed", type=int)
    register.add_argument("--user", required=True, help="who registers it")
    register.set_defaults(run=register_command)
    run = commands.add_parser("run", help="create a PassUntil run; the workers of the site draw it")
    run.add_argument("--series", required=True)
    run.add_argument("--checkpoint", required=True)
    run.add_argument("--task", required=True, help="its newest version is taken")
    add_rule(run)
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--engine", default="reference", help="kind of engine (default reference)")
    run.add_argument("--user", required=True)
    run.set_defaults(run=run_command)
    worker = commands.add_parser(
        "worker", help="processes that each hold an engine and draw for it, supervised, without Celery"
    )
    worker.add_argument("--engine", required=True, metavar="KIND", help=f"one of {', '.join(ENGINES)}")
    worker.add_argument("--processes", type=int, default=1, metavar="K", help="engines side by side")
    add_engine_options(worker)
    worker.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    worker.set_defaults(run=worker_command)


def _address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="drawing processes (default: cores)"
    )


def set_up_django() -> None:
    """Load the settings; raises Refused where this installation's folder cannot be written."""
    import django
    from django.apps import apps
    from django.core.exceptions import ImproperlyConfigured

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "firstlight.config.settings")
    try:
        if not apps.ready:
            django.setup()
    except OSError as error:
        raise Refused(
            f"cannot write below {places.home()} ({error.strerror}): set FIRSTLIGHT_HOME to a folder of yours."
        ) from error
    except (ImproperlyConfigured, ValueError) as error:
        raise Refused(f"the settings do not load: {error}") from error


def prepare_database() -> None:
    """Apply the migrations; raises Refused where the database cannot be reached or written."""
    from django.core.management import call_command
    from django.db import DatabaseError

    try:
        call_command("migrate", verbosity=0, interactive=False)
    except (DatabaseError, OSError) as error:
        raise Refused(
            f"the database {places.database_url().rpartition('@')[2]} cannot be written ({error}): "
            "check its permissions, or set FIRSTLIGHT_DATABASE_URL."
        ) from error


def up_command(arguments: argparse.Namespace) -> int:
    """Runs until Ctrl-C or SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    supervisor = bring_up(arguments)
    print(f"Firstlight serves on {address(arguments)} ({places.summary()}). Ctrl-C ends it.", flush=True)
    wait_for_signal()
    supervisor.stop()
    return 0


def bring_up(arguments: argparse.Namespace, *, logs: Path | None = None) -> Supervisor:
    """Check the port, prepare the database, start the children."""
    if arguments.workers < 1:
        raise Refused(f"--workers must be at least 1, not {arguments.workers}.")
    require_free_port(arguments.host, arguments.port)
    set_up_django()
    prepare_database()
    from firstlight.config.celery import make_broker_folders

    make_broker_folders()
    (places.home() / "static").mkdir(exist_ok=True)
    children = site_children(host=arguments.host, port=arguments.port, processes=arguments.workers)
    supervisor = Supervisor(children, logs=logs)
    try:
        supervisor.start()
    except BaseException:
        supervisor.stop(patience=5)
        raise
    return supervisor


def address(arguments: argparse.Namespace) -> str:
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    return f"http://{host}:{arguments.port}"


def wait_for_signal() -> None:
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    done.wait()


def demo_command(arguments: argparse.Namespace) -> int:
    from workers.demo import run_demo

    return run_demo(arguments)


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
    print(f"registered {checkpoint}: N = {checkpoint.n_params:,}, {checkpoint.dtype}, {checkpoint.digest}")
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
    print(f"run {run.pk}: {run.units_total} units wait for a worker (firstlight up)")
    return 0


def worker_command(arguments: argparse.Namespace) -> int:
    """Runs until Ctrl-C or SIGTERM: one engine in this process (`--alone`), or a supervisor of some."""
    if arguments.engine not in ENGINES:
        raise Refused(f"no engine named {arguments.engine!r}: choose one of {', '.join(ENGINES)}.")
    if arguments.processes < 1:
        raise Refused(f"--processes must be at least 1, not {arguments.processes}.")
    options = engine_options(arguments.option)
    set_up_django()
    prepare_database()
    from firstlight.config.celery import make_broker_folders

    make_broker_folders()
    if arguments.alone:
        from workers import engine_cache, engine_process

        engine_cache.set_options(options)
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        engine_process.serve(arguments.engine, stop)
        return 0
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    children = engine_children(arguments.engine, processes=arguments.processes, options=arguments.option)
    supervisor = Supervisor(children)
    supervisor.start()
    print(
        f"{len(children)} {arguments.engine} engine processes ({places.summary()}). Ctrl-C ends them.",
        flush=True,
    )
    wait_for_signal()
    supervisor.stop()
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
            f"no user {username!r}: make one with manage.py createsuperuser, or run firstlight demo."
        )
    team = teams_of(user).order_by("id").first()
    if team is None:
        raise Refused(f"{username} belongs to no team: ask an owner.")
    return user, team
