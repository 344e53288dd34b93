"""One view, two addresses: a page, and the same facts as JSON under the same URL with `.json` appended.

A view builds a plain dict of facts and hands it to `render_page`; `page` registers both addresses.
"""

import json
import math
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.contrib import messages
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods, require_POST

from firstlight.files.errors import Refused

View = Callable[..., HttpResponseBase]


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


def attempt(
    request: HttpRequest,
    action: Callable[[], Any],
    to: str,
    *,
    done: str | Callable[[Any], str],
    then: str = "",
) -> HttpResponse:
    """Run an action behind a button; say what happened on the page that follows.

    done: the sentence, or what makes it of the action's answer. then: where to go instead of `to` where it is done.
    """
    try:
        answer = action()
    except Refused as error:
        messages.error(request, str(error))
        return redirect(to)
    messages.success(request, done if isinstance(done, str) else done(answer))
    return redirect(then or to)
