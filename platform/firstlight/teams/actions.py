"""The one door for teams: create one, add people to it."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User as DjangoUser
from django.db import IntegrityError, transaction

from firstlight.files.errors import Refused
from firstlight.teams.access import record
from firstlight.teams.models import Membership, Team


def create_team(name: str, owner: DjangoUser) -> Team:
    """A new team with its owner; raises Refused where the name is taken."""
    try:
        with transaction.atomic():
            team = Team.objects.create(name=name)
            Membership.objects.create(team=team, user=owner, role=Membership.Role.OWNER)
            record(owner, team, "created team", team)
    except IntegrityError as error:
        raise Refused(f"There is already a team named {name!r}: choose another name.") from error
    return team


def add_member(
    actor: DjangoUser, team: Team, user: DjangoUser, role: str = Membership.Role.MEMBER
) -> Membership:
    """Only an owner adds people, or changes the role of one who is there."""
    if not Membership.objects.filter(team=team, user=actor, role=Membership.Role.OWNER).exists():
        raise Refused(f"Only an owner of {team} can add people: ask one of them.")
    with transaction.atomic():
        membership, _ = Membership.objects.update_or_create(team=team, user=user, defaults={"role": role})
        record(actor, team, "added member", membership, role=role)
    return membership


def ensure_user(username: str, password: str) -> DjangoUser:
    """The person with this name, made where absent; the password is set anew (used by `firstlight demo`)."""
    user, _ = get_user_model().objects.get_or_create(username=username)
    user.set_password(password)
    user.save()
    return user
