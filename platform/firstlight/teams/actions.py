"""The one door for people and teams: make an account, a team, a membership; change and end them."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User as DjangoUser
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from firstlight.files.errors import Refused
from firstlight.files.names import checked_name
from firstlight.teams.access import User, record, require_manager
from firstlight.teams.models import ApiToken, Membership, Team

MOST_TEAM_NAME = 80


def create_user(
    username: str,
    *,
    password: str | None = None,
    email: str = "",
    administrator: bool = False,
    actor: User | None = None,
) -> DjangoUser:
    """A new account; without a password nobody can sign in with it until one is set by a link."""
    model = get_user_model()
    user = model(username=username.strip(), email=email.strip(), is_staff=administrator)
    try:
        user.username_validator(user.username)
        if not user.username or len(user.username) > 150:
            raise ValidationError("A name has 1 to 150 characters.")
        check_address(user.email)
        if password is not None:
            validate_password(password, user)
    except ValidationError as error:
        raise Refused(" ".join(error.messages)) from error
    user.set_password(password)
    try:
        with transaction.atomic():
            if user.email and model.objects.filter(email__iexact=user.email).exists():
                raise Refused(f"There is already an account with the address {user.email}: sign in with it.")
            user.save(force_insert=True)
            record(actor or user, None, "created account", user, administrator=administrator)
    except IntegrityError as error:
        raise Refused(f"There is already an account named {user.username!r}: choose another name.") from error
    return user


def check_address(email: str) -> None:
    """Raises ValidationError where something is given and no e-mail address."""
    if email:
        validate_email(email)


def change_profile(user: DjangoUser, *, username: str, email: str) -> DjangoUser:
    """A person's own name and address."""
    user.username, user.email = username.strip(), email.strip()
    try:
        user.full_clean(exclude=["password"])
    except ValidationError as error:
        raise Refused(" ".join(error.messages)) from error
    with transaction.atomic():
        others = get_user_model().objects.exclude(pk=user.pk)
        if user.email and others.filter(email__iexact=user.email).exists():
            raise Refused(f"Another account has the address {user.email}: give a different one.")
        user.save(update_fields=["username", "email"])
        record(user, None, "changed profile", user)
    return user


def change_password(user: DjangoUser, *, old: str, new: str) -> DjangoUser:
    """All other sessions of the person end with the old password."""
    if not user.check_password(old):
        raise Refused("The old password is not right: type it again.")
    try:
        validate_password(new, user)
    except ValidationError as error:
        raise Refused(" ".join(error.messages)) from error
    with transaction.atomic():
        user.set_password(new)
        user.save(update_fields=["password"])
        record(user, None, "changed password", user)
    return user


def ensure_user(username: str, password: str) -> DjangoUser:
    """The person with this name, made where absent; the password is set anew (used by `firstlight demo`)."""
    user, _ = get_user_model().objects.get_or_create(username=username)
    user.set_password(password)
    user.save()
    return user


def create_team(name: str, owner: DjangoUser) -> Team:
    """A new team with its owner; raises Refused where the name is taken."""
    name = checked_name("team", name, most=MOST_TEAM_NAME)
    try:
        with transaction.atomic():
            team = Team.objects.create(name=name)
            Membership.objects.create(team=team, user=owner, role=Membership.Role.OWNER)
            record(owner, team, "created team", team)
    except IntegrityError as error:
        raise Refused(f"There is already a team named {name!r}: choose another name.") from error
    return team


def rename_team(actor: User, team: Team, name: str) -> Team:
    require_manager(actor, team)
    name, before = checked_name("team", name, most=MOST_TEAM_NAME), team.name
    try:
        with transaction.atomic():
            team.name = name
            team.save(update_fields=["name"])
            record(actor, team, "renamed team", team, before=before)
    except IntegrityError as error:
        raise Refused(f"There is already a team named {name!r}: choose another name.") from error
    return team


def add_member(actor: User, team: Team, user: DjangoUser, role: str = Membership.Role.MEMBER) -> Membership:
    """Only an owner adds people, or changes the role of one who is there."""
    require_manager(actor, team)
    return join(actor, team, user, role)


def join(actor: User | None, team: Team, user: DjangoUser, role: str) -> Membership:
    """Somebody in a role of a team, who was asked to join or is set by an owner."""
    check_role(role)
    with transaction.atomic():
        _lock(team)
        membership = Membership.objects.filter(team=team, user=user).first()
        if membership is None:
            membership = Membership.objects.create(team=team, user=user, role=role)
            record(actor, team, "added member", membership, role=role)
        elif membership.role != role:
            before, membership.role = membership.role, role
            if before == Membership.Role.OWNER:
                _keep_an_owner(membership)
            membership.save(update_fields=["role"])
            record(actor, team, "changed role", membership, role=role, before=before)
    return membership


def check_role(role: str) -> None:
    if role not in Membership.Role.values:
        raise Refused(f"no role named {role!r}: choose one of {', '.join(Membership.Role.values)}.")


def change_role(actor: User, membership: Membership, role: str) -> Membership:
    require_manager(actor, membership.team)
    return join(actor, membership.team, membership.user, role)


def remove_member(actor: User, membership: Membership) -> None:
    """An owner removes anybody, and everybody may leave. The person's tokens for the team end with it."""
    team = membership.team
    if membership.user_id != actor.pk:
        require_manager(actor, team)
    with transaction.atomic():
        _lock(team)
        if membership.role == Membership.Role.OWNER:
            _keep_an_owner(membership)
        record(actor, team, "removed member", membership)
        ApiToken.objects.filter(user_id=membership.user_id, team=team).delete()
        membership.delete()


def _lock(team: Team) -> None:
    """One change of a team's people at a time, so that two cannot each remove the other's last owner."""
    Team.objects.select_for_update().get(pk=team.pk)


def _keep_an_owner(membership: Membership) -> None:
    owners = Membership.objects.filter(team=membership.team, role=Membership.Role.OWNER)
    if not owners.exclude(pk=membership.pk).exists():
        raise Refused(
            f"{membership.user} is the last owner of {membership.team}: make somebody else an owner first."
        )


def open_account(user: DjangoUser, active: bool) -> DjangoUser:
    """Close an account, so that it and its tokens open nothing, or open it again; from the machine of the site."""
    with transaction.atomic():
        user.is_active = active
        user.save(update_fields=["is_active"])
        record(None, None, "opened account" if active else "closed account", user)
    return user
