"""The wheel holds all that the site needs: it serves its pages with no checkout in sight."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

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


def test_the_site_runs_from_the_wheel_alone(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTLIGHT_")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        env={**environment, "PYTHONPATH": str(installed), "FIRSTLIGHT_HOME": str(tmp_path / "home")},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["login"] == 200
    for place in (*found["packages"], found["template"], found["css"]):
        assert place.startswith(str(installed)), place
