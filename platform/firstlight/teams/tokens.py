"""Tokens for scripts: made, found by their text, and revoked."""

from datetime import timedelta

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from firstlight.files.errors import Refused
from firstlight.files.names import checked_name
from firstlight.teams.access import (
    User,
    get_visible_team,
    id_of,
    managed_teams,
    record,
    token_scope,
    token_team,
)
from firstlight.teams.models import ApiToken, Team
from firstlight.teams.secrets import digest_of, fresh_secret

PREFIX = "fl_"
MOST_DAYS = 366
SCOPES = list(ApiToken.Scope.values)


def create_token(
    actor: User, *, name: str, scope: str, days: int, team: Team | None = None
) -> tuple[ApiToken, str]:
    """A token of one's own and its text, which is nowhere else. A token makes none that is wider than itself."""
    name = checked_name("token", name, most=80)
    if scope not in SCOPES:
        raise Refused(f"no scope named {scope!r}: choose one of {', '.join(SCOPES)}.")
    if not 1 <= days <= MOST_DAYS:
        raise Refused(f"A token is good for 1 to {MOST_DAYS} days, not {days}.")
    own_scope, own_team = token_scope(actor), token_team(actor)
    if own_scope and SCOPES.index(scope) > SCOPES.index(own_scope):
        raise Refused(f"This token has the scope {own_scope}: it cannot make one with the scope {scope}.")
    if own_team and (team is None or team.pk != own_team):
        raise Refused("This token is for one team: it cannot make one for others.")
    if team is not None:
        get_visible_team(actor, pk=team.pk)
    text = PREFIX + fresh_secret()
    with transaction.atomic():
        token = ApiToken.objects.create(
            user_id=id_of(actor),
            team=team,
            name=name,
            scope=scope,
            prefix=text[:10],
            digest=digest_of(text),
            expires_at=timezone.now() + timedelta(days=days),
        )
        record(actor, team, "created token", token, scope=scope, days=days)
    return token, text


def revoke_token(actor: User, token: ApiToken) -> ApiToken:
    """One's own, or, as an owner, one that is limited to the team."""
    with transaction.atomic():
        own = tokens_of(actor).select_for_update(of=("self",)).filter(pk=token.pk).first()
        if own is None:
            raise PermissionDenied("Only its person, or an owner of its team, may revoke a token.")
        token = own
        if not token.revoked_at:
            token.revoked_at = timezone.now()
            token.save(update_fields=["revoked_at"])
            record(actor, token.team, "revoked token", token)
    return token


def tokens_of(user: User) -> QuerySet[ApiToken]:
    """The person's tokens, and those that are limited to a team of which the person is an owner."""
    return (
        ApiToken.objects.filter(Q(user_id=user.pk) | Q(team__in=managed_teams(user)))
        .select_related("user", "team")
        .order_by("-id")
    )


def token_of(text: str) -> ApiToken | None:
    """The token with this text while it is good, with its person marked by its limits for `teams.access`."""
    if not text.startswith(PREFIX) or len(text) > 200:
        return None
    now = timezone.now()
    token = (
        ApiToken.objects.filter(
            digest=digest_of(text), revoked_at=None, expires_at__gt=now, user__is_active=True
        )
        .select_related("user", "team")
        .first()
    )
    if token is None:
        return None
    if token.used_at is None or now - token.used_at > timedelta(minutes=1):
        ApiToken.objects.filter(pk=token.pk).update(used_at=now)
    token.user.token_scope = token.scope  # type: ignore[attr-defined]
    token.user.token_team_id = token.team_id  # type: ignore[attr-defined]
    return token
