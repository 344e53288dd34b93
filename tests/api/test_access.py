"""Every operation of the API x everybody who may knock, against one table; an operation that is missing here fails."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.utils import timezone

from firstlight.api.docs import openapi
from firstlight.teams.actions import add_member, create_team
from firstlight.teams.invitations import invite
from firstlight.teams.models import ApiToken, Membership
from firstlight.teams.tokens import create_token
from tests.site.conftest import Measured, World, measured, world  # noqa: F401  # fixtures

#: operation -> what its path names, and the least that is needed: read (a viewer), write (a member), manage (an owner),
#: own (anybody), administrator. A body may be refused for what it says, but only after the person was let in.
TABLE: dict[str, tuple[str, str]] = {
    "get_me": ("", "own"),
    "list_series": ("", "own"),
    "create_series": ("", "write"),
    "get_series": ("series", "read"),
    "list_configurations": ("", "own"),
    "create_configuration": ("", "write"),
    "get_configuration": ("configuration", "read"),
    "change_configuration": ("configuration", "write"),
    "list_checkpoints": ("", "own"),
    "register_checkpoint": ("", "write"),
    "plan_checkpoint": ("", "write"),
    "serve_checkpoint": ("", "write"),
    "get_checkpoint": ("checkpoint", "read"),
    "attach_weights": ("planned", "write"),
    "read_digest_again": ("checkpoint", "write"),
    "download": ("", "write"),
    "get_download": ("", "write"),
    "preview_folder": ("", "write"),
    "preview_table": ("", "write"),
    "register_folder": ("", "write"),
    "list_tasks": ("", "own"),
    "upload_task": ("", "write"),
    "get_task": ("task", "read"),
    "list_instances": ("task", "read"),
    "exclude_instance": ("instance", "write"),
    "list_runs": ("", "own"),
    "create_runs": ("", "write"),
    "estimate_cost": ("", "write"),
    "get_run": ("run", "read"),
    "list_units": ("run", "read"),
    "list_samples": ("run", "read"),
    "export_tallies": ("run", "read"),
    "pause_run": ("run", "write"),
    "set_run_priority": ("run", "write"),
    "resume_run": ("run", "write"),
    "cancel_run": ("run", "write"),
    "retry_run": ("run", "write"),
    "list_forecasts": ("", "own"),
    "make_forecast": ("", "write"),
    "forecast_size": ("series", "write"),
    "get_forecast": ("forecast", "read"),
    "refresh_forecast": ("forecast", "write"),
    "lock_forecast": ("forecast", "write"),
    "remove_forecast": ("forecast", "write"),
    "list_teams": ("", "own"),
    "create_team": ("", "own-manage"),
    "get_team": ("team", "read"),
    "rename_team": ("team", "manage"),
    "invite": ("team", "manage"),
    "withdraw_invitation": ("invitation", "manage"),
    "change_role": ("membership", "manage"),
    "remove_member": ("membership", "manage"),
    "list_tokens": ("", "own"),
    "create_token": ("", "own-write"),
    "revoke_token": ("token", "token"),
    "list_audit": ("", "own"),
    "list_endpoints": ("", "administrator"),
    "create_endpoint": ("", "administrator"),
    "change_endpoint": ("endpoint", "administrator"),
    **{
        f"{action}_{word}": (word, "write")
        for word in ("series", "checkpoint", "configuration", "task", "run")
        for action in ("rename", "archive", "restore", "leave_out", "remove")
        if (action, word) not in {("leave_out", "series"), ("remove", "run")}
    },
}
PEOPLE = ("outsider", "viewer", "mate", "reader", "owner", "administrator")
#: What each may do to things of the world's team.
REACH = {
    "viewer": {"read"},
    "mate": {"read", "write"},
    "reader": {"read", "write"},
    "owner": {"read", "write", "manage", "token"},
    "token:read": {"read"},
    "token:write": {"read", "write", "token"},
    "token:manage": {"read", "write", "manage", "token"},
    "token:team": {"read", "write", "manage", "token"},
}


@cache
def operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    found = {}
    for path, methods in openapi()["paths"].items():
        for method, operation in methods.items():
            found[operation["operationId"]] = (method, path, operation)
    return found


def test_the_table_has_every_operation() -> None:
    assert set(operations()) == set(TABLE)


@pytest.fixture
def send(world: World, measured: Measured) -> Callable[..., Any]:  # noqa: F811
    add_member(world.owner, world.team, User.objects.create_user("reader"), "reviewer")
    invitation, _ = invite(world.owner, world.team, role="member")
    token, _ = create_token(world.owner, name="loop", scope="write", days=1, team=world.team)
    things = {
        "run": measured.runs[0],
        "forecast": measured.forecast,
        "instance": measured.instance,
        "membership": Membership.objects.get(user__username="reader"),
        "invitation": invitation,
        "token": token,
    }
    bodies: dict[str, dict[str, Any]] = {
        "rename": {"name": "renamed"},
        "leave_out": {"reason": "distracting"},
        "set_run_priority": {"priority": "high"},
        "create_series": {"name": "s"},
        "create_configuration": {"name": "c"},
        "create_team": {"name": "new team"},
        "create_token": {"name": "t", "scope": "read"},
        "invite": {},
        "change_role": {"role": "reviewer"},
        "create_runs": {"checkpoints": [world.checkpoint.pk], "tasks": [world.task.pk]},
        "estimate_cost": {"checkpoints": [world.checkpoint.pk], "tasks": [world.task.pk]},
        "make_forecast": {"task": world.task.pk, "target": world.planned.pk},
        "forecast_size": {"n_params": "7B"},
        "download": {"location": str(world.folder)},
        "preview_folder": {"location": str(world.folder)},
        "register_folder": {"series": "s", "configuration": "c", "rows": []},
        "attach_weights": {"location": str(world.folder)},
        "register_checkpoint": {"series": "s", "configuration": "c", "location": str(world.folder)},
        "plan_checkpoint": {"series": "s", "configuration": "c", "name": "p", "n_params": 5},
        "serve_checkpoint": {"series": "s", "configuration": "c", "model": "m", "n_params": 5},
    }
    endpoint = {"name": "e", "base_url": "https://e.example/v1", "served": ["m"], "enabled": False}

    def call(client: Client, operation: str, **headers: str) -> Any:
        method, path, _ = operations()[operation]
        which = TABLE[operation][0]
        thing = things.get(which) or getattr(world, which, None)
        path = path.replace("{pk}", str(thing.pk) if thing else "0")
        body = bodies.get(operation) or bodies.get(operation.rpartition("_")[0]) or {}
        body = endpoint if "endpoint" in operation and method in ("post", "put") else body
        if operation.startswith("rename"):
            body = bodies["rename"]
        if operation.startswith("leave_out"):
            body = bodies["leave_out"]
        if operation == "preview_table":
            return client.post(path, {"file": SimpleUploadedFile("t.csv", b"folder\n")}, headers=headers)
        if operation == "upload_task":
            return client.post(
                path, {"name": "t", "file": SimpleUploadedFile("t.jsonl", b"{")}, headers=headers
            )
        if method == "get":
            query = {"location": "lab/tiny"} if operation == "get_download" else {}
            return client.get(path, query, headers=headers)
        return client.generic(
            method.upper(), path, json_of(body), content_type="application/json", headers=headers
        )

    return call


def json_of(body: dict[str, Any]) -> str:
    import json

    return json.dumps(body)


def allowed(status: int) -> bool:
    return status < 400 or status == 422


def expected(operation: str, who: str) -> str:
    """in: the operation is done or refused for what it says; else the status that shuts the door."""
    which, need = TABLE[operation]
    reach = REACH.get(who, set())
    if need == "own":
        return "in"
    if need == "own-manage":
        return "403" if who in ("token:read", "token:write", "token:team") else "in"
    if need == "own-write":
        return "403" if who == "token:read" else "in"
    if need == "administrator":
        return "in" if who == "administrator" else "403"
    if need == "token":  # one's own, or, as an owner, one of the team
        return "403" if who == "token:read" else "in" if need in reach else "404"
    if which and not reach:
        return "404"
    if need in reach or (not which and who in ("outsider", "administrator")):
        return "in"
    return "403"


#: Operations whose body names things of the world's team: others get a 404 for them.
FOREIGN = {"create_runs", "estimate_cost", "make_forecast"}


def misfits(
    send: Callable[..., Any], want: Callable[[str], str], client: Client, **headers: str
) -> list[str]:
    """Operations whose answer is not the one wanted; each is undone before the next."""
    wrong = []
    for operation in sorted(TABLE):
        with transaction.atomic():
            status = send(client, operation, **headers).status_code
            transaction.set_rollback(True)
        told = want(operation)
        if not (allowed(status) if told == "in" else str(status) == told):
            wrong.append(f"{operation}: {status}, expected {told}")
    return wrong


def test_who_gets_in(world: World, send: Callable[..., Any]) -> None:  # noqa: F811
    for who in PEOPLE:

        def want(operation: str, who: str = who) -> str:
            if who in ("outsider", "administrator") and operation in FOREIGN:
                return "404"
            if (who, operation) == ("reader", "remove_member"):
                return "in"  # one's own membership: everybody may leave
            return expected(operation, who)

        client = Client()
        client.force_login(User.objects.get(username=who))
        assert misfits(send, want, client) == [], who


@pytest.mark.parametrize("scope", ["read", "write", "manage", "team"])
def test_what_a_token_opens(world: World, send: Callable[..., Any], scope: str) -> None:  # noqa: F811
    team = world.team if scope == "team" else None
    level = "manage" if scope == "team" else scope
    _, text = create_token(world.owner, name="x", scope=level, days=1, team=team)

    def want(operation: str) -> str:
        if scope == "read" and operations()[operation][0] != "get":
            return "403"
        return expected(operation, f"token:{scope}")

    assert misfits(send, want, Client(), Authorization=f"Bearer {text}") == []


def test_no_door_opens_to_nobody_or_to_a_token_that_is_no_longer_good(
    world: World,  # noqa: F811
    send: Callable[..., Any],
) -> None:
    _, revoked = create_token(world.owner, name="x", scope="manage", days=1)
    ApiToken.objects.filter(name="x").update(revoked_at=timezone.now())
    _, expired = create_token(world.owner, name="y", scope="manage", days=1)
    ApiToken.objects.filter(name="y").update(expires_at=timezone.now() - timedelta(seconds=1))
    assert misfits(send, lambda _: "401", Client()) == []
    for text in ("fl_made-up", revoked, expired):
        assert misfits(send, lambda _: "401", Client(), Authorization=f"Bearer {text}") == []


def test_a_token_of_a_team_sees_nothing_of_another_team_of_its_person(
    world: World,  # noqa: F811
    send: Callable[..., Any],
) -> None:
    other = create_team("Second", world.owner)
    _, text = create_token(world.owner, name="x", scope="manage", days=1, team=other)
    headers = {"Authorization": f"Bearer {text}"}
    wrong = []
    for operation, (which, need) in TABLE.items():
        if (which and need != "administrator" and need != "token") or operation in FOREIGN:
            status = send(Client(), operation, **headers).status_code
            if status != 404:
                wrong.append(f"{operation}: {status}")
    assert wrong == []
    for path in ("series", "checkpoints", "tasks", "runs", "forecasts", "configurations"):
        assert Client().get(f"/api/v1/{path}", headers=headers).json()["items"] == [], path


def test_a_session_needs_its_token_against_forged_requests(world: World) -> None:  # noqa: F811
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.owner)
    answer = client.post("/api/v1/series", {"name": "x"}, content_type="application/json")
    assert answer.status_code in (401, 403)
    assert client.get("/api/v1/series").status_code == 200
