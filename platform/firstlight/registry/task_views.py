"""Pages of tasks: versions, instances, upload, leaving an instance out."""

from typing import Any

from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from firstlight.pages.forms import form_facts
from firstlight.pages.listing import keyset
from firstlight.pages.page import attempt, render_page
from firstlight.registry import actions
from firstlight.registry.forms import ExcludeForm, TaskForm
from firstlight.registry.models import Instance, Task
from firstlight.teams.access import get_visible, may_write, require_some_team, visible, writable_teams


def task_list(request: HttpRequest) -> HttpResponse:
    rows = (
        visible(Task, request.user)
        .select_related("team")
        .annotate(
            instance_count=Count("instances"),
            excluded_count=Count("instances", filter=~Q(instances__excluded="")),
        )
    )
    found = keyset(request, rows, {"newest": "-id", "name": "name"}, default="newest")
    data = {
        **found.facts(),
        "tasks": [
            {
                "id": t.pk,
                "url": reverse("task", args=[t.pk]),
                "name": t.name,
                "version": t.version,
                "team": t.team.name,
                "instances": t.instance_count,
                "excluded": t.excluded_count,
                "digest": t.digest,
                "created_at": t.created_at,
            }
            for t in found.rows
        ],
    }
    return render_page(
        request, "registry/task_list.html", data, can_write=writable_teams(request.user).exists()
    )


def task_new(request: HttpRequest) -> HttpResponse:
    require_some_team(request.user)
    form = TaskForm(request.user, request.POST or None, request.FILES or None)
    if form.is_valid():
        values = dict(form.cleaned_data)
        specs = values.pop("file")
        made = form.attempt(lambda: actions.import_task(request.user, specs=specs, **values))
        if made:
            messages.success(request, f"{made} is imported: {len(specs):,} instances.")
            return redirect("task", made.pk)
    return render_page(
        request,
        "registry/form.html",
        form_facts(form),
        form=form,
        title="Upload a task",
        lead="The whole file is taken, or nothing. A name that stands already gets its next version.",
        save="Upload",
        back=reverse("task-list"),
        known_tasks=form.known_names(),
        upload=True,
    )


def task(request: HttpRequest, pk: int) -> HttpResponse:
    it = get_visible(Task, request.user, pk=pk)
    versions = visible(Task, request.user).filter(team=it.team, name=it.name).order_by("-version")
    every = visible(Instance, request.user).filter(task=it)
    rows = every
    show = request.GET.get("show", "")
    if show == "excluded":
        rows = rows.exclude(excluded="")
    elif show == "included":
        rows = rows.filter(excluded="")
    found = keyset(request, rows, {"position": "position", "id": "key"}, default="position")
    counts = every.aggregate(total=Count("id"), excluded=Count("id", filter=~Q(excluded="")))
    data: dict[str, Any] = {
        "id": it.pk,
        "name": it.name,
        "version": it.version,
        "title": str(it),
        "description": it.description,
        "digest": it.digest,
        "created_at": it.created_at,
        "instances_total": counts["total"],
        "instances_excluded": counts["excluded"],
        "show": show,
        "versions": [
            {
                "id": v.pk,
                "version": v.version,
                "url": reverse("task", args=[v.pk]),
                "created_at": v.created_at,
            }
            for v in versions[:50]
        ],
        **found.facts(),
        "instances": [
            {
                "id": i.pk,
                "position": i.position,
                "key": i.key,
                "prompt": i.prompt,
                "answer": i.answer,
                "grader": i.grader,
                "stop": i.stop,
                "max_tokens": i.max_tokens,
                "guess_rate": i.guess_rate,
                "excluded": i.excluded,
            }
            for i in found.rows
        ],
    }
    return render_page(request, "registry/task.html", data, can_write=may_write(request.user, it.team))


def instance_exclude(request: HttpRequest, pk: int) -> HttpResponse:
    """Leave an instance out of later runs with a reason; the button "Take back" sends none."""
    it = get_visible(Instance, request.user, pk=pk)
    to = reverse("task", args=[it.task_id])
    form = ExcludeForm(request.POST)
    back = request.POST.get("do") == "include"
    if not form.is_valid() or (not back and not form.cleaned_data["reason"].strip()):
        messages.error(request, "Say why, in at most 300 characters: the reason stands beside the instance.")
        return redirect(to)
    reason = "" if back else form.cleaned_data["reason"]
    return attempt(
        request,
        lambda: actions.exclude_instance(request.user, it, reason=reason),
        to,
        done=f"{it} is {'back in' if back else 'left out of'} later runs.",
    )
