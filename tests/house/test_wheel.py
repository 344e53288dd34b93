"""The wheel with no checkout in sight: the site serves its pages, and the libraries need none of the extras."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json
import firstlight, passuntil, proxy, workers
import django
django.setup()
from django.core.management import call_command
from django.contrib.staticfiles import finders
from django.template.loader import get_template
from django.test import Client
call_command("migrate", verbosity=0)
print(json.dumps({
    "packages": [module.__file__ for module in (firstlight, passuntil, proxy, workers)],
    "template": get_template("base.html").origin.name,
    "login": Client().get("/login", headers={"host": "127.0.0.1"}).status_code,
    "css": finders.find("firstlight.css"),
}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel installs."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def python(wheel: Path, home: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Python in an empty folder, where the wheel is what it imports."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTLIGHT_")}
    return subprocess.run(
        [sys.executable, "-P", "-W", "ignore", *words],
        env={**environment, "PYTHONPATH": str(wheel), "FIRSTLIGHT_HOME": str(home / "home")},
        cwd=home, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_site_runs_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    done = python(wheel, tmp_path, "-c", PROGRAM)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    assert report["login"] == 200
    for place in (*report["packages"], report["template"], report["css"]):
        assert place.startswith(str(wheel)), place


def needed_by(distributions: list[str]) -> set[str]:
    """These distributions and all that they need, without extras."""
    needed: set[str] = set()
    while distributions:
        name = re.split(r"[^\w.-]", distributions.pop())[0].lower().replace("_", "-")
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # of another platform
            continue
        if name not in needed:
            needed.add(name)
            distributions += [line for line in requirements if "extra ==" not in line]
    return needed


@pytest.fixture(scope="module")
def beyond() -> str:
    """Every installed module but those of a plain `pip install`, separated by commas."""
    base = needed_by(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    owners = metadata.packages_distributions()
    ours = ("firstlight", "passuntil", "proxy", "workers")
    beyond = {
        module
        for module, distributions in owners.items()
        if module not in ours and not base & {name.lower().replace("_", "-") for name in distributions}
    }
    assert {"django", "celery", "tokenizers", "rich", "re2", "redis", "httpcore2"} <= beyond
    assert not {"numpy", "scipy", "sklearn", "pandas"} & beyond
    return ",".join(sorted(beyond))


TALLIES = "model,n_params,instance,draws,passes\n" + "".join(
    f"m{n},{1000 * 2**n},i{k},200,{10 * 2**n + k}\n" for n in range(4) for k in range(3)
)
SCORES = ROOT / "examples" / "ladder" / "scores" / "ladder.csv"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--help",), "forecast"),
        (("forecast", "tallies.csv", "--target", "16000"), "16"),
        (("relevance", SCORES, "--target", "total", "--rounds", "50", "--permutations", "99"), "total"),
        (("rank", SCORES, "--target", "total"), "pairs decided"),
        (("doctor",), "installed: none; not installed: engine, site"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_needs_no_extra_runs_without_any(
    wheel: Path, beyond: str, tmp_path: Path, words: tuple[str | Path, ...], told: str
) -> None:
    (tmp_path / "tallies.csv").write_text(TALLIES)
    done = python(wheel, tmp_path, ROOT / "tests" / "hidden_modules.py", beyond, *words)
    assert done.returncode == 0, done.stderr[-2000:]
    assert told in done.stdout
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_what_needs_an_extra_names_it(wheel: Path, beyond: str, tmp_path: Path) -> None:
    done = python(wheel, tmp_path, ROOT / "tests" / "hidden_modules.py", beyond, "passuntil", "model", "task")
    assert done.returncode == 1
    assert "pip install 'firstlight[engine]'" in done.stderr.splitlines()[0]
