"""The REST API: who may call it, and how its errors look. Routers call the same actions as the pages."""

import logging
import math
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, Throttled, ValidationError
from ninja.security import HttpBearer, SessionAuth
from ninja.throttling import AuthRateThrottle

from firstlight.files.errors import Refused
from firstlight.pages.errors import problem
from firstlight.teams.tokens import token_of

log = logging.getLogger(__name__)
SAFE = ("GET", "HEAD", "OPTIONS")


class TokenAuth(HttpBearer):
    """`Authorization: Bearer fl_...`; the request's user carries the token's limits for the access helpers."""

    def authenticate(self, request: HttpRequest, token: str) -> Any:
        found = token_of(token)
        if found is None:
            return None
        if found.scope == "read" and request.method not in SAFE:
            raise PermissionDenied("This token only reads: make one with the scope write.")
        request.user = found.user
        return found


api = NinjaAPI(
    title="Firstlight",
    version="1",
    description="Register checkpoints, start runs, read estimates and forecasts. Errors are problem details.",
    auth=[TokenAuth(), SessionAuth(csrf=True)],
    throttle=[AuthRateThrottle(settings.API_RATE)],
    docs_url=None,
    urls_namespace="api",
)


@api.exception_handler(AuthenticationError)
def _nobody(request: HttpRequest, error: Any) -> HttpResponse:
    answer = problem(
        401,
        "Not signed in",
        "Send a token that is good: Authorization: Bearer fl_... (the page API tokens makes one).",
    )
    answer["WWW-Authenticate"] = "Bearer"
    return answer


@api.exception_handler(PermissionDenied)
def _denied(request: HttpRequest, error: Any) -> HttpResponse:
    return problem(403, "Not allowed", str(error) or "Your role does not allow that.")


@api.exception_handler(Http404)
def _absent(request: HttpRequest, error: Any) -> HttpResponse:
    return problem(404, "Not found", "There is no such thing, or it belongs to a team that you are not in.")


@api.exception_handler(Refused)
def _refused(request: HttpRequest, error: Any) -> HttpResponse:
    return problem(422, "Refused", str(error))


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: Any) -> HttpResponse:
    errors = [
        {"field": ".".join(map(str, one["loc"][1:])), "message": str(one["msg"])} for one in error.errors[:50]
    ]
    first = f"{errors[0]['field']}: {errors[0]['message']}" if errors else "a field is wrong"
    return problem(422, "A field is wrong", first, errors=errors)


@api.exception_handler(Throttled)
def _too_many(request: HttpRequest, error: Any) -> HttpResponse:
    answer = problem(
        429, "Too many requests", f"At most {settings.API_RATE} with one token: wait, then go on."
    )
    answer["Retry-After"] = str(max(1, math.ceil(error.wait or 1)))
    return answer


@api.exception_handler(HttpError)
def _http(request: HttpRequest, error: Any) -> HttpResponse:
    return problem(error.status_code, "Request not understood", str(error))


def addresses() -> list[URLPattern]:
    """The URL patterns of the API, with what Django's middleware needs to know of them."""
    patterns = [pattern for pattern in api.urls[0] if isinstance(pattern, URLPattern)]
    for pattern in patterns:
        pattern.callback = _answering_in_kind(pattern.callback)
    return patterns


def _answering_in_kind(view: Callable[..., Any] | None) -> Callable[..., HttpResponse]:
    """No redirect to a login page, and a problem where the method is wrong."""

    assert view is not None

    @wraps(view)
    def call(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        answer: HttpResponse = view(request, *args, **kwargs)
        if answer.status_code == 405:
            allowed = answer.headers.get("Allow", "")
            answer = problem(405, "Wrong method", f"This address takes {allowed}, not {request.method}.")
            answer["Allow"] = allowed
        return answer

    call.login_required = False  # type: ignore[attr-defined]
    return call
