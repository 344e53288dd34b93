"""How much a request may send, decided before any of it is read: by what its headers say of it and of who sends it."""

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from firstlight.pages.errors import error_page
from firstlight.teams.tokens import token_of

#: Of a form beside the file that it carries.
SLACK = 2**20


class BodyLimits:
    """Middleware, after sign-in and before whatever reads a body. A refused body is not received."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """413 for too much, 411 where a body does not say how long it is."""
        said = request.META.get("CONTENT_LENGTH") or ""
        if not said and request.META.get("HTTP_TRANSFER_ENCODING"):
            return error_page(
                request,
                411,
                "Length required",
                "The body does not say how long it is.",
                "Send its Content-Length.",
            )
        length = int(said) if said.isdecimal() else 0
        if not may_send(request, length):
            return error_page(
                request,
                413,
                "Sign in first",
                "Only people and tokens that are known may send more than a small form.",
                "Sign in, and send it again.",
            )
        most = settings.TASK_UPLOAD_MAX_BYTES + SLACK
        if length > most:
            return error_page(
                request,
                413,
                "Too large",
                f"That has {length / 2**20:,.0f} MB, and {most / 2**20:,.0f} are read.",
                "Cut the file into parts.",
            )
        return self.get_response(request)


def may_send(request: HttpRequest, length: int) -> bool:
    """Whether so many bytes may come from whoever this is, by session or token. None of them is read."""
    if length <= settings.ANONYMOUS_MAX_BYTES or request.user.is_authenticated:
        return True
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return kind.lower() == "bearer" and token_of(token) is not None


@login_not_required
@require_safe
def ask(request: HttpRequest) -> HttpResponse:
    """What a proxy asks before it receives a body of `X-Body-Length` bytes: 204 yes, 403 no."""
    said = request.headers.get("X-Body-Length", "")
    return HttpResponse(status=204 if may_send(request, int(said) if said.isdecimal() else 0) else 403)
