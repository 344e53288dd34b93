"""Getting in: the first link, invitations, forgotten passwords, and too many wrong ones."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client

from firstlight.teams.invitations import first_link, invite
from firstlight.teams.models import Membership, Team
from tests.site.conftest import World

PASSWORD = "dawn-over-the-hills"
NEW = {"username": "ada", "password": PASSWORD}


def test_the_first_link_leads_to_the_home_page_of_a_new_owner(db: None) -> None:
    client = Client()
    address = f"/welcome/{first_link()}"
    page = client.get(address)
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert "no-store" in page.headers["Cache-Control"]
    answer = client.post(address, NEW | {"team": "Dawn"}, follow=True)
    assert answer.redirect_chain == [("/", 302)]
    assert "Register checkpoints" in answer.content.decode()
    assert Membership.objects.get().role == "owner"
    again = Client().get(address)
    assert (again.status_code, "has its owner" in again.content.decode()) == (410, True)


def test_what_is_wrong_with_a_first_account_is_said_and_the_link_stays_good(db: None) -> None:
    address = f"/welcome/{first_link()}"
    page = Client().post(address, {"username": "a b", "password": PASSWORD, "team": "Dawn"})
    assert "Enter a valid username" in page.content.decode()
    assert Client().post(address, NEW | {"team": "Dawn"}).status_code == 302


@pytest.mark.parametrize("kind", ["welcome", "invitations"])
def test_a_made_up_link_opens_nothing(db: None, kind: str) -> None:
    assert Client().get(f"/{kind}/made-up").status_code == 410
    assert Client().post(f"/{kind}/made-up", NEW | {"team": "x"}).status_code == 410
    assert not User.objects.exists()


def test_a_new_person_joins_by_an_invitation(world: World) -> None:
    page = world.client("owner").post(f"/teams/{world.team.pk}", {"role": "member", "email": ""})
    found = re.search(r"http://testserver(/invitations/[\w-]+)", page.content.decode())
    assert found
    assert page.headers["Cache-Control"] == "no-store"
    assert found[1] not in world.client("owner").get(f"/teams/{world.team.pk}").content.decode()
    client = Client()
    assert "owner invites you as member" in client.get(found[1]).content.decode()
    answer = client.post(found[1], NEW, follow=True)
    assert "Welcome to Team" in answer.content.decode()
    assert Membership.objects.get(user__username="ada").team == world.team


def test_somebody_with_an_account_joins_with_a_click(world: World) -> None:
    _, secret = invite(world.owner, world.team, role="viewer")
    client = world.client("outsider")
    assert "Join the team" in client.get(f"/invitations/{secret}").content.decode()
    assert client.post(f"/invitations/{secret}").headers["Location"] == f"/teams/{world.team.pk}"
    assert client.get(f"/series/{world.series.pk}").status_code == 200


def test_an_invitation_goes_out_by_mail_where_the_site_sends_any(world: World, settings: Any) -> None:
    client = world.client("owner")
    client.post(f"/teams/{world.team.pk}", {"role": "member", "email": "ada@example.org"})
    assert mail.outbox == []
    settings.MAIL_READY = True
    client.post(f"/teams/{world.team.pk}", {"role": "member", "email": "ada@example.org"})
    (sent,) = mail.outbox
    assert sent.to == ["ada@example.org"]
    found = re.search(r"/invitations/\S+", sent.body)
    assert found
    assert Client().get(found[0]).status_code == 200


def test_a_forgotten_password_is_set_anew_by_a_link(world: World, settings: Any) -> None:
    assert "firstlight user password" in Client().get("/password/forgotten").content.decode()
    settings.MAIL_READY = True
    world.owner.email = "owner@example.org"
    world.owner.save()
    for address in ("nobody@example.org", "owner@example.org"):
        page = Client().post("/password/forgotten", {"email": address}, follow=True).content.decode()
        assert "If an account has this address" in page
    (sent,) = mail.outbox
    found = re.search(r"/password/\S+", sent.body)
    assert found
    client = Client()
    form = client.get(found[0], follow=True)
    to = form.redirect_chain[-1][0]
    client.post(to, {"new_password1": PASSWORD, "new_password2": PASSWORD})
    assert Client().post("/login", {"username": "owner", "password": PASSWORD}).status_code == 302
    assert "used already" in Client().get(found[0], follow=True).content.decode()


def test_too_many_wrong_passwords_close_a_name_for_one_address(world: World, settings: Any) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    for _ in range(3):
        answer = Client().post("/login", {"username": "owner", "password": "x"})
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "900"
    right = {"username": "owner", "password": "a-long-pass-word"}
    assert "Too many attempts" in Client().post("/login", right).content.decode()
    assert Client(REMOTE_ADDR="10.0.0.9").post("/login", right).status_code == 302
    assert Client().post("/login", right | {"username": "mate"}).status_code == 302


def test_a_closed_account_opens_nothing(world: World) -> None:
    client = world.client("mate")
    User.objects.filter(username="mate").update(is_active=False)
    assert client.get("/series").status_code == 302
    answer = Client().post("/login", {"username": "mate", "password": "a-long-pass-word"})
    assert answer.status_code == 200


def test_no_team_is_made_twice(world: World) -> None:
    client = world.client("outsider")
    assert "already a team named" in client.post("/teams/new", {"name": "Team"}).content.decode()
    client.post("/teams/new", {"name": "Third"})
    assert Team.objects.filter(name="Third", memberships__user=world.outsider).exists()
