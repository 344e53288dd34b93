"""A worker that hangs, in Celery's pool or supervised, is killed, said on the run's page, and another goes on."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import ROOT, Site
from tests.faults.test_workers import CAP, INSTANCES, complete, counts

SECONDS = 4
HANGING = str(Path(__file__).parent / "hanging")


@pytest.mark.slow
@pytest.mark.parametrize(("start", "how"), [("start_worker", "busy"), ("start_engines", "asleep")])
def test_a_worker_that_hangs_is_killed_and_its_run_is_as_a_calm_one(
    make_site: Callable[..., Site], start: str, how: str
) -> None:
    site = make_site(
        FIRSTLIGHT_BROKER="filesystem",
        FIRSTLIGHT_WATCHDOG_SECONDS=str(SECONDS),
        FIRSTLIGHT_SWEEP_SECONDS="1",
        PYTHONPATH=f"{HANGING}:{ROOT}:{ROOT / 'platform'}",
    )
    site.env |= {"HANG_FLAG": str(site.home / "hung"), "HANG": how}
    run = site.create_run(instances=INSTANCES, cap=CAP)
    getattr(site, start)(processes=1)
    said = site.wait(run, lambda now: bool(now["reason"]), 60)
    assert f"A worker took more than {SECONDS} s for one step" in said["reason"]
    hung = site.wait(run, complete, 90)
    assert (site.home / "hung").exists()
    (site.home / "hung").touch()
    again = site.create_run(instances=INSTANCES, cap=CAP)
    calm = site.wait(again, complete, 90)
    assert counts(hung) == counts(calm)
    assert hung["discrepancies"] == calm["discrepancies"] == []
    assert {unit[3] for unit in hung["units"]} == {"done"}
    assert hung["reason"] == ""


@pytest.mark.parametrize(("program", "ends"), [
    ("watchdog.expect(0.2); time.sleep(30)", -signal.SIGKILL),
    ("watchdog.expect(0.2); sum(range(10**18))", -signal.SIGKILL),
    ("watchdog.expect(0.2); watchdog.rest(); time.sleep(3)", 0),
    ("[(watchdog.expect(1.5), time.sleep(0.2)) for _ in range(15)]", 0),
    ("watchdog.expect(60)", 0),
])  # fmt: skip
def test_only_who_is_late_is_killed(make_site: Callable[..., Site], program: str, ends: int) -> None:
    site = make_site()
    code = f"import time; from workers import watchdog; watchdog.guard('here/1/1'); {program}"
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], env=site.env, cwd=ROOT, timeout=40, check=False)
    assert done.returncode == ends
    assert time.monotonic() - began < 20
