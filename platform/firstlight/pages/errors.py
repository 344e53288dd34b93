"""The pages that errors get, and the same as JSON."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from firstlight.pages.page import json_response, wants_json


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(request, 400, "That request cannot be read.")


def denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(request, 403, str(exception) or "Your role does not allow that.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(request, 404, "There is no such page, or it belongs to a team that you are not in.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _error(
        request, 403, "This form is too old or came from elsewhere: go back, reload it and send it again."
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """No query and no context processor: the database may be what failed."""
    message = "Something broke on our side. It is in the log; nothing was half saved."
    if wants_json(request):
        return json_response({"error": message, "status": 500}, status=500)
    return HttpResponse(render_to_string("500.html", {"message": message}), status=500)


def _error(request: HttpRequest, status: int, message: str) -> HttpResponse:
    if wants_json(request):
        return json_response({"error": message, "status": status}, status=status)
    return render(request, f"{status}.html", {"message": message}, status=status)
