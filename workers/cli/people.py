"""`firstlight user`, `team` and `token`: accounts without a browser, by the site's actions."""

import argparse
import json
import sys
from typing import Any

from firstlight.files.errors import Refused
from workers.database import prepare_database, set_up_django


def add_commands(commands: Any) -> None:
    user = commands.add_parser("user").add_subparsers(dest="action", required=True, metavar="ACTION")
    add = user.add_parser("add", help="make an account")
    add.add_argument("name")
    add.add_argument("--email", default="", help="address for invitations and forgotten passwords")
    add.add_argument(
        "--administrator", action="store_true", help="looks after the site: endpoints, audit log"
    )
    add.add_argument("--team", help="a team to join")
    add.add_argument("--role", default="member", help="role in it (default member)")
    add.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    _run(add, _user_add)
    _run(user.add_parser("list", help="all accounts with their teams"), _user_list)
    password = user.add_parser("password", help="print a link with which a person chooses a new password")
    password.add_argument("name")
    _run(password, _user_password)
    for action, active in (("close", False), ("open", True)):
        parser = user.add_parser(action, help=f"{action} an account: closed ones open nothing")
        parser.add_argument("name")
        _run(parser, _user_open if active else _user_close)
    team = commands.add_parser("team").add_subparsers(dest="action", required=True, metavar="ACTION")
    add = team.add_parser("add", help="make a team")
    add.add_argument("name")
    add.add_argument("--owner", required=True, help="the account that owns it")
    _run(add, _team_add)
    _run(team.add_parser("list", help="all teams with their members"), _team_list)
    quota = team.add_parser(
        "quota", help="say what a team may take of the engines; what is left out has no limit"
    )
    quota.add_argument("name")
    quota.add_argument("--open-runs", type=int, metavar="N", help="open runs at once")
    quota.add_argument("--draws-a-day", type=int, metavar="N", help="draws a day (UTC)")
    quota.add_argument("--engine-hours-a-day", type=float, metavar="H", help="hours of engines a day (UTC)")
    _run(quota, _team_quota)
    token = commands.add_parser("token").add_subparsers(dest="action", required=True, metavar="ACTION")
    add = token.add_parser("add", help="make a token and print it, once")
    add.add_argument("name", help="what uses it")
    add.add_argument("--user", required=True, help="whose token it is")
    add.add_argument("--scope", default="write", help="read, write or manage (default write)")
    add.add_argument("--days", type=int, default=90, help="days that it is good for (default 90)")
    add.add_argument("--team", help="limit it to one team")
    _run(add, _token_add)
    revoke = token.add_parser("revoke", help="end a token")
    revoke.add_argument("prefix", help="its first characters, as the lists show them")
    revoke.add_argument("--user", required=True, help="whose token it is")
    _run(revoke, _token_revoke)


def _run(parser: argparse.ArgumentParser, command: Any) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")

    def run(arguments: argparse.Namespace) -> int:
        set_up_django()
        prepare_database()
        from django.core.exceptions import PermissionDenied

        try:
            facts, text = command(arguments)
        except PermissionDenied as error:
            raise Refused(str(error)) from error
        print(json.dumps(facts, indent=2, default=str) if arguments.json else text)
        return 0

    parser.set_defaults(run=run)


def _user_add(arguments: argparse.Namespace) -> tuple[Any, str]:
    """Without a password the person sets one by a link, so that nobody else ever knows it."""
    from django.db import transaction

    from firstlight.teams.actions import create_user, join

    password = sys.stdin.readline().rstrip("\r\n") if arguments.password_stdin else None
    with transaction.atomic():
        user = create_user(
            arguments.name, password=password, email=arguments.email, administrator=arguments.administrator
        )
        if arguments.team:
            join(None, _team(arguments.team), user, arguments.role)
    facts = {"user": user.username, "administrator": user.is_staff, "team": arguments.team}
    made = f"made the account {user.username}" + (f" in {arguments.team}" if arguments.team else "")
    if password is not None:
        return facts, made
    link = _link(user)
    return facts | {"link": link}, f"{made}\nchoose a password here, within 3 days: {link}"


def _user_list(arguments: argparse.Namespace) -> tuple[Any, str]:
    from django.contrib.auth import get_user_model

    rows: list[dict[str, Any]] = []
    for user in get_user_model().objects.order_by("username").prefetch_related("memberships__team"):
        roles = [f"{m.team} ({m.role})" for m in user.memberships.all()]
        rows.append(
            {
                "user": user.username,
                "email": user.email,
                "administrator": user.is_staff,
                "active": user.is_active,
                "teams": roles,
            }
        )
    lines = [
        f"{row['user']}: {', '.join(row['teams']) or 'no team'}"
        + (", administrator" if row["administrator"] else "")
        + ("" if row["active"] else ", closed")
        for row in rows
    ]
    return rows, "\n".join(lines) or "no accounts: firstlight up prints the link that makes the first one"


def _user_password(arguments: argparse.Namespace) -> tuple[Any, str]:
    link = _link(_user(arguments.name))
    return {"link": link}, f"choose a new password here, within 3 days: {link}"


def _user_close(arguments: argparse.Namespace) -> tuple[Any, str]:
    return _set_open(arguments.name, False)


def _user_open(arguments: argparse.Namespace) -> tuple[Any, str]:
    return _set_open(arguments.name, True)


def _set_open(name: str, active: bool) -> tuple[Any, str]:
    from firstlight.teams.actions import open_account

    user = open_account(_user(name), active)
    return {"user": user.username, "active": active}, f"{user.username} is {'open' if active else 'closed'}"


def _team_add(arguments: argparse.Namespace) -> tuple[Any, str]:
    from firstlight.teams.actions import create_team

    team = create_team(arguments.name, _user(arguments.owner))
    return {"team": team.name, "owner": arguments.owner}, f"made the team {team}, owned by {arguments.owner}"


def _team_quota(arguments: argparse.Namespace) -> tuple[Any, str]:
    from firstlight.evaluations.actions import set_quota

    limits = {name: getattr(arguments, name) for name in ("open_runs", "draws_a_day", "engine_hours_a_day")}
    set_quota(_team(arguments.name), **limits)
    words = [f"{value:g} {name.replace('_', ' ')}" for name, value in limits.items() if value is not None]
    return {
        "team": arguments.name,
        **limits,
    }, f"{arguments.name} may take {', '.join(words) or 'all there is'}"


def _team_list(arguments: argparse.Namespace) -> tuple[Any, str]:
    from firstlight.teams.models import Team

    rows = [
        {"team": team.name, "members": [f"{m.user} ({m.role})" for m in team.memberships.all()]}
        for team in Team.objects.order_by("name").prefetch_related("memberships__user")
    ]
    return rows, "\n".join(f"{r['team']}: {', '.join(r['members'])}" for r in rows) or "no teams"


def _token_add(arguments: argparse.Namespace) -> tuple[Any, str]:
    from firstlight.teams.tokens import create_token

    team = _team(arguments.team) if arguments.team else None
    token, text = create_token(
        _user(arguments.user), name=arguments.name, scope=arguments.scope, days=arguments.days, team=team
    )
    return {"token": text, "expires_at": token.expires_at}, text


def _token_revoke(arguments: argparse.Namespace) -> tuple[Any, str]:
    from firstlight.teams.tokens import revoke_token, tokens_of

    user = _user(arguments.user)
    matching = list(tokens_of(user).filter(prefix__startswith=arguments.prefix, revoked_at=None)[:2])
    if len(matching) != 1:
        many = "no token begins" if not matching else "more than one token begins"
        raise Refused(f"{many} with {arguments.prefix!r}: give the characters that the list shows.")
    token = revoke_token(user, matching[0])
    return {"revoked": token.prefix}, f"revoked {token}"


def _user(name: str) -> Any:
    from django.contrib.auth import get_user_model

    user = get_user_model().objects.filter(username=name).first()
    if user is None:
        raise Refused(f"no account {name!r}: firstlight user list shows who is there.")
    return user


def _team(name: str) -> Any:
    from firstlight.teams.models import Team

    team = Team.objects.filter(name=name).first()
    if team is None:
        raise Refused(f"no team {name!r}: firstlight team list shows which there are.")
    return team


def _link(user: Any) -> str:
    """Where the person chooses a password: below the address of the site, which a command does not know."""
    from django.conf import settings
    from django.contrib.auth.tokens import default_token_generator
    from django.urls import reverse
    from django.utils.encoding import force_bytes
    from django.utils.http import urlsafe_base64_encode

    uid = urlsafe_base64_encode(force_bytes(user.pk))
    path = reverse("password-new", args=[uid, default_token_generator.make_token(user)])
    origin = next(iter(settings.CSRF_TRUSTED_ORIGINS), "http://127.0.0.1:8000")
    return f"{origin}{path}"
