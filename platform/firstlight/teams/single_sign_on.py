"""Accounts of people who sign in through the site's provider of OpenID Connect: find one, make one, connect one."""

import re
from dataclasses import dataclass

from django.contrib.auth.models import User as DjangoUser
from django.db import IntegrityError, transaction

from firstlight.files.errors import Refused
from firstlight.teams.access import record
from firstlight.teams.actions import create_user
from firstlight.teams.invitations import open_invitation, open_invitations
from firstlight.teams.models import Identity


@dataclass(frozen=True)
class ProviderSays:
    """What the provider's signed answer says of a person. `email` is "" unless the provider verified it."""

    issuer: str
    subject: str
    email: str = ""
    name: str = ""


def account_of(says: ProviderSays, *, domains: list[str], invitation: str = "") -> DjangoUser:
    """The account that this person signs in to; connected, or made, where that is allowed.

    The subject goes before the address: an address may be given to somebody else one day. An account is made for who
    holds an open invitation (its link, or one that was sent to this address) and for the addresses of `domains`.
    Raises Refused with the remedy for anybody else.
    """
    with transaction.atomic():
        identity = _identity(says)
        if identity:
            return _active(identity.user)
        if not says.email:
            raise Refused(
                "The provider names no verified e-mail address of yours: sign in with your password, and connect it on "
                "the page of your profile."
            )
        same = list(DjangoUser.objects.filter(email__iexact=says.email)[:2])
        if len(same) > 1:
            raise Refused(
                f"More than one account has the address {says.email}: ask who looks after the site."
            )
        if same:
            return connect(_active(same[0]), says)
        found = open_invitation(invitation) if invitation else None
        invited = (found is not None and found.team_id is not None) or open_invitations().filter(
            email__iexact=says.email
        ).exists()
        if not invited and says.email.rpartition("@")[2].lower() not in domains:
            raise Refused(
                f"No account here has the address {says.email}: ask an owner of a team to invite it."
            )
        return connect(create_user(_free_name(says), email=says.email), says)


def connect(user: DjangoUser, says: ProviderSays) -> DjangoUser:
    """From now on this person of the provider signs in to this account."""
    identity = _identity(says)
    if identity is None:
        try:
            with transaction.atomic():
                identity = Identity.objects.create(user=user, issuer=says.issuer, subject=says.subject)
                record(user, None, "connected single sign-on", user, issuer=says.issuer)
        except IntegrityError:  # two windows at once
            identity = _identity(says)
    if identity is None or identity.user_id != user.pk:
        raise Refused("This person of the provider signs in to another account already: sign in there.")
    return user


def disconnect(user: DjangoUser) -> None:
    """The provider opens this account no longer; refused where that would leave no way in."""
    if not user.has_usable_password():
        raise Refused("This account has no password yet: ask for a link to choose one, then disconnect.")
    with transaction.atomic():
        if Identity.objects.filter(user=user).delete()[0]:
            record(user, None, "disconnected single sign-on", user)


def _identity(says: ProviderSays) -> Identity | None:
    rows = Identity.objects.select_related("user")
    return rows.filter(issuer=says.issuer, subject=says.subject).first()


def _active(user: DjangoUser) -> DjangoUser:
    if not user.is_active:
        raise Refused("This account is closed: ask who looks after the site.")
    return user


def _free_name(says: ProviderSays) -> str:
    """A name for the account that nobody has."""
    wanted = (
        re.sub(r"[^\w.@+-]+", "-", says.name or says.email.partition("@")[0]).strip("-")[:140] or "person"
    )
    taken = set(DjangoUser.objects.filter(username__startswith=wanted).values_list("username", flat=True))
    return next(
        name for name in (wanted, *(f"{wanted}-{n}" for n in range(2, len(taken) + 3))) if name not in taken
    )
