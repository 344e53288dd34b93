"""Real worker processes over real brokers and databases: finished, counted once, nothing lost, whatever is killed."""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.conftest import ROOT, Site
from tests.servers import postgres_url, redis_url

INSTANCES, CAP = 20, 1500


def complete(state: dict[str, Any]) -> bool:
    return bool(state["state"] == "complete")


def counts(state: dict[str, Any]) -> list[list[Any]]:
    return [unit[:3] for unit in state["units"]]


def measure(site: Site) -> dict[str, Any]:
    run = site.create_run(instances=INSTANCES, cap=CAP)
    site.start_worker()
    return site.wait(run, complete, 90)


@pytest.mark.redis
@pytest.mark.postgres
@pytest.mark.slow
def test_the_same_code_counts_the_same_over_redis_and_postgres_and_over_the_embedded_default(
    make_site: Callable[..., Site],
) -> None:
    embedded = measure(make_site(FIRSTLIGHT_BROKER="filesystem"))
    with redis_url() as redis, postgres_url() as postgres:
        site = make_site(FIRSTLIGHT_REDIS_URL=redis, FIRSTLIGHT_DATABASE_URL=postgres)
        served = measure(site)
        site.close()
    assert embedded["discrepancies"] == served["discrepancies"] == []
    assert embedded["draws"] == served["draws"] == INSTANCES * CAP
    assert counts(embedded) == counts(served)


def test_a_web_process_rings_the_broker_that_it_was_told_of(make_site: Callable[..., Site]) -> None:
    """Without the site's Celery application a ring would go to Celery's default broker and be lost until a sweep."""
    site = make_site(FIRSTLIGHT_BROKER="filesystem")
    for folder in ("messages", "control", "processed"):
        (site.home / "broker" / folder).mkdir(parents=True)
    program = (
        "import firstlight.config.wsgi\n"  # what gunicorn imports
        "from tests.faults.site_process import create\n"
        "from workers.database import prepare_database\n"
        f"prepare_database(); create({str(site.home / 'models')!r}, 2, 64, 0)"
    )
    subprocess.run([sys.executable, "-c", program], env=site.env, cwd=ROOT, check=True, timeout=60)
    assert len(list((site.home / "broker" / "messages").iterdir())) == 1


@pytest.mark.redis
@pytest.mark.slow
def test_a_run_cut_by_kill_9_counts_what_an_uninterrupted_one_counts(make_site: Callable[..., Site]) -> None:
    with redis_url() as redis:
        site = make_site(FIRSTLIGHT_REDIS_URL=redis)
        calm_run = site.create_run(instances=INSTANCES, cap=CAP, seed=11)
        worker = site.start_worker()
        calm = site.wait(calm_run, complete, 90)
        site.kill(worker)
        cut_run = site.create_run(instances=INSTANCES, cap=CAP, seed=11)
        seen = 0
        for _ in range(3):
            worker = site.start_worker()
            state = site.wait(cut_run, lambda now, seen=seen: now["draws"] > seen or complete(now), 90)  # type: ignore[misc]
            seen = state["draws"]
            time.sleep(0.3)
            site.kill(worker)
        site.start_worker()
        cut = site.wait(cut_run, complete, 150)
        site.close()
    assert cut["discrepancies"] == []
    assert counts(cut) == counts(calm)
