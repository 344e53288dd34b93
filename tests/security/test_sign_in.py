"""Passwords cannot be guessed in bulk, and neither an answer nor its time tells whether an account is there."""

from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.test import Client

from firstlight.teams.actions import create_user

PASSWORD = "dawn-over-the-hills"


def sign_in(name: str, password: str, address: str = "10.0.0.1") -> int:
    return Client(REMOTE_ADDR=address).post("/login", {"username": name, "password": password}).status_code


def test_one_address_that_tries_many_names_is_closed_out_and_others_are_not(db: None, settings: Any) -> None:
    settings.MOST_FAILURES_AN_ADDRESS = 5
    create_user("ada", password=PASSWORD)
    for number in range(5):
        assert sign_in(f"name{number}", "wrong") == 200
    assert sign_in("ada", PASSWORD) == 429
    assert sign_in("ada", PASSWORD, "10.0.0.2") == 302


def test_one_account_that_many_addresses_try_is_closed_for_a_while(db: None, settings: Any) -> None:
    settings.MOST_FAILURES_AN_ACCOUNT = 5
    create_user("ada", password=PASSWORD)
    create_user("bo", password=PASSWORD)
    for number in range(5):
        assert sign_in("ada", "wrong", f"10.0.1.{number}") == 200
    assert sign_in("ada", PASSWORD, "10.0.2.1") == 429
    assert sign_in("bo", PASSWORD, "10.0.2.1") == 302


@pytest.mark.parametrize("kind", ["an account", "no account", "no password", "closed"])
def test_whatever_is_known_of_a_name_one_hash_is_made(
    db: None, settings: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A hash takes a tenth of a second, and whoever answers without one tells that the account is not there."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    if kind != "no account":
        user = create_user("ada", password=None if kind == "no password" else PASSWORD)
        user.is_active = kind != "closed"
        user.save()
    made: list[str] = []
    encode = PBKDF2PasswordHasher.encode
    monkeypatch.setattr(
        PBKDF2PasswordHasher, "encode", lambda self, *a, **k: made.append("") or encode(self, *a, **k)
    )
    assert sign_in("ada", "wrong") == 200
    assert len(made) == 1
