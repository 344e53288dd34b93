"""Links that let people in: the first one of a fresh site, and invitations to a team. Each is good once."""

from datetime import timedelta

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User as DjangoUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from firstlight.files.errors import Refused
from firstlight.teams.access import User, record, require_manager
from firstlight.teams.actions import check_address, check_role, create_team, create_user, join
from firstlight.teams.models import Invitation, Membership, Team
from firstlight.teams.secrets import digest_of, fresh_secret

GOOD_FOR = timedelta(days=7)


def first_link() -> str | None:
    """A fresh secret for the owner's account, while there is no account; those before it are void."""
    if get_user_model().objects.exists():
        return None
    secret = fresh_secret()
    with transaction.atomic():
        Invitation.objects.filter(team=None, accepted_at=None).delete()
        Invitation.objects.create(
            role=Membership.Role.OWNER, digest=digest_of(secret), expires_at=timezone.now() + GOOD_FOR
        )
    return secret


def found_site(
    secret: str, *, username: str, password: str, team: str, email: str = ""
) -> tuple[DjangoUser, Team]:
    """The owner's account, who looks after the site, and the first team."""
    with transaction.atomic():
        invitation = _claimed(secret)
        if invitation.team_id is not None or get_user_model().objects.exists():
            raise Refused("This site has its owner already: sign in, or ask the owner for an invitation.")
        user = create_user(username, password=password, email=email, administrator=True)
        first = create_team(team, user)
        _accept(invitation, user)
    return user, first


def invite(actor: User, team: Team, *, role: str, email: str = "") -> tuple[Invitation, str]:
    """An invitation and the secret of its link, which is nowhere else."""
    require_manager(actor, team)
    check_role(role)
    try:
        check_address(email)
    except ValidationError as error:
        raise Refused(" ".join(error.messages)) from error
    secret = fresh_secret()
    with transaction.atomic():
        invitation = Invitation.objects.create(
            team=team,
            role=role,
            email=email,
            digest=digest_of(secret),
            created_by_id=actor.pk,
            expires_at=timezone.now() + GOOD_FOR,
        )
        record(actor, team, "invited", invitation, role=role, email=email)
    return invitation, secret


def withdraw_invitation(actor: User, invitation: Invitation) -> None:
    assert invitation.team is not None
    require_manager(actor, invitation.team)
    with transaction.atomic():
        invitation = Invitation.objects.select_for_update().get(pk=invitation.pk)
        if invitation.accepted_at:
            raise Refused("The invitation was accepted already: remove the member instead.")
        invitation.withdrawn_at = timezone.now()
        invitation.save(update_fields=["withdrawn_at"])
        record(actor, invitation.team, "withdrew invitation", invitation)


def open_invitations() -> QuerySet[Invitation]:
    """Those that can be accepted."""
    rows = Invitation.objects.filter(accepted_at=None, withdrawn_at=None, expires_at__gt=timezone.now())
    return rows.select_related("team", "created_by")


def open_invitation(secret: str) -> Invitation | None:
    """The invitation behind a link while it can be accepted."""
    return open_invitations().filter(digest=digest_of(secret)).first()


def accept_invitation(secret: str, user: DjangoUser) -> Membership:
    """Join the team. Who is in it already keeps a wider role."""
    with transaction.atomic():
        invitation = _claimed(secret)
        if invitation.team is None:
            raise Refused("This link is for the first account of a site: open it while signed out.")
        known = Membership.objects.filter(team=invitation.team, user=user).first()
        roles = list(Membership.Role.values)
        if known and roles.index(known.role) >= roles.index(invitation.role):
            membership = known
        else:
            membership = join(invitation.created_by or user, invitation.team, user, invitation.role)
        _accept(invitation, user)
    return membership


def accept_as_new(secret: str, *, username: str, password: str, email: str = "") -> Membership:
    """Make an account and join the team, both or neither."""
    with transaction.atomic():
        _claimed(secret)
        user = create_user(username, password=password, email=email)
        return accept_invitation(secret, user)


def _claimed(secret: str) -> Invitation:
    """The invitation, locked: of two who open one link at once, one gets in."""
    invitation = Invitation.objects.select_for_update(of=("self",)).filter(digest=digest_of(secret)).first()
    if invitation is None or invitation.withdrawn_at:
        raise Refused("This link is not valid: ask for a new one.")
    if invitation.accepted_at:
        raise Refused("This link was used already: sign in, or ask for a new one.")
    if invitation.expires_at <= timezone.now():
        raise Refused("This link has expired: ask for a new one.")
    return invitation


def _accept(invitation: Invitation, user: DjangoUser) -> None:
    invitation.accepted_at, invitation.accepted_by = timezone.now(), user
    invitation.save(update_fields=["accepted_at", "accepted_by"])
    record(user, invitation.team, "accepted invitation", invitation)
