"""What the command imports before it answers, and what it says where an extra is missing."""

import argparse
import importlib.util
import os
import subprocess
import sys
import tomllib
from importlib import metadata
from types import SimpleNamespace

import pytest

from tests.cli.conftest import ROOT, Call, refused
from workers.cli.extras import EXTRAS
from workers.cli.main import CLEAR, COMMANDS


def start(*words: str, hidden: tuple[str, ...] = ()) -> tuple[int, str, list[str], list[str]]:
    """Exit status, standard output, the lines on standard error, and the heavy modules that were imported."""
    done = subprocess.run(
        [sys.executable, "-P", ROOT / "tests" / "hidden_modules.py", ",".join(hidden), *words],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"},
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    *lines, imported = done.stderr.splitlines()
    return done.returncode, done.stdout, lines, imported.split()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("--help",), 0),
        ((), 2),
        (("--wat",), 2),
        (("frobnicate",), 2),
        (("up", "--help"), 0),
        (("up", "--wat"), 2),
        (("up", "--port", "65536"), 1),
        (("demo", "--ladder", "nowhere", "--no-serve"), 1),
        (("doctor", "--wat"), 2),
    ],
    ids=str,
)
def test_help_and_errors_wait_for_no_heavy_import(words: tuple[str, ...], status: int) -> None:
    code, out, lines, imported = start(*words)
    assert code == status
    assert len(lines) == (1 if status else 0), lines
    assert bool(out) == (status == 0)
    assert set(imported) <= {"rich"} if words[:1] == ("demo",) else imported == []


def test_the_help_names_every_command_with_its_line(call: Call) -> None:
    out = " ".join(call("--help").out.split())
    for name, command in COMMANDS.items():
        assert f"{name} {command.help}" in out


def test_each_module_adds_the_commands_of_its_rows_and_leaves_their_lines_to_them() -> None:
    for module in {command.module for command in COMMANDS.values()}:
        added: list[str] = []

        def add_parser(name: str, added: list[str] = added, **options: object) -> argparse.ArgumentParser:
            assert "help" not in options, f"{name}: the line of help stands in workers/cli/main.py"
            added.append(name)
            return argparse.ArgumentParser(name)

        importlib.import_module(module).add_commands(SimpleNamespace(add_parser=add_parser))
        assert set(added) == {name for name, command in COMMANDS.items() if command.module == module}


@pytest.mark.parametrize("name", sorted(CLEAR))
def test_every_clear_error_is_a_class_where_the_command_looks_for_it(name: str) -> None:
    module, _, kind = name.rpartition(".")
    error = getattr(importlib.import_module(module), kind)
    assert issubclass(error, Exception)
    assert f"{error.__module__}.{error.__qualname__}" == name


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.extra])
def test_a_command_whose_extra_is_not_installed_names_it_in_one_line(name: str) -> None:
    extra = COMMANDS[name].extra
    needed = {
        "passuntil": ("model", "task.jsonl"),
        "exact": ("model", "task.jsonl"),
        "demo": ("--ladder", str(ROOT / "examples" / "ladder")),
        "register": ("folder", "--series", "s", "--configuration", "c", "--user", "u"),
        "run": ("--series", "s", "--checkpoint", "c", "--task", "t", "--user", "u"),
        "worker": ("--engine", "reference"),
        "user": ("list",),
        "team": ("list",),
        "wait": ("1",),
        "export": ("1",),
        "token": ("add", "x", "--user", "u"),
    }
    code, out, lines, _ = start(name, *needed.get(name, ()), hidden=(*EXTRAS["engine"], *EXTRAS["site"]))
    assert (code, out) == (1, "")
    (line,) = lines
    assert line.startswith(f"firstlight {name}: ")
    assert line.endswith(f" is not installed: pip install 'firstlight[{extra}]'")


def test_an_engine_that_is_an_extra_of_its_own_is_named(call: Call, tiny: object, task: object) -> None:
    if importlib.util.find_spec("torch"):
        pytest.skip("torch is installed")
    answer = call("passuntil", tiny, task, "--engine", "torch")
    refused(answer, "torch is not installed", "pip install 'firstlight[torch]'")


def test_the_modules_of_the_extras_are_those_of_pyproject() -> None:
    """Each requirement of an extra is looked for by a module that its distribution brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(EXTRAS) == set(project["optional-dependencies"])
    owners = metadata.packages_distributions()
    for extra in ("engine", "site", "postgres"):
        brought = {owner.lower().replace("_", "-") for module in EXTRAS[extra] for owner in owners[module]}
        for requirement in project["optional-dependencies"][extra]:
            name = requirement.partition(">")[0].partition("[")[0].lower()
            assert name in brought or name == "firstlight", f"{extra}: {requirement}"
