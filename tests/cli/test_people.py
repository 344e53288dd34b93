"""`firstlight user`, `team` and `token`, and what `firstlight up` says of getting in."""

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from firstlight.teams.tokens import token_of
from tests.cli.conftest import Call, refused
from workers.cli.site import entrance

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _quick(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def test_an_account_without_a_password_gets_one_by_its_link(call: Call) -> None:
    answer = call("user", "add", "ada", "--json")
    link = json.loads(answer.out)["link"]
    client = Client()
    form = client.get(re.sub(r"^http://[^/]+", "", link), follow=True)
    to = form.redirect_chain[-1][0]
    new = {"new_password1": "dawn-over-the-hills", "new_password2": "dawn-over-the-hills"}
    assert client.post(to, new).status_code == 302
    signed_in = Client().post("/login", {"username": "ada", "password": "dawn-over-the-hills"})
    assert signed_in.headers["Location"] == "/"


def test_an_account_a_team_and_a_token_are_made_and_listed(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("dawn-over-the-hills\n"))
    assert call("user", "add", "ada", "--administrator", "--password-stdin").status == 0
    assert User.objects.get().check_password("dawn-over-the-hills")
    assert call("team", "add", "Dawn", "--owner", "ada").status == 0
    assert call("user", "add", "bo", "--team", "Dawn", "--role", "viewer").status == 0
    assert call("user", "list").out.splitlines() == [
        "ada: Dawn (owner), administrator",
        "bo: Dawn (viewer)",
    ]
    assert json.loads(call("team", "list", "--json").out)[0]["team"] == "Dawn"
    text = call("token", "add", "loop", "--user", "ada", "--team", "Dawn").out.strip()
    token = token_of(text)
    assert token
    assert call("token", "revoke", token.prefix, "--user", "ada").status == 0
    assert token_of(text) is None


def test_a_closed_account_is_opened_again(call: Call) -> None:
    call("user", "add", "ada")
    call("user", "close", "ada")
    assert call("user", "list").out == "ada: no team, closed\n"
    call("user", "open", "ada")
    assert User.objects.get().is_active


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["user", "add", "a b"], "valid username"),
        (["user", "add", "taken"], "already an account"),
        (["user", "add", "new", "--email", "x"], "valid email"),
        (["user", "add", "new", "--team", "none"], "no team 'none'"),
        (["user", "password", "nobody"], "no account 'nobody'"),
        (["team", "add", "", "--owner", "taken"], "1 to 80"),
        (["team", "add", "Dawn", "--owner", "nobody"], "no account 'nobody'"),
        (["token", "add", "x", "--user", "taken", "--scope", "all"], "no scope named 'all'"),
        (["token", "add", "x", "--user", "taken", "--days", "0"], "1 to 366 days"),
        (["token", "revoke", "fl_", "--user", "taken"], "no token begins"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_in_a_line(call: Call, words: list[str], told: str) -> None:
    User.objects.create_user("taken")
    refused(call(*words), told)
    assert User.objects.count() == 1


def test_up_prints_the_first_link_then_how_to_sign_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTLIGHT_MODEL_ROOTS", f"{tmp_path}:/absent/models")
    said = entrance("http://127.0.0.1:8000")
    found = re.search(r"http://127.0.0.1:8000(/welcome/\S+)", said)
    assert found
    assert f"{tmp_path}, /absent/models (absent)" in said
    new = {"username": "ada", "password": "dawn-over-the-hills", "team": "Dawn"}
    assert Client().post(found[1], new).status_code == 302
    assert "Sign in: http://127.0.0.1:8000/login" in entrance("http://127.0.0.1:8000")
