"""Teams, tokens, profile, password and the audit log, as their pages do them."""

import csv
import re

from django.contrib.auth.models import User
from django.test import Client

from firstlight.teams.actions import add_member
from firstlight.teams.models import ApiToken, AuditEvent, Membership
from firstlight.teams.tokens import token_of
from tests.site.conftest import World


def test_a_person_without_a_team_is_told_so_and_offered_one(world: World) -> None:
    client = Client()
    client.force_login(User.objects.create_user("new"))
    for path in ("/", "/series/new", "/runs/new", "/tasks/new", "/configurations/new"):
        assert "You are in no team yet" in client.get(path).content.decode(), path
    answer = client.post("/teams/new", {"name": "Mine"})
    assert "You are in no team yet" not in client.get("/").content.decode()
    assert client.get(answer.headers["Location"]).status_code == 200


def test_an_owner_changes_a_role_and_removes_a_member(world: World) -> None:
    client = world.client("owner")
    mate = Membership.objects.get(user=world.mate, team=world.team)
    client.post(f"/members/{mate.pk}/role", {"role": "viewer"})
    assert world.client("mate").get("/series/new").status_code == 403
    client.post(f"/members/{mate.pk}/remove")
    assert world.client("mate").get(f"/series/{world.series.pk}").status_code == 404


def test_the_last_owner_is_told_why_nothing_happened(world: World) -> None:
    client = world.client("owner")
    mine = Membership.objects.get(user=world.owner, team=world.team)
    page = client.post(f"/members/{mine.pk}/remove", follow=True).content.decode()
    assert "the last owner" in page


def test_anybody_leaves_a_team(world: World) -> None:
    mate = Membership.objects.get(user=world.mate, team=world.team)
    answer = world.client("mate").post(f"/members/{mate.pk}/remove")
    assert answer.headers["Location"] == "/teams"


def test_only_owners_see_addresses_and_invitations(world: World) -> None:
    world.mate.email = "mate@example.org"
    world.mate.save()
    assert "mate@example.org" in world.client("owner").get(f"/teams/{world.team.pk}").content.decode()
    page = world.client("viewer").get(f"/teams/{world.team.pk}")
    assert "mate@example.org" not in page.content.decode()
    assert "Invite somebody" not in page.content.decode()
    assert (
        "mate@example.org" not in world.client("viewer").get(f"/teams/{world.team.pk}.json").content.decode()
    )


def test_a_token_is_shown_once(world: World) -> None:
    client = world.client("mate")
    page = client.post("/tokens", {"name": "loop", "scope": "write", "days": 30, "team": world.team.pk})
    found = re.search(r"fl_[\w-]{30,}", page.content.decode())
    assert found
    token = token_of(found[0])
    assert token
    assert (token.user, token.team) == (world.mate, world.team)
    assert page.headers["Cache-Control"] == "no-store"
    assert found[0] not in client.get("/tokens").content.decode()
    client.post(f"/tokens/{token.pk}/revoke")
    assert token_of(found[0]) is None


def test_a_token_for_a_foreign_team_is_no_choice(world: World) -> None:
    form = {"name": "loop", "scope": "read", "days": 30, "team": world.other_team.pk}
    assert "Select a valid choice" in world.client("mate").post("/tokens", form).content.decode()
    assert not ApiToken.objects.exists()


def test_a_changed_password_ends_other_sessions(world: World) -> None:
    here, elsewhere = world.client("mate"), world.client("mate")
    form = {"old": "wrong", "new": "dawn-over-the-hills"}
    assert "not right" in here.post("/password", form).content.decode()
    assert here.post("/password", form | {"old": "a-long-pass-word"}).status_code == 302
    assert here.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 302


def test_a_profile_keeps_names_and_addresses_apart(world: World) -> None:
    User.objects.filter(username="owner").update(email="owner@example.org")
    client = world.client("mate")
    taken = client.post("/profile", {"username": "owner", "email": ""}).content.decode()
    assert "already exists" in taken
    same = client.post("/profile", {"username": "mate", "email": "Owner@example.org"}).content.decode()
    assert "Another account has the address" in same
    assert client.post("/profile", {"username": "mate2", "email": "m@example.org"}).status_code == 302
    assert User.objects.get(pk=world.mate.pk).username == "mate2"


def test_the_audit_log_is_narrowed_by_its_filters(world: World) -> None:
    client = world.client("owner")
    every = client.get("/audit.json").json()["events"]
    assert {event["team"] for event in every} <= {"Team", None}
    made = client.get("/audit.json?verb=registered&person=OWNER").json()["events"]
    assert [event["verb"] for event in made] == ["registered checkpoint"]
    assert client.get("/audit.json?until=2001-01-01").json()["events"] == []
    assert client.get("/audit.json?since=nonsense&after=x").status_code == 200
    assert "Nothing matches" in client.get("/audit?subject=zzz").content.decode()


def test_lines_of_the_site_are_for_administrators(world: World) -> None:
    AuditEvent.objects.create(team=None, actor=world.outsider, verb="created endpoint", subject="gpu-9")
    assert "gpu-9" not in world.client("owner").get("/audit").content.decode()
    assert "gpu-9" in world.client("administrator").get("/audit").content.decode()
    assert "gpu-9" in world.client("outsider").get("/audit").content.decode()


def test_a_long_audit_log_has_pages_that_miss_nothing(world: World) -> None:
    for k in range(120):
        AuditEvent.objects.create(team=world.team, actor=world.owner, verb="tested", subject=str(k))
    client, seen, after = world.client("owner"), [], ""
    while True:
        data = client.get(f"/audit.json?verb=tested{after}").json()
        seen += [event["subject"] for event in data["events"]]
        if data["next_after"] is None:
            break
        after = f"&after={data['next_after']}"
    assert seen == [str(k) for k in reversed(range(120))]


def test_no_cell_of_the_audit_csv_is_a_formula(world: World) -> None:
    AuditEvent.objects.create(team=world.team, actor=world.owner, verb="tested", subject="=1+1")
    answer = world.client("owner").get("/audit.csv?verb=tested")
    rows = list(csv.reader(b"".join(answer.streaming_content).decode().splitlines()))  # type: ignore[attr-defined]
    assert rows[0][:4] == ["at", "person", "team", "what"]
    assert rows[1][4] == "'=1+1"


def test_members_of_a_team_do_not_manage_it(world: World) -> None:
    add_member(world.owner, world.team, User.objects.create_user("third"))
    third = Membership.objects.get(user__username="third")
    client = world.client("mate")
    assert client.post(f"/members/{third.pk}/role", {"role": "owner"}).status_code == 403
    assert client.post(f"/teams/{world.team.pk}", {"role": "owner", "email": ""}).status_code == 403
