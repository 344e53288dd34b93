"""The pages that errors get, and the same as JSON."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from firstlight.pages.page import json_response, wants_json

#: Addresses below it answer with problem details (RFC 9457), never with pages.
API = "/api/"


def problem(status: int, title: str, detail: str, **more: Any) -> HttpResponse:
    """An error of the API."""
    facts = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    answer = json_response(facts, status=status)
    answer["Content-Type"] = "application/problem+json"
    return answer


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(
        request,
        400,
        "Request not understood",
        "That request cannot be read.",
        "Go back and try again. If you changed the address by hand, check it.",
    )


def denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _refused(request, str(exception) or "Your role does not allow that.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(
        request,
        404,
        "Page not found",
        "There is no such page, or it belongs to a team that you are not in.",
        "Check the address, or start from the lists above.",
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _refused(
        request, "This form is too old or came from another site: go back, reload the page and send it again."
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """No query and no context processor: the database may be what failed."""
    message = "The error is in the log, and no change was left half done."
    if request.path.startswith(API):
        return problem(500, "Server error", message)
    if wants_json(request):
        return json_response({"error": message, "status": 500}, status=500)
    return HttpResponse(render_to_string("500.html", {"message": message}), status=500)


def _refused(request: HttpRequest, message: str) -> HttpResponse:
    return error_page(request, 403, "Not allowed", message, "If you need this, ask an owner of the team.")


def error_page(request: HttpRequest, status: int, title: str, message: str, advice: str) -> HttpResponse:
    """An error as the one who asked reads it: a page, JSON, or the API's problem details."""
    if request.path.startswith(API):
        return problem(status, title, message)
    if wants_json(request):
        return json_response({"error": message, "status": status}, status=status)
    facts = {"status": status, "title": title, "message": message, "advice": advice}
    return render(request, "error.html", facts, status=status)
