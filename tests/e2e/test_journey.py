"""From signing in to a run, as a person does it; then the forecast page of a measured series."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User

from firstlight.evaluations.models import Run
from firstlight.files.model_folder import read_model_folder
from firstlight.registry.models import Checkpoint
from firstlight.teams.actions import create_team
from tests.e2e import seed
from tests.e2e.conftest import overflow, sign_in
from tests.tiny_model import write_tiny_llama

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
OpenPage = Callable[..., "Page"]


def test_from_signing_in_to_a_run(
    site: str, open_page: OpenPage, complaints: list[str], tmp_path: Path
) -> None:
    create_team("Dawn", User.objects.create_user("ada", password="first-light-4"))
    folder = write_tiny_llama(tmp_path / "tiny", d=32, layers=1, heads=1, seed=1)
    task = tmp_path / "sums.jsonl"
    items = [
        {"id": f"s{k}", "prompt": f"{k}+1=", "answer": str(k + 1), "grader": "exact", "max_tokens": 4}
        for k in range(6)
    ]
    task.write_text("\n".join(map(json.dumps, items)))
    page = open_page()
    sign_in(page, site, "ada", "first-light-4")

    page.goto(f"{site}/configurations/new")
    page.get_by_label("Name").fill("base")
    page.get_by_label("Recipe").fill('{"learning_rate": 0.003}')
    page.get_by_role("button", name="Create configuration").click()
    page.get_by_text("learning_rate", exact=True).wait_for()

    page.goto(f"{site}/tasks/new")
    page.get_by_label("Name").fill("sums")
    page.get_by_label("Task file").set_input_files(task)
    page.get_by_role("button", name="Upload").click()
    page.get_by_text("6 instances").wait_for()

    page.get_by_role("link", name="Home").click()
    page.get_by_role("link", name="Register checkpoints").click()
    page.get_by_label("Folder").fill(str(folder))
    page.get_by_role("button", name="Read folder").click()
    found = page.locator("#found")
    found.get_by_role("textbox", name="Name").wait_for()
    assert page.url.endswith("/register"), "the fragment was swapped in, the page was not left"
    assert page.get_by_label("Training configuration").input_value() == "base"
    page.get_by_label("Series").fill("ladder")
    page.get_by_role("button", name="Register", exact=True).click()
    page.get_by_role("heading", name="New runs").wait_for()
    assert Checkpoint.objects.get().digest == read_model_folder(folder).digest

    page.get_by_label("sums v1").check()
    page.get_by_text("Stopping rule and decoding").click()
    page.get_by_label("Cap").fill("200")
    page.get_by_label("Cap").blur()
    page.locator("#cost").get_by_text("384 – 1.2k").wait_for()
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_role("heading", name="tiny on sums v1").wait_for()
    page.get_by_text("0 of 6 instances done").wait_for()

    run = Run.objects.get()
    seed_draw(run)
    page.get_by_text("6 of 6 instances done").wait_for()  # no reload: the fragment swapped itself
    assert page.locator("#run-live[hx-trigger]").count() == 0
    assert page.get_by_role("link", name="texts").count() == 6
    assert complaints == []


def seed_draw(run: Run) -> None:
    """What a worker would have done."""
    from firstlight.evaluations.leases import NewBatch, append_batches, claim_units
    from firstlight.evaluations.progress import settle_state

    for claim in claim_units(run.pk, "test/0/0", 100):
        passed = [k % 7 == 3 for k in range(80)]
        append_batches("test/0/0", [NewBatch(claim, passed, 0, "test", [4] * 80, 0.1, [(0, "x", False)])])
    settle_state(run)


@pytest.fixture
def demo(site: str) -> seed.Demo:
    return seed.build(instances=12, cap=1500, sizes=(23_040, 98_688, 369_024, 1_327_104, 4_605_184))


def test_the_forecast_page_draws_its_points(
    site: str, demo: seed.Demo, open_page: OpenPage, complaints: list[str]
) -> None:
    page = open_page()
    sign_in(page, site, "maya", seed.PASSWORD)
    forecast = demo.scored[2]
    page.goto(f"{site}/forecasts/{forecast.pk}")
    charts = page.locator("[data-chart]")
    assert charts.count() == 2
    for k in range(2):
        charts.nth(k).locator("svg.main-svg").first.wait_for()
        assert charts.nth(k).locator(".scatterlayer .trace .points path").count() >= 5
        assert charts.nth(k).locator(".annotation-arrow-g").count() >= 1, (
            "a size without a pass has its arrow"
        )
        box = charts.nth(k).locator(".scatterlayer .trace .points path").nth(2).bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        charts.nth(k).locator(".hoverlayer text").first.wait_for()
    page.get_by_role("button", name="Switch between light and dark").click()
    assert page.locator("html").get_attribute("data-bs-theme") == "dark"
    page.goto(f"{site}/series/{demo.series.pk}")
    page.locator("[data-chart] svg.main-svg").first.wait_for()
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_a_telephone(
    site: str, demo: seed.Demo, open_page: OpenPage, complaints: list[str], scheme: str
) -> None:
    half, broken = seed.troubles(demo)
    page = open_page(360, scheme)
    sign_in(page, site, "maya", seed.PASSWORD)
    assert page.locator("html").get_attribute("data-bs-theme") == scheme
    paths = [
        "/",
        "/series",
        "/series/new",
        f"/series/{demo.series.pk}",
        f"/series/{demo.series.pk}/register",
        f"/checkpoints/{demo.checkpoints[0].pk}",
        "/configurations",
        f"/configurations/{demo.configuration.pk}",
        "/tasks",
        "/tasks/new",
        f"/tasks/{demo.tasks[0].pk}",
        "/runs",
        "/runs/new",
        f"/runs/{half.pk}",
        f"/runs/{broken.pk}",
        "/forecasts",
        f"/forecasts/{demo.scored[0].pk}",
        f"/series/{demo.series.pk}/curve",
    ]
    wide = {}
    for path in paths:
        page.goto(site + path)
        if page.locator("[data-chart]").count():
            page.locator("[data-chart] svg.main-svg").first.wait_for()
        if over := overflow(page):
            wide[path] = over
    assert wide == {}
    assert complaints == []


def test_a_keyboard_reaches_the_content_first(site: str, open_page: OpenPage, complaints: list[str]) -> None:
    User.objects.create_user("ada", password="first-light-4")
    page = open_page()
    sign_in(page, site, "ada", "first-light-4")
    page.goto(f"{site}/runs")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    assert complaints == []


def test_without_javascript_the_folder_is_read_too(site: str, open_page: OpenPage, tmp_path: Path) -> None:
    owner = User.objects.create_user("ada", password="first-light-4")
    team = create_team("Dawn", owner)
    from firstlight.registry.actions import create_series

    series = create_series(owner, team, name="ladder")
    folder = write_tiny_llama(tmp_path / "tiny", d=32, layers=1, heads=1, seed=1)
    page: Any = open_page(java_script_enabled=False)
    sign_in(page, site, "ada", "first-light-4")
    page.goto(f"{site}/series/{series.pk}/register")
    page.get_by_label("Folder").fill(str(folder))
    page.get_by_role("button", name="Read folder").click()
    assert page.get_by_role("textbox", name="Name").input_value() == "tiny"
    assert page.get_by_label("Folder").input_value() == str(folder)
