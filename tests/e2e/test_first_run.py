"""From the link that `firstlight up` prints to the home page, and a second person by an invitation."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from firstlight.teams.invitations import first_link
from tests.e2e.conftest import overflow

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def test_the_owner_comes_in_by_the_link_and_invites_a_second_person(
    site: str, open_page: "Callable[..., Page]", complaints: list[str]
) -> None:
    page = open_page(width=360)
    page.goto(f"{site}/welcome/{first_link()}")
    assert overflow(page) <= 0
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("dawn-over-the-hills")
    page.get_by_label("Team").fill("Dawn")
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("heading", name="Welcome, ada").wait_for()

    page.goto(f"{site}/teams")
    page.get_by_role("link", name="Dawn").click()
    page.get_by_label("Role", exact=True).select_option("reviewer")
    page.get_by_role("button", name="Make a link").click()
    link = page.locator("code", has_text=re.compile("/invitations/")).inner_text()
    assert overflow(page) <= 0

    second = open_page()
    second.goto(link)
    second.get_by_text("ada invites you as reviewer").wait_for()
    second.get_by_label("Name").fill("bo")
    second.get_by_label("Password").fill("stars-over-the-lake")
    second.get_by_role("button", name="Create account and join").click()
    second.get_by_text("Welcome to Dawn").wait_for()
    second.goto(f"{site}/tokens")
    second.get_by_label("Name").fill("training loop")
    second.get_by_role("button", name="Create token").click()
    assert second.locator("code", has_text="fl_").first.inner_text().startswith("fl_")
    assert complaints == []
