"""`firstlight worker`: engine processes that draw for the site without Celery, until Ctrl-C."""

import argparse
import logging
from typing import Any

from firstlight.config import places
from firstlight.files.errors import Refused
from workers.cli.options import add_engine_options, engine_options
from workers.database import prepare_database, set_up_django
from workers.engines import KINDS
from workers.site_processes import engine_children
from workers.supervisor import Supervisor, asked_to_end, wait_for_signal


def add_commands(commands: Any) -> None:
    worker = commands.add_parser("worker")
    worker.add_argument("--engine", required=True, metavar="KIND", help=f"one of {', '.join(KINDS)}")
    worker.add_argument(
        "--processes", type=int, default=1, metavar="K", help="engines side by side (default 1)"
    )
    add_engine_options(worker)
    worker.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    worker.set_defaults(run=worker_command)


def worker_command(arguments: argparse.Namespace) -> int:
    """Runs until Ctrl-C or SIGTERM: one engine in this process (`--alone`), or a supervisor of some."""
    if arguments.engine not in KINDS:
        raise Refused(f"no engine named {arguments.engine!r}: choose one of {', '.join(KINDS)}.")
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
        engine_process.serve(arguments.engine, asked_to_end())
        return 0
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    children = engine_children(arguments.engine, processes=arguments.processes, options=arguments.option)
    supervisor = Supervisor(children)
    supervisor.start()
    count = f"{len(children)} {arguments.engine} engine {'process' if len(children) == 1 else 'processes'}"
    print(f"{count} ({places.summary()}). Press Ctrl-C to stop.", flush=True)
    wait_for_signal()
    supervisor.stop()
    return 0
