"""Links that let people in: each is good once, for a while, and for what it says."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from firstlight.files.errors import Refused
from firstlight.teams.actions import add_member, change_role, create_team, remove_member
from firstlight.teams.invitations import (
    accept_as_new,
    accept_invitation,
    first_link,
    found_site,
    invite,
    open_invitation,
    withdraw_invitation,
)
from firstlight.teams.models import AuditEvent, Invitation, Membership, Team

PASSWORD = "dawn-over-the-hills"


@pytest.fixture(autouse=True)
def _quick(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_user("owner")


@pytest.fixture
def team(owner: User) -> Team:
    return create_team("Dawn", owner)


def test_the_first_link_makes_the_owner_and_the_first_team_once(db: None) -> None:
    secret = first_link()
    assert secret is not None
    assert secret not in str(Invitation.objects.values())
    user, team = found_site(secret, username="ada", password=PASSWORD, team="Dawn")
    assert user.is_staff
    assert Membership.objects.get(team=team, user=user).role == "owner"
    assert first_link() is None
    with pytest.raises(Refused, match="used already"):
        found_site(secret, username="eve", password=PASSWORD, team="Night")
    assert not User.objects.filter(username="eve").exists()


def test_a_later_first_link_makes_the_one_before_it_void(db: None) -> None:
    before, now = first_link(), first_link()
    assert before
    assert now
    with pytest.raises(Refused, match="not valid"):
        found_site(before, username="eve", password=PASSWORD, team="Night")
    found_site(now, username="ada", password=PASSWORD, team="Dawn")


def test_the_first_link_is_void_once_there_is_an_account(db: None) -> None:
    secret = first_link()
    assert secret
    User.objects.create_user("somebody")
    with pytest.raises(Refused, match="has its owner"):
        found_site(secret, username="eve", password=PASSWORD, team="Night")


def test_a_weak_password_leaves_the_link_good(db: None) -> None:
    secret = first_link()
    assert secret
    with pytest.raises(Refused, match="too short"):
        found_site(secret, username="ada", password="x", team="Dawn")
    assert not User.objects.exists()
    found_site(secret, username="ada", password=PASSWORD, team="Dawn")


def test_an_invitation_lets_one_person_in(owner: User, team: Team) -> None:
    _, secret = invite(owner, team, role="reviewer")
    membership = accept_as_new(secret, username="bo", password=PASSWORD)
    assert (membership.user.username, membership.role) == ("bo", "reviewer")
    with pytest.raises(Refused, match="used already"):
        accept_as_new(secret, username="eve", password=PASSWORD)
    assert not User.objects.filter(username="eve").exists()
    assert secret not in str(list(AuditEvent.objects.values()))


def test_an_old_or_withdrawn_invitation_opens_nothing(owner: User, team: Team) -> None:
    old, secret = invite(owner, team, role="member")
    Invitation.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(Refused, match="expired"):
        accept_as_new(secret, username="bo", password=PASSWORD)
    taken_back, other = invite(owner, team, role="member")
    withdraw_invitation(owner, taken_back)
    with pytest.raises(Refused, match="not valid"):
        accept_as_new(other, username="bo", password=PASSWORD)
    assert open_invitation(secret) is open_invitation(other) is None


def test_who_is_in_the_team_keeps_a_wider_role(owner: User, team: Team) -> None:
    _, secret = invite(owner, team, role="viewer")
    assert accept_invitation(secret, owner).role == "owner"


def test_only_an_owner_invites(owner: User, team: Team) -> None:
    mate = User.objects.create_user("mate")
    add_member(owner, team, mate)
    with pytest.raises(PermissionDenied, match="Only an owner"):
        invite(mate, team, role="member")


def test_the_last_owner_stays(owner: User, team: Team) -> None:
    mine = Membership.objects.get(user=owner)
    for attempt in (lambda: remove_member(owner, mine), lambda: change_role(owner, mine, "member")):
        with pytest.raises(Refused, match="last owner"):
            attempt()
    add_member(owner, team, User.objects.create_user("second"), "owner")
    remove_member(owner, mine)
    assert not Membership.objects.filter(user=owner).exists()
