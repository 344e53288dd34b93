"""`firstlight up` and `demo`: the site on this machine, until Ctrl-C."""

import argparse
import logging
import os
from pathlib import Path
from typing import Any

from firstlight.config import places
from workers.site_processes import bring_up, site_address, wait_until_served
from workers.supervisor import wait_for_signal


def add_commands(commands: Any) -> None:
    up = commands.add_parser("up")
    _address(up)
    up.set_defaults(run=up_command)
    demo = commands.add_parser("demo")
    _address(demo)
    demo.add_argument("--no-serve", action="store_true", help="end after the table")
    demo.add_argument(
        "--ladder", type=Path, help="folder of the ladder (default: examples/ladder of the checkout)"
    )
    demo.add_argument(
        "--task", action="append", default=[], metavar="NAME", help="a task to measure; repeatable"
    )
    demo.add_argument("--passes", type=int, default=5, help="stop each instance at this pass (default 5)")
    demo.add_argument("--floor", type=int, default=64, help="fewest draws of each instance (default 64)")
    demo.add_argument("--cap", type=int, default=1000, help="most draws of each instance (default 1000)")
    demo.add_argument("--seed", type=int, default=0, help="seed of the draws (default 0)")
    demo.set_defaults(run=demo_command)


def _address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to serve on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port to serve on (default 8000)")
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="processes that draw (default: the number of cores)",
    )


def up_command(arguments: argparse.Namespace) -> int:
    """Runs until Ctrl-C or SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    supervisor = bring_up(host=arguments.host, port=arguments.port, processes=arguments.workers)
    address = site_address(arguments.host, arguments.port)
    wait_until_served(arguments.host, arguments.port)
    print(f"Firstlight serves on {address} ({places.summary()}). Press Ctrl-C to stop.")
    print(entrance(address), flush=True)
    wait_for_signal()
    supervisor.stop()
    return 0


def entrance(address: str) -> str:
    """How to get in, and where models may lie."""
    from firstlight.teams.invitations import first_link

    secret = first_link()
    roots = []
    for root in places.model_roots():
        if root.is_relative_to(places.home()):
            root.mkdir(parents=True, exist_ok=True)
        roots.append(f"{root}{'' if root.is_dir() else ' (absent)'}")
    way = (
        f"Make your account and your team here (the link works once): {address}/welcome/{secret}"
        if secret
        else f"Sign in: {address}/login (firstlight user list shows who has an account)"
    )
    return f"{way}\nModel folders may lie below: {', '.join(roots)} (FIRSTLIGHT_MODEL_ROOTS)"


def demo_command(arguments: argparse.Namespace) -> int:
    from workers.demo import run_demo

    return run_demo(arguments)
