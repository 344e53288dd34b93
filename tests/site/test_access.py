"""Every address x (anonymous, outsider, viewer, member, administrator of the site) against one table."""

from collections.abc import Iterable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from firstlight.teams.actions import add_member
from firstlight.teams.invitations import invite
from firstlight.teams.models import ApiToken, Invitation, Membership
from firstlight.teams.tokens import create_token
from tests.site.conftest import Measured, World

#: name -> (arguments, method, outsider, viewer, member). Without arguments: own lists, maybe empty.
TABLE: dict[str, tuple[str, str, int, int, int]] = {
    "home": ("", "get", 200, 200, 200),
    "series-list": ("", "get", 200, 200, 200),
    "series-new": ("", "get", 200, 403, 200),
    "series": ("series", "get", 404, 200, 200),
    "checkpoints-register": ("", "get", 200, 403, 200),
    "checkpoint-register": ("series", "get", 404, 403, 200),
    "checkpoint-digest": ("checkpoint", "post", 404, 403, 302),
    "checkpoint-plan": ("series", "get", 404, 403, 200),
    "checkpoint-serve": ("series", "get", 404, 403, 200),
    "checkpoint": ("checkpoint", "get", 404, 200, 200),
    "checkpoint-attach": ("planned", "get", 404, 403, 200),
    "configuration-list": ("", "get", 200, 200, 200),
    "configuration-new": ("", "get", 200, 403, 200),
    "configuration": ("configuration", "get", 404, 200, 200),
    "configuration-edit": ("configuration", "get", 404, 403, 200),
    "endpoint-list": ("", "get", 403, 403, 403),
    "endpoint-new": ("", "get", 403, 403, 403),
    "endpoint-edit": ("endpoint", "get", 403, 403, 403),
    "task-list": ("", "get", 200, 200, 200),
    "task-new": ("", "get", 200, 403, 200),
    "task": ("task", "get", 404, 200, 200),
    "instances-exclude": ("task", "post", 404, 403, 302),
    "excluded-csv": ("task", "get", 404, 200, 200),
    "instance": ("instance", "get", 404, 200, 200),
    "instance-exclude": ("instance", "post", 404, 403, 302),
    "run-list": ("", "get", 200, 200, 200),
    "run-new": ("", "get", 200, 403, 200),
    "run": ("run", "get", 404, 200, 200),
    "run-live": ("run", "get", 404, 200, 200),
    "run-csv": ("run", "get", 404, 200, 200),
    "run-pause": ("run", "post", 404, 403, 302),
    "run-priority": ("run", "post", 404, 403, 302),
    "run-resume": ("run", "post", 404, 403, 302),
    "run-cancel": ("run", "post", 404, 403, 302),
    "run-retry": ("run", "post", 404, 403, 302),
    "team-list": ("", "get", 200, 200, 200),
    "team-new": ("", "get", 200, 200, 200),
    "team": ("team", "get", 404, 200, 200),
    "team-rename": ("team", "get", 404, 403, 403),
    "member-role": ("membership", "post", 404, 403, 403),
    "member-remove": ("membership", "post", 404, 403, 403),
    "invitation-withdraw": ("invitation", "post", 404, 403, 403),
    "token-list": ("", "get", 200, 200, 200),
    "token-revoke": ("token", "post", 404, 404, 404),
    "profile": ("", "get", 200, 200, 200),
    "password": ("", "get", 200, 200, 200),
    "sso-disconnect": ("", "post", 302, 302, 302),
    "audit-log": ("", "get", 200, 200, 200),
    "audit-csv": ("", "get", 200, 200, 200),
    "forecast-list": ("", "get", 200, 200, 200),
    "forecast": ("forecast", "get", 404, 200, 200),
    "curve": ("series", "get", 404, 200, 200),
    "forecast-make": ("", "post", 404, 403, 302),
    "forecast-refresh": ("forecast", "post", 404, 403, 302),
    "size-forecast": ("series", "post", 404, 403, 302),
    "forecast-remove": ("forecast", "post", 404, 403, 302),
    "series-change": ("series", "post", 404, 403, 302),
    "checkpoint-change": ("checkpoint", "post", 404, 403, 302),
    "configuration-change": ("configuration", "post", 404, 403, 302),
    "task-change": ("task", "post", 404, 403, 302),
    "run-change": ("run", "post", 404, 403, 302),
    "forecast-lock": ("forecast", "post", 404, 403, 302),
}
#: What the administrators of the site see. Elsewhere they see what other people of their team see.
ADMINISTRATORS = {"endpoint-list", "endpoint-new", "endpoint-edit"}
#: What owners may and members may not.
OWNERS = {
    "team-rename": 200,
    "member-role": 302,
    "member-remove": 302,
    "invitation-withdraw": 302,
    "token-revoke": 302,
}
OPEN = {
    "login",
    "sso",
    "sso-callback",
    "api-docs",
    "healthz",
    "readyz",
    "may-send",
    "welcome",
    "invitation",
    "password-forgotten",
    "password-new",
}
ELSEWHERE = {"logout"}


def names() -> list[str]:
    def walk(patterns: Iterable[object]) -> list[str]:
        known: list[str] = []
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                if pattern.namespace == "api":  # tests/api has a table of its own
                    continue
                known += walk(pattern.url_patterns)
            elif isinstance(pattern, URLPattern) and pattern.name:
                known.append(pattern.name)
        return known

    return sorted(set(walk(get_resolver().url_patterns)))


def address(name: str, world: World, measured: Measured) -> str:
    which = TABLE[name.removesuffix(".json")][0]
    things = {
        "run": measured.runs[0],
        "forecast": measured.forecast,
        "instance": measured.instance,
        "membership": Membership.objects.filter(team=world.team, role="reviewer").first(),
        "invitation": Invitation.objects.filter(team=world.team).first(),
        "token": ApiToken.objects.filter(team=world.team).first(),
    }
    thing = things.get(which) or (getattr(world, which) if which else None)
    return reverse(name, args=[thing.pk] if thing else [])


def send(client: Client, name: str, world: World, measured: Measured) -> int:
    base = name.removesuffix(".json")
    data = {
        "role": "reviewer",
        "reason": "distracting",
        "sure": "yes",
        "priority": "high",
        "task": world.task.pk,
        "target": world.planned.pk,
    }
    if TABLE[base][1] == "post":
        return client.post(address(name, world, measured), data).status_code
    return client.get(address(name, world, measured)).status_code


def test_the_table_has_every_address() -> None:
    known = set(TABLE) | OPEN | ELSEWHERE
    assert {name.removesuffix(".json") for name in names()} == known


def test_every_page_has_a_json_twin() -> None:
    pages = {name for name, row in TABLE.items() if row[1] == "get"} - {
        "run-live",
        "run-csv",
        "audit-csv",
        "excluded-csv",
    }
    assert {f"{name}.json" for name in pages} == {name for name in names() if name.endswith(".json")}


def test_who_gets_what(world: World, measured: Measured) -> None:
    wrong = []
    add_member(world.owner, world.team, User.objects.create_user("reader"), "reviewer")
    invite(world.owner, world.team, role="member")
    create_token(world.owner, name="loop", scope="write", days=1, team=world.team)
    for name in names():
        base = name.removesuffix(".json")
        if base not in TABLE:
            continue
        _, _, outsider, viewer, member = TABLE[base]
        anonymous = 401 if name.endswith(".json") or name == "run-live" else 302
        for who, expected in (
            (None, anonymous),
            ("outsider", outsider),
            ("viewer", viewer),
            ("mate", member),
            ("administrator", 200 if base in ADMINISTRATORS else outsider),
        ):
            client = world.client(who) if who else Client()
            status = send(client, name, world, measured)
            if status != expected:
                wrong.append(f"{name} as {who}: {status}, expected {expected}")
    # owners last: some of what they do cannot be done twice
    for base, expected in OWNERS.items():
        status = send(world.client("owner"), base, world, measured)
        if status != expected:
            wrong.append(f"{base} as owner: {status}, expected {expected}")
    assert not wrong, "\n".join(wrong)


def test_an_anonymous_page_leads_to_the_login(world: World) -> None:
    answer = Client().get(reverse("series", args=[world.series.pk]))
    assert answer.headers["Location"].startswith("/login?next=/series/")


@pytest.mark.parametrize("name", ["login", "healthz", "readyz"])
def test_what_needs_no_login(db: None, name: str) -> None:
    assert Client().get(reverse(name)).status_code == 200


def test_viewers_see_no_buttons(world: World, measured: Measured) -> None:
    client = world.client("viewer")
    for name in (
        "series-list",
        "series",
        "checkpoint",
        "configuration",
        "task",
        "run",
        "run-list",
        "forecast",
        "curve",
    ):
        page = client.get(address(name, world, measured)).content.decode()
        forms = page.count('method="post"')
        assert forms == 1, f"{name} has {forms} forms that post; only signing out is a viewer's"


def test_an_outsider_sees_no_name_of_ours(world: World, measured: Measured) -> None:
    client = world.client("outsider")
    for name in (
        "home",
        "series-list",
        "task-list",
        "run-list",
        "forecast-list",
        "configuration-list",
        "run-new",
    ):
        page = client.get(reverse(name)).content.decode()
        for ours in ("ladder", "sums v1", "recipe</a>", "m80000"):
            assert ours not in page.replace("foreign recipe</a>", ""), f"{ours} on {name}"


@pytest.mark.parametrize("huge", [2**63, 10**30])
def test_an_id_beyond_every_database_is_not_found(client: Client, huge: int) -> None:
    for path in (f"/runs/{huge}", f"/series/{huge}", f"/runs/{huge}.json", f"/configurations/1?diff={huge}"):
        assert client.get(path).status_code in (200, 404)


def test_nonsense_in_the_query_is_no_error(client: Client, measured: Measured) -> None:
    for query in (
        "after=x",
        "after=-1",
        "after=99999999999999999999",
        "sort=;drop",
        "state=%00",
        "task=²",
        "units=zzz",
    ):
        for path in (
            "/runs",
            "/series",
            "/tasks",
            "/forecasts",
            f"/runs/{measured.runs[0].pk}",
            "/configurations",
        ):
            assert client.get(f"{path}?{query}").status_code == 200, f"{path}?{query}"
