"""The access helpers: every view and action reaches objects through these, so another team's object is a 404.

A model says in `TEAM_PATH` how its team is reached, e.g. `"checkpoint__series__team"`.
A person who came with a token carries its limits (`token_scope`, `token_team_id`), and all helpers heed them.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404

from firstlight.teams.models import AuditEvent, Membership, Team

User = AbstractBaseUser | AnonymousUser
M = TypeVar("M", bound=models.Model)
WRITERS = (Membership.Role.MEMBER, Membership.Role.REVIEWER, Membership.Role.OWNER)


def id_of(user: User) -> int:
    """The row of a person; 0, which no row has, for somebody who is not signed in."""
    return int(user.pk or 0)


def token_scope(user: User) -> str | None:
    """The scope of the token that a person came with; None for a session."""
    return getattr(user, "token_scope", None)


def token_team(user: User) -> int | None:
    """The team that the token is limited to, if any."""
    return getattr(user, "token_team_id", None)


def teams_of(user: User) -> models.QuerySet[Team]:
    """The teams whose objects `user` sees. With a token that is limited to a team: that one at most."""
    teams = Team.objects.filter(memberships__user_id=id_of(user))
    limit = token_team(user)
    return teams if limit is None else teams.filter(pk=limit)


def visible(model: type[M], user: User) -> models.QuerySet[M]:
    """All rows of `model` that belong to a team of `user`."""
    path = model.TEAM_PATH  # type: ignore[attr-defined]
    rows = model._default_manager.filter(**{f"{path}__memberships__user_id": user.pk})
    limit = token_team(user)
    return rows if limit is None else rows.filter(**{path: limit})


def get_visible(model: type[M], user: User, **lookup: Any) -> M:
    """One visible row; raises Http404 where it is absent or another team's, without telling which."""
    row = visible(model, user).filter(**lookup).first()
    if row is None:
        raise Http404(f"No {model._meta.verbose_name} matches.")
    return row


def get_visible_team(user: User, **lookup: Any) -> Team:
    """One team of the person; raises Http404 for any other."""
    team = teams_of(user).filter(**lookup).first()
    if team is None:
        raise Http404("No team matches.")
    return team


def team_of(row: models.Model) -> Team:
    """The team that a row belongs to, along its model's TEAM_PATH."""
    value: Any = row
    for name in row.TEAM_PATH.split("__"):  # type: ignore[attr-defined]
        value = getattr(value, name)
    assert isinstance(value, Team)
    return value


def writable_teams(user: User) -> models.QuerySet[Team]:
    """The teams in which this person may change things."""
    return _teams_by_role(user, WRITERS, ("write", "manage"))


def managed_teams(user: User) -> models.QuerySet[Team]:
    """The teams whose members, invitations and tokens this person looks after."""
    return _teams_by_role(user, (Membership.Role.OWNER,), ("manage",))


def _teams_by_role(user: User, roles: Sequence[str], scopes: Sequence[str]) -> models.QuerySet[Team]:
    if token_scope(user) not in (None, *scopes):
        return Team.objects.none()
    memberships = Membership.objects.filter(user_id=id_of(user), role__in=roles)
    return teams_of(user).filter(pk__in=memberships.values("team")).order_by("name")


def why_read_only(user: User) -> str:
    """Why a person may change nothing anywhere, with the remedy; "" where something can be changed."""
    if writable_teams(user).exists():
        return ""
    if token_scope(user) == "read":
        return "This token only reads: make one with the scope write."
    if teams_of(user).exists():
        return "Your role is read-only in every team: ask an owner to make you a member."
    return "You are in no team yet: ask for an invitation, or create a team."


def require_some_team(user: User) -> None:
    """Raises PermissionDenied for a person who may change nothing anywhere."""
    if why := why_read_only(user):
        raise PermissionDenied(why)


def may_write(user: User, team: Team) -> bool:
    return writable_teams(user).filter(pk=team.pk).exists()


def require_writer(user: User, team: Team) -> None:
    """Raises PermissionDenied unless `user` may change things of `team`."""
    if not may_write(user, team):
        if token_scope(user) == "read":
            raise PermissionDenied(why_read_only(user))
        raise PermissionDenied(f"Your role in {team} is read-only: ask an owner to make you a member.")


def may_manage(user: User, team: Team) -> bool:
    return managed_teams(user).filter(pk=team.pk).exists()


def require_manager(user: User, team: Team) -> None:
    """Raises PermissionDenied unless `user` looks after the people of `team`."""
    if not may_manage(user, team):
        raise PermissionDenied(f"Only an owner of {team} may change its people: ask one of them.")


def is_administrator(user: User) -> bool:
    """Whether `user` looks after this site: what belongs to no team (endpoints) is theirs."""
    return bool(user.is_active and getattr(user, "is_staff", False) and manages_everything(user))


def manages_everything(user: User) -> bool:
    """Whether what the person may do is not narrowed by a token."""
    return token_scope(user) in (None, "manage") and token_team(user) is None


def require_administrator(user: User) -> None:
    """Raises PermissionDenied unless `user` is an administrator of the site."""
    if not is_administrator(user):
        raise PermissionDenied("Only an administrator of this site may see or change this.")


def record(actor: User | None, team: Team | None, verb: str, subject: object, **detail: Any) -> None:
    """Append one audit line; called inside the transaction of the change. No team: it concerns the whole site."""
    AuditEvent.objects.create(
        team=team,
        actor_id=actor.pk if actor else None,
        verb=verb,
        subject=AuditEvent.subject_of(subject),
        detail=detail,
    )


def history_of(thing: object, team: Team, verbs: Sequence[str]) -> list[dict[str, Any]]:
    """The audit lines with these verbs about a thing of a team whose name never changes, the newest first."""
    rows = AuditEvent.objects.filter(team=team, subject=AuditEvent.subject_of(thing), verb__in=verbs)
    return [
        {
            "at": e.at,
            "person": e.actor.get_username() if e.actor else None,
            "verb": e.verb,
            "detail": e.detail,
        }
        for e in rows.select_related("actor")[:100]
    ]
