"""Pages of teams: members with their roles, invitations, tokens."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User as DjangoUser
from django.core.mail import send_mail
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from firstlight.accounts.forms import InviteForm, RoleForm, TeamNameForm
from firstlight.accounts.own import token_facts
from firstlight.pages.forms import form_facts
from firstlight.pages.page import attempt, render_page
from firstlight.teams import actions, invitations
from firstlight.teams.access import (
    get_visible,
    get_visible_team,
    id_of,
    may_manage,
    require_manager,
    teams_of,
)
from firstlight.teams.models import ApiToken, Invitation, Membership, Team


def team_list(request: HttpRequest) -> HttpResponse:
    roles = dict(Membership.objects.filter(user_id=id_of(request.user)).values_list("team", "role"))
    teams = Team.objects.filter(pk__in=teams_of(request.user)).annotate(people=Count("memberships"))
    data = {
        "teams": [
            {
                "id": team.pk,
                "url": reverse("team", args=[team.pk]),
                "name": team.name,
                "members": team.people,
                "role": roles.get(team.pk),
                "created_at": team.created_at,
            }
            for team in teams.order_by("name")
        ]
    }
    return render_page(request, "accounts/team_list.html", data)


def team_new(request: HttpRequest) -> HttpResponse:
    """Anybody who is signed in may make a team, and owns it."""
    form = TeamNameForm(request.POST or None)
    user = request.user
    if form.is_valid() and isinstance(user, DjangoUser):
        name = form.cleaned_data["name"]
        team = form.attempt(lambda: actions.create_team(name, user))
        if team:
            messages.success(request, f"{team} has been created. Invite people next.")
            return redirect("team", team.pk)
    return render_page(
        request,
        "parts/form.html",
        form_facts(form),
        form=form,
        title="New team",
        lead="A team shares its series, tasks, runs and forecasts. You become its owner.",
        save="Create team",
        back=reverse("team-list"),
    )


def team(request: HttpRequest, pk: int) -> HttpResponse:
    team = get_visible_team(request.user, pk=pk)
    manages = may_manage(request.user, team)
    invite = InviteForm(request.POST or None)
    link = ""
    if request.method == "POST":
        require_manager(request.user, team)
        if invite.is_valid():
            values = invite.cleaned_data
            made = invite.attempt(lambda: invitations.invite(request.user, team, **values))
            if made:
                link = request.build_absolute_uri(reverse("invitation", args=[made[1]]))
                _send(request, team, values["email"], link)
                invite = InviteForm()
    waiting = invitations.open_invitations().filter(team=team)[:200]
    data: dict[str, Any] = {
        "id": team.pk,
        "name": team.name,
        "members": [
            {
                "id": m.pk,
                "person": m.user.get_username(),
                "email": m.user.email if manages else None,
                "role": m.role,
                "active": m.user.is_active,
                "self": m.user_id == request.user.pk,
            }
            for m in team.memberships.select_related("user").order_by("user__username")[:500]
        ],
        "invitations": [_invitation_facts(i) for i in waiting] if manages else [],
        "tokens": [
            token_facts(t)
            for t in ApiToken.objects.filter(team=team, revoked_at=None).select_related("user", "team")[:200]
        ]
        if manages
        else [],
    }
    answer = render_page(
        request,
        "accounts/team.html",
        data,
        team=team,
        manages=manages,
        roles=Membership.Role.choices,
        form=invite,
        link=link,
        mail=settings.MAIL_READY,
    )
    if link:
        answer["Cache-Control"] = "no-store"
    return answer


def _invitation_facts(invitation: Invitation) -> dict[str, Any]:
    return {
        "id": invitation.pk,
        "role": invitation.role,
        "email": invitation.email,
        "by": invitation.created_by.get_username() if invitation.created_by else None,
        "created_at": invitation.created_at,
        "expires_at": invitation.expires_at,
    }


def _send(request: HttpRequest, team: Team, email: str, link: str) -> None:
    """The invitation by e-mail; the link is on the page as well, so a mail server that is down costs nothing."""
    if not (email and settings.MAIL_READY):
        return
    text = (
        f"{request.user.get_username()} invites you to the team {team} on Firstlight.\n\n"
        f"{link}\n\nThe link works once, for 7 days.\n"
    )
    try:
        send_mail(f"Join {team} on Firstlight", text, None, [email])
    except OSError as error:
        messages.error(request, f"The mail to {email} could not be sent ({error}). Send the link yourself.")
    else:
        messages.success(request, f"The invitation was sent to {email}.")


def team_rename(request: HttpRequest, pk: int) -> HttpResponse:
    team = get_visible_team(request.user, pk=pk)
    require_manager(request.user, team)
    form = TeamNameForm(request.POST or None, initial={"name": team.name})
    if form.is_valid():
        name = form.cleaned_data["name"]
        if form.attempt(lambda: actions.rename_team(request.user, team, name)):
            return redirect("team", team.pk)
    return render_page(
        request,
        "parts/form.html",
        form_facts(form),
        form=form,
        title="Rename the team",
        save="Rename",
        back=reverse("team", args=[team.pk]),
    )


def member_role(request: HttpRequest, pk: int) -> HttpResponse:
    membership = get_visible(Membership, request.user, pk=pk)
    require_manager(request.user, membership.team)
    to = reverse("team", args=[membership.team_id])
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose one of the roles.")
        return redirect(to)
    role = form.cleaned_data["role"]
    return attempt(
        request,
        lambda: actions.change_role(request.user, membership, role),
        to,
        done=f"{membership.user} is {dict(Membership.Role.choices)[role].lower()} now.",
    )


def member_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """An owner removes somebody; anybody may leave."""
    membership = get_visible(Membership, request.user, pk=pk)
    leaves = membership.user_id == request.user.pk
    if not leaves:
        require_manager(request.user, membership.team)
    to = reverse("team", args=[membership.team_id])
    gone = f"You left {membership.team}." if leaves else f"{membership.user} has left {membership.team}."
    return attempt(
        request,
        lambda: actions.remove_member(request.user, membership),
        to,
        done=gone,
        then="team-list" if leaves else "",
    )


def invitation_withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    invitation = get_visible(Invitation, request.user, pk=pk)
    assert invitation.team is not None
    require_manager(request.user, invitation.team)
    return attempt(
        request,
        lambda: invitations.withdraw_invitation(request.user, invitation),
        reverse("team", args=[invitation.team_id]),
        done="The invitation is withdrawn: its link opens nothing.",
    )
