"""Operations on teams, members, invitations, tokens, the audit log, and endpoints."""

from datetime import date
from typing import Any

from django.contrib.auth.models import User as DjangoUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Router
from pydantic import Field

from firstlight.accounts.audit import audit_rows, event_facts
from firstlight.accounts.own import token_facts
from firstlight.api.answers import (
    GONE,
    MADE,
    MANY,
    ONE,
    Id,
    Input,
    Name,
    Text,
    Where,
    answer,
    once,
    rows_page,
)
from firstlight.registry.endpoints import save_endpoint
from firstlight.registry.models import Endpoint
from firstlight.teams import actions, invitations, tokens
from firstlight.teams.access import (
    get_visible,
    get_visible_team,
    id_of,
    is_administrator,
    manages_everything,
    may_manage,
    require_administrator,
    teams_of,
    token_scope,
)
from firstlight.teams.models import Invitation, Membership, Team

router = Router(tags=["people"])


@router.get("/me", response=ONE, operation_id="get_me", summary="Who you are, and what this token may do")
def get_me(request: HttpRequest) -> HttpResponse:
    user = request.user
    return answer(
        {
            "name": user.get_username(),
            "administrator": is_administrator(user),
            "scope": token_scope(user),
            "teams": [team.name for team in teams_of(user).order_by("name")],
        }
    )


def _team(request: HttpRequest, team: Team) -> dict[str, Any]:
    manages = may_manage(request.user, team)
    members = team.memberships.select_related("user").order_by("user__username")[:500]
    return {
        "id": team.pk,
        "name": team.name,
        "members": [{"id": m.pk, "person": m.user.get_username(), "role": m.role} for m in members],
        "manages": manages,
    }


class TeamName(Input):
    name: Name


class Invite(Input):
    role: Name = "member"
    email: Text = Field(default="", max_length=254)


class Role(Input):
    role: Name


@router.get("/teams", response=MANY, operation_id="list_teams", summary="Your teams")
def list_teams(request: HttpRequest, where: Where) -> HttpResponse:
    return rows_page(
        Team.objects.filter(pk__in=teams_of(request.user)), where, lambda team: _team(request, team)
    )


@router.post("/teams", response=MADE, operation_id="create_team", summary="A new team of your own")
@once
def create_team(request: HttpRequest, body: TeamName) -> HttpResponse:
    _require_manage(request)
    team = actions.create_team(body.name, DjangoUser.objects.get(pk=id_of(request.user)))
    return answer(_team(request, team), 201)


def _require_manage(request: HttpRequest) -> None:
    """A token that is limited to a team or to less than managing makes no team."""
    if not manages_everything(request.user):
        raise PermissionDenied("This needs a token with the scope manage that is not limited to a team.")


@router.get("/teams/{pk}", response=ONE, operation_id="get_team", summary="One team with its members")
def get_team(request: HttpRequest, pk: Id) -> HttpResponse:
    return answer(_team(request, get_visible_team(request.user, pk=pk)))


@router.post(
    "/teams/{pk}/rename", response=ONE, operation_id="rename_team", summary="Another name for a team"
)
@once
def rename_team(request: HttpRequest, pk: Id, body: TeamName) -> HttpResponse:
    return answer(
        _team(request, actions.rename_team(request.user, get_visible_team(request.user, pk=pk), body.name))
    )


@router.post(
    "/teams/{pk}/invitations",
    response=MADE,
    operation_id="invite",
    summary="A link that lets one person in, shown once",
)
@once
def invite(request: HttpRequest, pk: Id, body: Invite) -> HttpResponse:
    team = get_visible_team(request.user, pk=pk)
    made, secret = invitations.invite(request.user, team, role=body.role, email=body.email)
    link = request.build_absolute_uri(reverse("invitation", args=[secret]))
    return answer({"id": made.pk, "role": made.role, "expires_at": made.expires_at, "link": link}, 201)


@router.delete(
    "/invitations/{pk}", response=GONE, operation_id="withdraw_invitation", summary="Withdraw an invitation"
)
def withdraw_invitation(request: HttpRequest, pk: Id) -> HttpResponse:
    invitations.withdraw_invitation(request.user, get_visible(Invitation, request.user, pk=pk))
    return HttpResponse(status=204)


@router.post(
    "/members/{pk}/role", response=ONE, operation_id="change_role", summary="Another role for a member"
)
@once
def change_role(request: HttpRequest, pk: Id, body: Role) -> HttpResponse:
    changed = actions.change_role(request.user, get_visible(Membership, request.user, pk=pk), body.role)
    return answer({"id": changed.pk, "person": changed.user.get_username(), "role": changed.role})


@router.delete(
    "/members/{pk}", response=GONE, operation_id="remove_member", summary="Remove a member, or leave a team"
)
def remove_member(request: HttpRequest, pk: Id) -> HttpResponse:
    actions.remove_member(request.user, get_visible(Membership, request.user, pk=pk))
    return HttpResponse(status=204)


class NewToken(Input):
    name: Name
    scope: Name = "write"
    days: int = Field(default=90, ge=1, le=tokens.MOST_DAYS)
    team: Id | None = None


@router.get(
    "/tokens", response=MANY, operation_id="list_tokens", summary="Your tokens, and those of your teams"
)
def list_tokens(request: HttpRequest, where: Where) -> HttpResponse:
    return rows_page(tokens.tokens_of(request.user), where, token_facts)


@router.post(
    "/tokens",
    response=MADE,
    operation_id="create_token",
    summary="A token, whose text is in this answer only",
)
@once
def create_token(request: HttpRequest, body: NewToken) -> HttpResponse:
    team = get_visible_team(request.user, pk=body.team) if body.team is not None else None
    made, text = tokens.create_token(
        request.user, name=body.name, scope=body.scope, days=body.days, team=team
    )
    return answer(token_facts(made) | {"token": text}, 201)


@router.delete("/tokens/{pk}", response=GONE, operation_id="revoke_token", summary="End a token")
def revoke_token(request: HttpRequest, pk: Id) -> HttpResponse:
    found = tokens.tokens_of(request.user).filter(pk=pk).first()
    if found is None:
        raise Http404("No token matches.")
    tokens.revoke_token(request.user, found)
    return HttpResponse(status=204)


@router.get("/audit", response=MANY, operation_id="list_audit", summary="Who changed what, the newest first")
def list_audit(
    request: HttpRequest,
    where: Where,
    team: Id | None = None,
    person: Text = "",
    verb: Text = "",
    subject: Text = "",
    since: date | None = None,
    until: date | None = None,
) -> HttpResponse:
    narrowed = {
        "team": team,
        "person": person,
        "verb": verb,
        "subject": subject,
        "since": since,
        "until": until,
    }
    return rows_page(audit_rows(request.user, narrowed), where, event_facts)


class EndpointBody(Input):
    name: Name
    base_url: Text
    served: list[Text] = Field(max_length=200)
    key_variable: Name = ""
    parallel: int = Field(default=8, ge=1, le=64)
    allow_private: bool = False
    enabled: bool = True


def _endpoint(row: Endpoint) -> dict[str, Any]:
    names = ("name", "base_url", "served", "key_variable", "parallel", "allow_private", "enabled")
    return {"id": row.pk, **{name: getattr(row, name) for name in names}}


@router.get("/endpoints", response=MANY, operation_id="list_endpoints", summary="Endpoints (administrators)")
def list_endpoints(request: HttpRequest, where: Where) -> HttpResponse:
    require_administrator(request.user)
    return rows_page(Endpoint.objects.all(), where, _endpoint)


@router.post(
    "/endpoints", response=MADE, operation_id="create_endpoint", summary="A new endpoint (administrators)"
)
@once
def create_endpoint(request: HttpRequest, body: EndpointBody) -> HttpResponse:
    require_administrator(request.user)
    return answer(_endpoint(save_endpoint(request.user, None, **body.dict())), 201)


@router.put(
    "/endpoints/{pk}",
    response=ONE,
    operation_id="change_endpoint",
    summary="Change an endpoint (administrators)",
)
def change_endpoint(request: HttpRequest, pk: Id, body: EndpointBody) -> HttpResponse:
    require_administrator(request.user)
    row = Endpoint.objects.filter(pk=pk).first()
    if row is None:
        raise Http404("No endpoint matches.")
    return answer(_endpoint(save_endpoint(request.user, row, **body.dict())))
