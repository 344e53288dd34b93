"""Signing in through a provider of OpenID Connect, which runs on loopback and checks what it is sent."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from joserfc.jwk import RSAKey

from firstlight.teams.invitations import invite
from firstlight.teams.models import AuditEvent, Identity, Invitation
from tests.site.conftest import World
from tests.site.openid_provider import CLIENT, SECRET, Provider, provider


@pytest.fixture
def openid(settings: Any) -> Iterator[Provider]:
    with provider() as running:
        settings.SSO_ISSUER, settings.SSO_CLIENT, settings.SSO_SECRET = running.issuer, CLIENT, SECRET
        settings.SSO_NAME = "Lab login"
        yield running


def come(client: Client, start: str = "/sso") -> HttpResponse:
    """To the provider and back; the last answer of ours."""
    sent = client.get(start)
    assert sent.status_code == 302, sent.content.decode()
    back = requests.get(sent.headers["Location"], allow_redirects=False, timeout=10).headers["Location"]
    url = urlsplit(back)
    return client.get(f"{url.path}?{url.query}")


def who(client: Client) -> str:
    return (
        User.objects.get(pk=client.session["_auth_user_id"]).username
        if "_auth_user_id" in client.session
        else ""
    )


def ada(**more: Any) -> dict[str, Any]:
    return {
        "sub": "s-1",
        "email": "Ada@Lab.example",
        "email_verified": True,
        "preferred_username": "ada",
        **more,
    }


def test_a_known_verified_address_signs_in_and_its_subject_stays(world: World, openid: Provider) -> None:
    world.mate.email = "ada@lab.example"
    world.mate.save()
    openid.claims = ada()
    client = Client()
    assert come(client, "/sso?next=/runs").headers["Location"] == "/runs"
    assert who(client) == "mate"
    assert AuditEvent.objects.filter(verb="connected single sign-on").count() == 1
    # the address moves, the subject stays
    openid.claims = ada(email="other@lab.example")
    again = Client()
    assert come(again).headers["Location"] == "/"
    assert who(again) == "mate"
    assert Identity.objects.count() == 1


@pytest.mark.parametrize("verified", [False, None, "no", "false"])
def test_an_address_that_is_not_verified_opens_nothing(world: World, openid: Provider, verified: Any) -> None:
    world.mate.email = "ada@lab.example"
    world.mate.save()
    openid.claims = ada(email_verified=verified)
    client = Client()
    answer = come(client)
    assert (answer.status_code, who(client)) == (403, "")
    assert "connect it on the page of your profile" in answer.content.decode()


def test_a_stranger_is_told_to_ask_for_an_invitation(world: World, openid: Provider) -> None:
    openid.claims = ada()
    answer = come(Client())
    assert answer.status_code == 403
    assert "ask an owner of a team to invite it" in answer.content.decode()
    assert not User.objects.filter(username="ada").exists()


def test_addresses_of_our_domains_get_an_account_without_a_team(
    world: World, openid: Provider, settings: Any
) -> None:
    settings.SSO_DOMAINS = ["lab.example"]
    User.objects.create(username="ada")
    openid.claims = ada()
    client = Client()
    assert come(client).headers["Location"] == "/"
    assert who(client) == "ada-2"
    made = User.objects.get(username="ada-2")
    assert not made.has_usable_password()
    assert not made.is_staff
    assert "You are in no team yet" in client.get("/").content.decode()
    openid.claims = ada(sub="s-2", email="eve@evil-lab.example")
    assert come(Client()).status_code == 403


@pytest.mark.parametrize("by", ["link", "address"])
def test_an_invited_person_gets_an_account_and_joins(world: World, openid: Provider, by: str) -> None:
    openid.claims = ada()
    invitation, secret = invite(
        world.owner, world.team, role="member", email="ada@lab.example" if by == "address" else ""
    )
    client = Client()
    page = f"/invitations/{secret}"
    assert f"/sso?next=/invitations/{secret}" in client.get(f"/login?next={page}").content.decode()
    assert come(client, f"/sso?next={page}" if by == "link" else "/sso").status_code == 302
    assert who(client) == "ada"
    assert client.post(page).status_code == 302
    assert Invitation.objects.get(pk=invitation.pk).accepted_by.username == "ada"  # type: ignore[union-attr]
    assert world.team.memberships.filter(user__username="ada", role="member").exists()


def test_a_void_invitation_makes_no_account(world: World, openid: Provider) -> None:
    invitation, secret = invite(world.owner, world.team, role="member")
    Invitation.objects.filter(pk=invitation.pk).update(withdrawn_at=invitation.created_at)
    openid.claims = ada()
    assert come(Client(), f"/sso?next=/invitations/{secret}").status_code == 403


def test_connecting_and_disconnecting_on_the_profile(world: World, openid: Provider) -> None:
    openid.claims = ada()
    openid.userinfo = {"email": "x@y.example", "email_verified": True}
    client = Client()
    client.force_login(world.mate)
    assert "Connect Lab login" in client.get("/profile").content.decode()
    assert come(client).headers["Location"] == "/profile"
    page = client.get("/profile").content.decode()
    assert "From now on you can sign in with Lab login." in page
    assert "Disconnect Lab login" in page
    fresh = Client()
    come(fresh)
    assert who(fresh) == "mate"
    other = Client()
    other.force_login(world.viewer)
    assert "another account already" in come(other).content.decode()
    assert client.post("/sso/disconnect").status_code == 302
    assert not Identity.objects.exists()


def test_the_last_way_in_is_not_removed(world: World, openid: Provider, settings: Any) -> None:
    settings.SSO_DOMAINS = ["lab.example"]
    openid.claims = ada()
    client = Client()
    come(client)
    assert "no password" in client.post("/sso/disconnect", follow=True).content.decode()
    assert Identity.objects.count() == 1


def test_a_closed_account_stays_closed(world: World, openid: Provider) -> None:
    world.mate.email, world.mate.is_active = "ada@lab.example", False
    world.mate.save()
    openid.claims = ada()
    answer = come(Client())
    assert answer.status_code == 403
    assert "closed" in answer.content.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "another-client"},
        {"iss": "https://another.example"},
        {"exp": 1_000_000_000},
        {"nonce": "another"},
        {"sub": ""},
    ],
)
def test_a_token_that_is_not_for_us_opens_nothing(
    world: World, openid: Provider, wrong: dict[str, Any]
) -> None:
    world.mate.email = "ada@lab.example"
    world.mate.save()
    openid.claims, openid.wrong = ada(), wrong
    client = Client()
    answer = come(client)
    assert (answer.status_code, who(client)) == (400, "")
    assert openid.tokens == 1


def test_a_token_signed_by_somebody_else_opens_nothing(world: World, openid: Provider) -> None:
    world.mate.email = "ada@lab.example"
    world.mate.save()
    openid.claims, openid.signed_with = ada(), RSAKey.generate_key(2048, {"kid": "one"})
    client = Client()
    assert (come(client).status_code, who(client)) == (400, "")


def test_an_answer_for_another_session_opens_nothing(world: World, openid: Provider) -> None:
    openid.claims = ada()
    sent = Client().get("/sso")
    back = urlsplit(
        requests.get(sent.headers["Location"], allow_redirects=False, timeout=10).headers["Location"]
    )
    other = Client()
    answer = other.get(f"{back.path}?{back.query}")
    assert (answer.status_code, who(other)) == (400, "")
    assert other.get("/sso/callback").status_code == 400
    assert other.get("/sso/callback?error=access_denied").status_code == 400


def test_what_the_token_leaves_out_is_asked_for(world: World, openid: Provider) -> None:
    world.mate.email = "ada@lab.example"
    world.mate.save()
    openid.claims = {"sub": "s-1"}
    openid.userinfo = {"email": "ada@lab.example", "email_verified": True}
    client = Client()
    come(client)
    assert who(client) == "mate"


def test_another_subject_in_the_userinfo_is_not_believed(world: World, openid: Provider) -> None:
    world.mate.email = "ada@lab.example"
    world.mate.save()
    openid.claims = {"sub": "s-1"}
    openid.userinfo = {"sub": "s-9", "email": "ada@lab.example", "email_verified": True}
    assert come(Client()).status_code == 403


def test_a_provider_that_does_not_answer_is_said(world: World, settings: Any) -> None:
    settings.SSO_ISSUER, settings.SSO_CLIENT, settings.SSO_SECRET = "http://127.0.0.1:9", "a", "b"
    answer = Client().get("/sso")
    assert answer.status_code == 502
    assert "does not answer" in answer.content.decode()


def test_other_sites_are_no_next_page(world: World, openid: Provider) -> None:
    world.mate.email = "ada@lab.example"
    world.mate.save()
    openid.claims = ada()
    assert come(Client(), "/sso?next=https://evil.example/").headers["Location"] == "/"


def test_a_site_without_a_provider_has_no_button_and_no_page(world: World) -> None:
    assert "/sso" not in Client().get("/login").content.decode()
    assert Client().get("/sso").status_code == 404
    assert Client().get("/sso/callback").status_code == 404
