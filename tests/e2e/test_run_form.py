"""The form of a run shows the fields of the rule that is chosen; the run's page shows accounts and exact bounds."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import User

from tests.e2e.conftest import overflow, sign_in
from tests.evaluations import conftest as evaluations
from tests.evaluations.test_accounts import exact_run
from workers.slices import work_slice

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
OpenPage = Callable[..., "Page"]
world, fresh_worker = evaluations.world, evaluations.fresh_worker  # the fixtures
FIELDS = {
    "until_passes": {"r", "floor", "cap"},
    "fixed_draws": {"n"},
    "relative_error": {"epsilon", "level", "floor", "cap"},
    "dataset_precision": {"target", "relative", "pilot", "cap"},
}


@pytest.mark.parametrize("width", [1280, 360])
def test_each_rule_shows_its_own_fields(
    site: str, open_page: OpenPage, complaints: list[str], world: evaluations.World, width: int
) -> None:
    page = signed_in(site, open_page, world, width)
    page.goto(f"{site}/runs/new?checkpoint={world.checkpoint.pk}&task={world.task.pk}")
    page.get_by_text("Stopping rule and decoding").click()
    everything = set().union(*FIELDS.values())
    for kind, fields in FIELDS.items():
        page.get_by_label("Stop when", exact=True).select_option(kind)
        assert {name for name in everything if page.locator(f"#id_{name}").is_visible()} == fields
    assert overflow(page) == 0
    assert complaints == []


@pytest.mark.parametrize("width", [1280, 360])
def test_a_run_shows_what_it_cost_and_the_exact_bounds(
    site: str,
    open_page: OpenPage,
    complaints: list[str],
    world: evaluations.World,
    fresh_worker: None,
    width: int,
) -> None:
    run = exact_run(world, r=20, floor=64, cap=2000)
    while work_slice(run.pk):
        pass
    page = signed_in(site, open_page, world, width)
    page.goto(f"{site}/runs/{run.pk}")
    page.get_by_text("Exact lower bound", exact=True).wait_for()
    page.get_by_text("Device throughput").wait_for()
    page.get_by_text("draws after the stop, not counted").wait_for()
    assert overflow(page) == 0
    assert complaints == []


def signed_in(site: str, open_page: OpenPage, world: evaluations.World, width: int) -> "Page":
    user = User.objects.get(pk=world.user.pk)
    user.set_password("first-light-4")
    user.save()
    page = open_page(width)
    sign_in(page, site, user.username, "first-light-4")
    return page
