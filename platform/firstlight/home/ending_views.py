"""The buttons that rename, archive, leave out and remove: one view for all kinds of things."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from firstlight.evaluations.models import Run
from firstlight.pages.page import attempt
from firstlight.registry import endings
from firstlight.registry.models import Checkpoint, Series, Task, TrainingConfiguration
from firstlight.teams.access import get_visible, require_writer, team_of

#: kind, as addresses name it -> (model, name of the page's address, name of the list's address)
KINDS: dict[str, tuple[Any, str, str]] = {
    "series": (Series, "series", "series-list"),
    "checkpoints": (Checkpoint, "checkpoint", "series-list"),
    "configurations": (TrainingConfiguration, "configuration", "configuration-list"),
    "tasks": (Task, "task", "task-list"),
    "runs": (Run, "run", "run-list"),
}


def change(kind: str) -> Callable[..., HttpResponse]:
    """The view of one kind: `do` says what, `text` the new name or the reason."""
    model, page, rows = KINDS[kind]

    def view(request: HttpRequest, pk: int) -> HttpResponse:
        subject = get_visible(model, request.user, pk=pk)
        require_writer(request.user, team_of(subject))
        do, text = request.POST.get("do", ""), request.POST.get("text", "")
        steps: dict[str, tuple[Callable[[], Any], str]] = {
            "rename": (lambda: endings.rename(request.user, subject, text), "The name has been changed."),
            "archive": (
                lambda: endings.archive(request.user, subject),
                "It is archived: lists and forms no longer show it. Fits still use it unless it is left out.",
            ),
            "restore": (lambda: endings.restore(request.user, subject), "It is back in lists and forms."),
            "leave-out": (
                lambda: endings.leave_out(request.user, subject, text),
                "Fits leave it out. Forecasts that are not locked are made again.",
            ),
            "take-back": (
                lambda: endings.leave_out(request.user, subject, ""),
                "Fits use it again. Forecasts that are not locked are made again.",
            ),
            "remove": (lambda: endings.remove(request.user, subject), "It is removed."),
        }
        to = reverse(page, args=[pk])
        if do not in steps or (do == "leave-out" and not text.strip()):
            messages.error(request, "Give a reason: it is shown wherever fits leave it out.")
            return redirect(to)
        if do == "remove" and request.POST.get("sure") != "yes":
            messages.error(request, "Removing is final: tick the box to confirm it.")
            return redirect(to)
        action, done = steps[do]
        return attempt(request, action, to, done=done, then=rows if do == "remove" else "")

    return view
