"""The settings of production, as Django's own check reads them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_django_finds_nothing_to_warn_of_in_production(tmp_path: Path) -> None:
    environment = os.environ | {
        "FIRSTLIGHT_HOME": str(tmp_path),
        "FIRSTLIGHT_HTTPS": "1",
        "FIRSTLIGHT_ALLOWED_HOSTS": "firstlight.example.org",
        "FIRSTLIGHT_SECRET_KEY": "k3y-" + "dawn-over-the-hills-0123456789" * 2,
    }
    environment.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)  # the browser's tests set it for their own process
    (tmp_path / "static").mkdir()
    checked = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
