"""What the site asks of others, seen in a browser: a provider signs somebody in, a hub sends a checkpoint."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection

from firstlight.registry.models import HubDownload
from tests.e2e import seed
from tests.e2e.conftest import overflow, shot, sign_in
from tests.registry.fake_hub import hub
from tests.site.openid_provider import CLIENT, SECRET, provider
from tests.tiny_model import write_tiny_llama
from workers import hub as worker

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def test_signing_in_through_a_provider(
    site: str, settings: Any, open_page: Callable[..., "Page"], complaints: list[str]
) -> None:
    seed.build(instances=6, cap=400, sizes=seed.SIZES[:5])
    with provider() as openid:
        settings.SSO_ISSUER, settings.SSO_CLIENT, settings.SSO_SECRET = openid.issuer, CLIENT, SECRET
        settings.SSO_NAME, settings.SSO_DOMAINS = "Lab login", ["lab.example"]
        openid.claims = {"sub": "7", "email": "ada@lab.example", "email_verified": True}
        page = open_page(390)
        page.goto(f"{site}/runs")
        shot(page, "login")
        page.get_by_role("link", name="Sign in with Lab login").click()
        page.wait_for_url(f"{site}/runs")
        page.goto(f"{site}/profile")
        page.get_by_text("This account has no password.").wait_for()
        shot(page, "profile")
        assert overflow(page) <= 0
    assert complaints == []


def test_a_checkpoint_comes_from_a_hub(
    site: str,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    open_page: Callable[..., "Page"],
    complaints: list[str],
) -> None:
    seed.build(instances=6, cap=400, sizes=seed.SIZES[:5])
    cache = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(worker, "PACE", 0.2)
    settings.HUB_ONLINE = True
    folder = write_tiny_llama(tmp_path / "plain", d=512, layers=1, heads=1)
    with hub("lab/tiny", {"main": ("c" * 40, folder)}) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        running.pace = 3e6
        page = open_page()
        sign_in(page, site, "maya", seed.PASSWORD)
        page.goto(f"{site}/checkpoints/register")
        page.get_by_label("Folder").fill("lab/tiny")
        page.get_by_role("button", name="Read folder").click()
        page.get_by_text("lab/tiny@main waits for a worker").wait_for()

        def work() -> None:
            worker.download(HubDownload.objects.get().pk)
            connection.close()

        other = threading.Thread(target=work)
        other.start()
        page.get_by_label("Downloading lab/tiny@main").wait_for(timeout=20_000)
        time.sleep(0.3)
        shot(page, "download")
        page.get_by_label("Register lab/tiny").wait_for(timeout=30_000)
        other.join()
        shot(page, "downloaded")
    assert complaints == []
