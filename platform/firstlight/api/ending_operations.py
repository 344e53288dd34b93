"""Rename, archive, restore, leave out of fits, remove: the same operations for five kinds of things."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router

from firstlight.api.answers import GONE, ONE, Id, Input, Name, Text, answer, once
from firstlight.home.ending_views import KINDS
from firstlight.registry import endings
from firstlight.teams.access import get_visible

router = Router(tags=["names and ends"])


class NewName(Input):
    name: Name


class Reason(Input):
    reason: Text = ""


def _facts(subject: Any) -> HttpResponse:
    return answer(
        {
            "id": subject.pk,
            "name": subject.name,
            "archived_at": subject.archived_at,
            "left_out": getattr(subject, "left_out", None),
        }
    )


def _add(kind: str) -> None:
    model, word, _ = KINDS[kind]

    def rename(request: HttpRequest, pk: Id, body: NewName) -> HttpResponse:
        return _facts(endings.rename(request.user, get_visible(model, request.user, pk=pk), body.name))

    def archive(request: HttpRequest, pk: Id) -> HttpResponse:
        return _facts(endings.archive(request.user, get_visible(model, request.user, pk=pk)))

    def restore(request: HttpRequest, pk: Id) -> HttpResponse:
        return _facts(endings.restore(request.user, get_visible(model, request.user, pk=pk)))

    def leave_out(request: HttpRequest, pk: Id, body: Reason) -> HttpResponse:
        return _facts(endings.leave_out(request.user, get_visible(model, request.user, pk=pk), body.reason))

    def remove(request: HttpRequest, pk: Id) -> HttpResponse:
        endings.remove(request.user, get_visible(model, request.user, pk=pk))
        return HttpResponse(status=204)

    place = f"/{kind}/{{pk}}"
    for action, view, summary in (
        ("rename", rename, "Another name"),
        ("archive", archive, "Take it out of lists and forms; fits still use it"),
        ("restore", restore, "Put it back into lists and forms"),
        ("leave-out", leave_out, "Leave it out of fits, with a reason; an empty one takes it back"),
    ):
        if action == "leave-out" and kind == "series":
            continue
        name = f"{action.replace('-', '_')}_{word}"
        router.post(f"{place}/{action}", response=ONE, operation_id=name, summary=summary)(once(view))
    if model in endings.REMOVABLE:
        summary = "Remove it for good, where nothing hangs on it"
        router.post(f"{place}/remove", response=GONE, operation_id=f"remove_{word}", summary=summary)(
            once(remove)
        )


for _kind in KINDS:
    _add(_kind)
