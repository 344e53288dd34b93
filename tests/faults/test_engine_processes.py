"""Supervised engine processes: they claim units themselves, come back when killed, and end after the wave in hand."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.faults.conftest import Site
from tests.faults.test_workers import CAP, INSTANCES, complete, counts

pytestmark = pytest.mark.slow


def test_engines_killed_again_and_again_count_what_calm_ones_count(make_site: Callable[..., Site]) -> None:
    site = make_site(FIRSTLIGHT_BROKER="filesystem")
    calm_run = site.create_run(instances=INSTANCES, cap=CAP, seed=4)
    supervisor = site.start_engines()
    calm = site.wait(calm_run, complete, 90)
    cut_run = site.create_run(instances=INSTANCES, cap=2 * CAP, seed=4)
    seen = 0
    for _ in range(3):
        state = site.wait(cut_run, lambda now, seen=seen: now["draws"] > seen or complete(now), 90)  # type: ignore[misc]
        seen = state["draws"]
        for pid in site.engines(supervisor):
            with suppress(
                ProcessLookupError
            ):  # it was killed the time before, and its supervisor has seen that
                os.kill(pid, signal.SIGKILL)
    cut = site.wait(cut_run, complete, 150)
    assert cut["discrepancies"] == calm["discrepancies"] == []
    assert calm["draws"] == INSTANCES * CAP
    assert cut["draws"] == 2 * INSTANCES * CAP
    again = site.create_run(instances=INSTANCES, cap=CAP, seed=4)
    assert counts(site.wait(again, complete, 90)) == counts(calm)
    # one that was killed soon after its start comes back later, and the other may have drawn all meanwhile
    assert len(site.wait_for_engines(supervisor, 2, 60)) == 2


def test_a_sigterm_ends_engines_after_the_wave_and_leaves_no_lease(make_site: Callable[..., Site]) -> None:
    site = make_site(FIRSTLIGHT_BROKER="filesystem")
    run = site.create_run(instances=INSTANCES, cap=40 * CAP)
    supervisor = site.start_engines()
    site.wait(run, lambda now: bool(now["draws"]), 90)
    engines = site.engines(supervisor)
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(40) == 0
    assert not any(alive(pid) for pid in engines)
    state: dict[str, Any] = site.state(run)
    assert (state["state"], state["discrepancies"], state["leased"]) == ("running", [], 0)
    assert {unit[4] for unit in state["units"]} == {0}  # no attempt is lost by an orderly end


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
