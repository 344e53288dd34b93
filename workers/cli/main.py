"""The `firstlight` command: argument parsing, and one clear line where something is wrong."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from firstlight.files.errors import Refused
from firstlight.files.model_folder import ModelFolderError
from firstlight.files.task_file import TaskFileError

from passuntil import PassUntilError
from proxy import ProxyError
from workers.cli import doctor, forecast, measure, proxy, site
from workers.engines.base import EngineError

#: Failures whose text was written for a person.
CLEAR = (Refused, ModelFolderError, TaskFileError, PassUntilError, ProxyError, EngineError)


class Parser(argparse.ArgumentParser):
    """One line on a wrong call, not a page of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def build_parser() -> Parser:
    parser = Parser(prog="firstlight", description="Sees an ability of a language model before it emerges.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    for module in (measure, forecast, proxy, doctor, site):
        module.add_commands(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0, 1 (refused or failed, one line on stderr), 2 (wrong call) or 130 (interrupted)."""
    arguments = build_parser().parse_args(argv)
    try:
        return int(arguments.run(arguments) or 0)
    except CLEAR as error:
        return _complain(arguments.command, str(error))
    except OSError as error:
        return _complain(arguments.command, f"{error.strerror or error}: {error.filename or ''}".rstrip(": "))
    except KeyboardInterrupt:
        return 130


def _complain(command: str, text: str) -> int:
    print(f"firstlight {command}: {' '.join(text.split())}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
