"""How many clicks it takes: from the first link to a first live run, and from a folder of five sizes to a forecast.

Against `firstlight up` as people start it, on a fresh home, with real workers and models of one's own. Clicks on
buttons, links, boxes and file choosers count; typing does not.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.evaluations.conftest import task_lines
from tests.servers import free_port, postgres_url, redis_url
from tests.tiny_model import write_tiny_llama

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[2]
WIDTHS = (16, 24, 32, 48, 64)
MOST_TO_A_RUN, MOST_TO_A_FORECAST = 8, 14


@dataclass
class Person:
    """Somebody at the browser, whose clicks are counted."""

    page: "Page"
    clicks: int = 0

    def click(self, what: "Locator") -> None:
        what.click()
        self.clicks += 1

    def button(self, name: str) -> None:
        self.click(self.page.get_by_role("button", name=name, exact=True))

    def link(self, name: str) -> None:
        self.click(self.page.get_by_role("link", name=name, exact=True).first)

    def choose_file(self, label: str, file: Path) -> None:
        with self.page.expect_file_chooser() as chooser:
            self.click(self.page.get_by_label(label))
        chooser.value.set_files(file)


@contextmanager
def site(home: Path, models: Path, **more: str) -> Iterator[str]:
    """`firstlight up` on a fresh home; gives the first link that it prints."""
    port = free_port()
    environment = os.environ | {
        "FIRSTLIGHT_HOME": str(home),
        "FIRSTLIGHT_MODEL_ROOTS": str(models),
        "FIRSTLIGHT_REDIS_URL": "",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
    }
    log = home.parent / "up.log"
    with log.open("wb") as output:
        up = subprocess.Popen(
            [sys.executable, "-m", "workers.cli.main", "up", "--port", str(port), "--workers", "2"],
            env=environment | more, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        until = time.monotonic() + 60
        while not (found := re.search(r"http://\S+/welcome/\S+", log.read_text())):
            assert up.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.2)
        yield found[0]
    finally:
        up.send_signal(signal.SIGTERM)
        try:
            up.wait(60)
        except subprocess.TimeoutExpired:
            up.kill()
            raise


@pytest.mark.parametrize(
    "servers", ["embedded", pytest.param("servers", marks=[pytest.mark.postgres, pytest.mark.redis])]
)
def test_a_first_run_takes_eight_clicks_and_a_forecast_of_five_sizes_fourteen(
    servers: str, tmp_path: Path, open_page: "Callable[..., Page]", complaints: list[str]
) -> None:
    models = tmp_path / "models"
    write_tiny_llama(models / "first", d=32, layers=1, heads=1, seed=9)
    for seed, width in enumerate(WIDTHS):
        write_tiny_llama(models / "ladder" / f"w{width}", d=width, layers=1, heads=1, seed=seed)
    task = tmp_path / "letters.jsonl"
    task.write_bytes(b"\n".join(task_lines(instances=6)))
    with ExitStack() as stack:
        urls = {}
        if servers == "servers":
            urls["FIRSTLIGHT_DATABASE_URL"] = stack.enter_context(postgres_url())
            urls["FIRSTLIGHT_REDIS_URL"] = stack.enter_context(redis_url())
        link = stack.enter_context(site(tmp_path / "home", models, **urls))
        page = open_page()
        page.set_default_timeout(20_000)
        person = Person(page)
        page.goto(link)
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill("dawn-over-the-hills")
        page.get_by_label("Team").fill("Dawn")
        person.button("Create account")
        signing_in = person.clicks

        person.link("Register checkpoints")
        page.get_by_label("Folder").fill("first")
        person.button("Read folder")
        person.button("Register")
        person.choose_file("Or a new task (JSONL)", task)
        person.button("Start")
        page.locator("#run-live").get_by_text(re.compile(r"[1-6] of 6 instances done")).wait_for(
            timeout=60_000
        )
        to_a_run = person.clicks

        # The second walk begins where somebody has just signed in.
        person = Person(page, signing_in)
        page.goto(link.partition("/welcome/")[0])
        person.link("Series")
        person.link("Register checkpoints")
        page.get_by_label("Folder").fill("ladder")
        person.button("Read folder")
        page.get_by_label("Series").fill("five sizes")
        person.button("Register")
        person.choose_file("Or a new task (JSONL)", task)
        person.button("Start")
        page.get_by_role("heading", name="five sizes").wait_for()
        page.get_by_label("Its non-embedding parameters N, for example 7B").wait_for(timeout=90_000)
        page.get_by_label("Its non-embedding parameters N, for example 7B").fill("1M")
        person.button("Forecast")
        page.get_by_role("heading", name="letters").wait_for()
        to_a_forecast = person.clicks
    print(f"{servers}: {to_a_run} clicks to a live run, {to_a_forecast} to a forecast")  # noqa: T201
    assert to_a_run <= MOST_TO_A_RUN
    assert to_a_forecast <= MOST_TO_A_FORECAST
    assert [line for line in complaints if "favicon" not in line] == []
