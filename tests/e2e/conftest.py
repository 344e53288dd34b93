"""A headless Chromium on the live server, which writes down what the browser complains of."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path(os.environ.get("FIRSTLIGHT_CHROMIUM", "/usr/bin/chromium"))
# Playwright runs an event loop in this thread; the tests themselves use the database in order.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: install it, or name it in FIRSTLIGHT_CHROMIUM")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the console said: errors, refused scripts, failed requests."""
    return []


@pytest.fixture
def open_page(browser: "Browser", complaints: list[str]) -> "Iterator[Callable[..., Page]]":
    contexts = []

    def new(width: int = 1280, scheme: str = "light", **more: Any) -> "Page":
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on(
            "console",
            lambda m: complaints.append(f"{page.url}: {m.text}") if m.type in ("error", "warning") else None,
        )
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        page.on("response", lambda r: complaints.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        return page

    yield new
    for context in contexts:
        context.close()


@pytest.fixture
def site(live_server: Any, settings: Any, tmp_path: Path) -> str:
    settings.MODEL_ROOTS = [tmp_path]
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return str(live_server.url)


def sign_in(page: "Page", site: str, name: str, password: str) -> None:
    page.goto(f"{site}/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{site}/")


def overflow(page: "Page") -> int:
    """Pixels by which the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def shot(page: "Page", name: str) -> None:
    """A picture of the page, to look at, where FIRSTLIGHT_SHOTS names a folder."""
    if folder := os.environ.get("FIRSTLIGHT_SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)
