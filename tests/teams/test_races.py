"""Two at once: what is good once is good once, on both databases."""

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.servers import postgres_url

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_of_four_who_open_one_link_at_once_one_gets_in(database: str, tmp_path: Path) -> None:
    with postgres_url() if database == "postgres" else nullcontext("") as url:
        environment = os.environ | {
            "FIRSTLIGHT_HOME": str(tmp_path),
            "FIRSTLIGHT_DATABASE_URL": url,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
        }
        done = subprocess.run(
            [sys.executable, "-m", "tests.teams.race"],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "; ".join(["This link was used already"] * 3 + ["in", "2", "2"])
