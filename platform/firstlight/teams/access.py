"""The access helpers: every view and action reaches objects through these, so another team's object is a 404.

A model says in `TEAM_PATH` how its team is reached, e.g. `"checkpoint__series__team"`.
"""

from typing import Any, TypeVar

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404

from firstlight.teams.models import AuditEvent, Membership, Team

User = AbstractBaseUser | AnonymousUser
M = TypeVar("M", bound=models.Model)
WRITERS = (Membership.Role.MEMBER, Membership.Role.REVIEWER, Membership.Role.OWNER)


def _id(user: User) -> int:
    """The row of a person; 0, which no row has, for somebody who is not signed in."""
    return int(user.pk or 0)


def teams_of(user: User) -> models.QuerySet[Team]:
    return Team.objects.filter(memberships__user_id=_id(user))


def visible(model: type[M], user: User) -> models.QuerySet[M]:
    """All rows of `model` that belong to a team of `user`."""
    path = model.TEAM_PATH  # type: ignore[attr-defined]
    return model._default_manager.filter(**{f"{path}__memberships__user_id": user.pk})


def get_visible(model: type[M], user: User, **lookup: Any) -> M:
    """One visible row; raises Http404 where it is absent or another team's, without telling which."""
    row = visible(model, user).filter(**lookup).first()
    if row is None:
        raise Http404(f"No {model._meta.verbose_name} matches.")
    return row


def writable_teams(user: User) -> models.QuerySet[Team]:
    """The teams in which this person may change things."""
    memberships = Membership.objects.filter(user_id=_id(user), role__in=WRITERS)
    return teams_of(user).filter(pk__in=memberships.values("team")).order_by("name")


def require_some_team(user: User) -> None:
    """Raises PermissionDenied for a person who may change nothing anywhere."""
    if not writable_teams(user).exists():
        raise PermissionDenied("Your role is read-only in every team: ask an owner to make you a member.")


def may_write(user: User, team: Team) -> bool:
    return Membership.objects.filter(team=team, user_id=_id(user), role__in=WRITERS).exists()


def require_writer(user: User, team: Team) -> None:
    """Raises PermissionDenied unless `user` may change things of `team`."""
    if not may_write(user, team):
        raise PermissionDenied(f"Your role in {team} is read-only: ask an owner to make you a member.")


def is_administrator(user: User) -> bool:
    """Whether `user` looks after this site: what belongs to no team (endpoints) is theirs."""
    return bool(user.is_active and getattr(user, "is_staff", False))


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
        subject=f"{type(subject).__name__} {getattr(subject, 'pk', '')}: {subject}"[:200],
        detail=detail,
    )
