"""One view, two addresses: a page, and the same facts as JSON under the same URL with `.json` appended.

A view builds a plain dict of facts and hands it to `render_page`; `page` registers both addresses.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from itertools import islice
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods, require_POST

from firstlight.config.errors import Refused
from firstlight.teams.access import WRITERS, User, teams_of, visible
from firstlight.teams.models import Membership, Team

View = Callable[..., HttpResponseBase]
ROWS = 50
MAX_ID = 2**63 - 1


def page(route: str, view: View, name: str) -> list[URLPattern]:
    """The addresses of a page and of its JSON twin (`name` and `name.json`)."""
    html = require_http_methods(["GET", "HEAD", "POST"])(view)
    return [path(route, html, name=name), path(f"{route}.json", _twin(view), name=f"{name}.json")]


def post(route: str, view: View, name: str) -> list[URLPattern]:
    """The address of a button: POST only, answered by a redirect."""
    return [path(route, require_POST(view), name=name)]


def _twin(view: View) -> View:
    @wraps(view)
    def as_json(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:  # a script wants a status, not a login page
            return json_response({"error": "Sign in first: this address needs a session."}, status=401)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        request.as_json = True  # type: ignore[attr-defined]
        return view(request, *args, **kwargs)

    as_json.login_required = False  # type: ignore[attr-defined]
    return as_json


def wants_json(request: HttpRequest) -> bool:
    return getattr(request, "as_json", False) or request.path.endswith(".json")


def render_page(
    request: HttpRequest, template: str, data: dict[str, Any], *, status: int = 200, **context: Any
) -> HttpResponse:
    """The page, or its facts as JSON. `context` holds what only the template needs (forms)."""
    if getattr(request, "as_json", False):
        return json_response(data, status=status)
    twin = f"{request.path}.json"
    return render(request, template, {**data, **context, "json_twin": twin}, status=status)


def json_response(data: Any, *, status: int = 200) -> HttpResponse:
    """Strict JSON: a number that is not finite becomes null."""
    text = json.dumps(finite(data), cls=DjangoJSONEncoder, allow_nan=False, indent=2)
    return HttpResponse(text, content_type="application/json", status=status)


def finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


@dataclass(frozen=True)
class Listing:
    """One page of rows. `next` is the id to ask for with `?after=`, or None on the last page."""

    rows: list[Any]
    sort: str
    next: int | None

    def facts(self) -> dict[str, Any]:
        return {"sort": self.sort, "next_after": self.next, "rows_a_page": ROWS}


def keyset(request: HttpRequest, rows: QuerySet[Any], sorts: Mapping[str, str], *, default: str) -> Listing:
    """Sorted rows behind `?after=ID`: as quick on the last page as on the first.

    `sorts` maps the word in the URL to one column that is never null, with `-` in front for falling order.
    """
    word = request.GET.get("sort", default)
    word = word if word in sorts else default
    falling = sorts[word].startswith("-")
    column = sorts[word].lstrip("-")
    rows = rows.order_by(sorts[word], "-id" if falling else "id")
    after = whole_parameter(request, "after")
    if after is not None:
        edge = visible(rows.model, request.user).filter(pk=after).values_list(column, flat=True).first()
        if edge is not None:
            side = "lt" if falling else "gt"
            rows = rows.filter(Q(**{f"{column}__{side}": edge}) | Q(**{column: edge, f"id__{side}": after}))
    found = list(rows[: ROWS + 1])
    return Listing(found[:ROWS], word, found[ROWS - 1].pk if len(found) > ROWS else None)


def whole_parameter(request: HttpRequest, name: str) -> int | None:
    """A row id from the query; None where it is absent or no id (state in a URL is never an error page)."""
    text = request.GET.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return None
    value = int(text)
    return value if value <= MAX_ID else None


def writable_teams(user: User) -> QuerySet[Team]:
    """The teams in which this person may change things."""
    mine = Membership.objects.filter(user__pk=user.pk or 0, role__in=WRITERS)
    return teams_of(user).filter(pk__in=mine.values("team")).order_by("name")


def require_some_team(user: User) -> None:
    """Raises PermissionDenied for a person who may change nothing anywhere."""
    if not writable_teams(user).exists():
        raise PermissionDenied("Your role is read-only in every team: ask an owner for the role of a member.")


def form_facts(form: forms.Form) -> dict[str, Any]:
    """What a form asks for: the JSON twin of a form page."""
    fields = {}
    for name, field in form.fields.items():
        facts: dict[str, Any] = {
            "label": str(field.label or name),
            "required": field.required,
            "help": str(field.help_text),
            "initial": _plain(form.get_initial_for_field(field, name)),
        }
        if isinstance(field, forms.ChoiceField):  # ModelChoiceField is one
            choices: Any = field.choices
            facts["choices"] = [
                {"value": str(value), "label": str(label)} for value, label in islice(choices, 500)
            ]
        fields[name] = facts
    return {"fields": fields}


def _plain(value: Any) -> Any:
    if isinstance(value, Model):
        return value.pk
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def attempt(request: HttpRequest, action: Callable[[], Any], to: str, *, done: str) -> HttpResponse:
    """Run an action behind a button; say what happened on the page that follows."""
    try:
        action()
    except Refused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done)
    return redirect(to)
