"""The `firstlight` command: argument parsing, and one clear line where something is wrong.

Of the commands' modules it imports the one that was asked for, so help and errors need not wait for NumPy or Django.
"""

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from workers.cli.extras import remedy


@dataclass(frozen=True)
class Command:
    """A command: its line in the help, the module whose `add_commands` adds its parser, the extra that it needs."""

    help: str
    module: str
    extra: str | None = None


COMMANDS = {
    "passuntil": Command(
        "draw answers to each instance until enough of them pass; writes TALLIES.csv",
        "workers.cli.measure",
        "engine",
    ),
    "exact": Command(
        "exact log-likelihood of each reference answer and its terminator", "workers.cli.measure", "engine"
    ),
    "forecast": Command("fit the task scaling law and forecast larger models", "workers.cli.forecast"),
    "relevance": Command("how candidate tasks relate to a target, by Algorithm 1", "workers.cli.proxy"),
    "select": Command("choose proxy tasks for a target and weigh them", "workers.cli.proxy"),
    "rank": Command(
        "rank models by weighted proxy scores, with intervals and controls", "workers.cli.proxy_rank"
    ),
    "seeds": Command("how many seeds of each configuration are worth training", "workers.cli.proxy_rank"),
    "import": Command("turn result files of other programs into SCORES.csv", "workers.cli.proxy_import"),
    "tallies": Command("turn other programs' files of samples into TALLIES.csv", "workers.cli.tallies"),
    "doctor": Command("check this installation", "workers.cli.doctor"),
    "up": Command("run the site on this machine: web server, workers, scheduler", "workers.cli.site", "site"),
    "demo": Command(
        "measure the ladder, forecast its largest model, serve the result", "workers.cli.site", "site"
    ),
    "worker": Command("run engine processes that draw for the site", "workers.cli.worker", "site"),
    "user": Command("make accounts, list them, set passwords by a link", "workers.cli.people", "site"),
    "team": Command("make teams and list them", "workers.cli.people", "site"),
    "token": Command("make a token for scripts, or revoke one", "workers.cli.people", "site"),
    "register": Command("register a checkpoint folder in a series", "workers.cli.records", "site"),
    "run": Command("create a PassUntil run for the site's workers to draw", "workers.cli.records", "site"),
    "wait": Command("wait until runs have ended", "workers.cli.remote", "site"),
    "export": Command("write the counts of runs as TALLIES.csv", "workers.cli.remote", "site"),
}

#: Failures whose text was written for a person, by name: where one was raised its module is imported already.
CLEAR = {
    "firstlight.client.connection.SiteError",
    "firstlight.files.errors.Refused",
    "firstlight.files.model_folder.ModelFolderError",
    "firstlight.files.task_file.TaskFileError",
    "passuntil.errors.PassUntilError",
    "proxy.errors.ProxyError",
    "workers.engines.base.EngineError",
}


class Parser(argparse.ArgumentParser):
    """One line on a wrong call, not a page of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def build_parser(asked: str | None = None) -> Parser:
    """The parser of all commands; only the one that was asked for knows its arguments."""
    parser = Parser(prog="firstlight", description="Sees an ability of a language model before it emerges.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    module = COMMANDS[asked].module if asked in COMMANDS else None
    for name, command in COMMANDS.items():
        if command.module != module:
            commands.add_parser(name, help=command.help)
    if module:
        importlib.import_module(module).add_commands(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0, 1 (refused or failed, one line on stderr), 2 (wrong call), 130 (interrupted) or 141 (unread)."""
    words = sys.argv[1:] if argv is None else argv
    asked = next((word for word in words if not word.startswith("-")), None)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # names of files and models may hold what a terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    try:
        arguments = build_parser(asked).parse_args(words)
        status = int(arguments.run(arguments) or 0)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # who reads our output has seen enough, as `head` does
        _drop_output()
        return 141
    except Exception as error:
        if os.environ.get("FIRSTLIGHT_TRACEBACK") == "1":
            raise
        _drop_output()
        print(f"firstlight {asked}: {' '.join(_line(error, asked).split())}", file=sys.stderr)
        return 1


def _drop_output() -> None:
    """What is still to be written goes nowhere; else Python writes it once more at its end, and complains."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
    except AttributeError:
        pass  # standard output is closed


def _line(error: Exception, asked: str | None) -> str:
    """What a person is told."""
    if isinstance(error, ModuleNotFoundError):
        missing = remedy(error, COMMANDS[asked].extra if asked in COMMANDS else None)
        if missing is not None:
            return missing
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")
    if isinstance(error, MemoryError):
        return "there is not enough memory for this input"
    if isinstance(error, RecursionError):
        return "something in the input is nested too deeply"
    if any(f"{kind.__module__}.{kind.__qualname__}" in CLEAR for kind in type(error).__mro__):
        return str(error)
    return (
        f"a fault of Firstlight, not of the input: {type(error).__name__}: {error!s:.300} "
        "(FIRSTLIGHT_TRACEBACK=1 shows where; please report it)"
    )


if __name__ == "__main__":
    sys.exit(main())
