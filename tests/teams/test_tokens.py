"""Tokens for scripts: good for what they say, while they are good."""

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils import timezone

from firstlight.files.errors import Refused
from firstlight.registry import actions
from firstlight.registry.models import Series
from firstlight.teams.access import (
    is_administrator,
    managed_teams,
    require_writer,
    teams_of,
    visible,
    writable_teams,
)
from firstlight.teams.actions import create_team
from firstlight.teams.models import ApiToken, Team
from firstlight.teams.tokens import create_token, revoke_token, token_of


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_user("owner", is_staff=True)


@pytest.fixture
def team(owner: User) -> Team:
    return create_team("Dawn", owner)


def test_a_token_is_kept_as_a_digest_and_found_by_its_text(owner: User) -> None:
    token, text = create_token(owner, name="loop", scope="write", days=1)
    assert text.startswith("fl_")
    assert text not in str(list(ApiToken.objects.values()))
    found = token_of(text)
    assert found == token
    token.refresh_from_db()
    assert token.used_at is not None


def test_nothing_opens_with_a_token_that_is_no_longer_good(owner: User) -> None:
    token, text = create_token(owner, name="loop", scope="write", days=1)
    revoke_token(owner, token)
    assert token_of(text) is None
    token, text = create_token(owner, name="loop", scope="write", days=1)
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now())
    assert token_of(text) is None
    token, text = create_token(owner, name="loop", scope="write", days=1)
    User.objects.update(is_active=False)
    assert token_of(text) is None
    assert token_of("") is token_of("fl_x") is token_of("fl_" + "é" * 20) is None


def test_a_token_of_a_team_sees_and_changes_that_team_only(owner: User, team: Team) -> None:
    other = create_team("Night", owner)
    for each in (team, other):
        actions.create_series(owner, each, name="ladder")
    _, text = create_token(owner, name="loop", scope="manage", days=1, team=team)
    found = token_of(text)
    assert found
    assert list(teams_of(found.user)) == list(writable_teams(found.user)) == [team]
    assert [s.team for s in visible(Series, found.user)] == [team]
    with pytest.raises(PermissionDenied):
        actions.create_series(found.user, other, name="second")
    with pytest.raises(Http404):
        create_token(owner, name="x", scope="read", days=1, team=Team(pk=999))
    assert not is_administrator(found.user)


def test_a_scope_holds_what_its_name_says(owner: User, team: Team) -> None:
    seen = {}
    for scope in ("read", "write", "manage"):
        _, text = create_token(owner, name=scope, scope=scope, days=1)
        found = token_of(text)
        assert found
        user = found.user
        seen[scope] = (
            teams_of(user).exists(),
            writable_teams(user).exists(),
            managed_teams(user).exists(),
            is_administrator(user),
        )
    assert seen == {
        "read": (True, False, False, False),
        "write": (True, True, False, False),
        "manage": (True, True, True, True),
    }
    found = token_of(create_token(owner, name="r", scope="read", days=1)[1])
    assert found
    with pytest.raises(PermissionDenied, match="only reads"):
        require_writer(found.user, team)


def test_a_token_makes_none_that_is_wider(owner: User, team: Team) -> None:
    found = token_of(create_token(owner, name="r", scope="write", days=1, team=team)[1])
    assert found
    with pytest.raises(Refused, match="cannot make one with the scope manage"):
        create_token(found.user, name="x", scope="manage", days=1, team=team)
    with pytest.raises(Refused, match="for one team"):
        create_token(found.user, name="x", scope="read", days=1)


@pytest.mark.parametrize(("days", "scope"), [(0, "read"), (10_000, "read"), (1, "all")])
def test_a_token_needs_a_known_scope_and_an_end(owner: User, days: int, scope: str) -> None:
    with pytest.raises(Refused):
        create_token(owner, name="x", scope=scope, days=days)


def test_nobody_revokes_the_token_of_somebody_else(owner: User, team: Team) -> None:
    token, text = create_token(owner, name="loop", scope="write", days=1, team=team)
    with pytest.raises(PermissionDenied, match="may revoke"):
        revoke_token(User.objects.create_user("other"), token)
    assert token_of(text)
