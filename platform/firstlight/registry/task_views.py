"""Pages of tasks: versions, instances, upload, leaving an instance out."""

from typing import Any

from django.contrib import messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.views.decorators.http import require_safe

from firstlight.pages.exports import csv_answer
from firstlight.pages.forms import form_facts
from firstlight.pages.listing import keyset, row_ids
from firstlight.pages.page import attempt, render_page
from firstlight.registry import actions, endings, instances
from firstlight.registry.forms import ExcludeForm, TaskForm
from firstlight.registry.models import Instance, Task
from firstlight.teams.access import (
    get_visible,
    may_write,
    require_some_team,
    require_writer,
    visible,
    writable_teams,
)


def task_list(request: HttpRequest) -> HttpResponse:
    rows = endings.current(visible(Task, request.user), archived=endings.wants_archived(request))
    rows = with_counts(rows)
    page = keyset(request, rows, {"newest": "-id", "name": "name"}, default="newest")
    data = {
        **page.facts(),
        "archived": endings.wants_archived(request),
        "tasks": [task_facts(t) for t in page.rows],
    }
    return render_page(
        request, "registry/task_list.html", data, can_write=writable_teams(request.user).exists()
    )


def with_counts(rows: QuerySet[Task]) -> QuerySet[Task]:
    """Tasks with what `task_facts` says of their instances."""
    return rows.select_related("team").annotate(
        instance_count=Count("instances"),
        excluded_count=Count("instances", filter=~Q(instances__excluded="")),
    )


def task_facts(t: Any) -> dict[str, Any]:
    return {
        "id": t.pk,
        "url": reverse("task", args=[t.pk]),
        "name": t.name,
        "version": t.version,
        "team": t.team.name,
        "instances": t.instance_count,
        "excluded": t.excluded_count,
        "digest": t.digest,
        "created_at": t.created_at,
        "archived_at": t.archived_at,
        "left_out": t.left_out,
    }


def instance_facts(i: Instance) -> dict[str, Any]:
    return {
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


def task_new(request: HttpRequest) -> HttpResponse:
    require_some_team(request.user)
    form = TaskForm(request.user, request.POST or None, request.FILES or None)
    if form.is_valid():
        values = dict(form.cleaned_data)
        specs = values.pop("file")
        imported = form.attempt(lambda: actions.import_task(request.user, specs=specs, **values))
        if imported:
            counted = f"{len(specs):,} instance{pluralize(len(specs))}"
            left = imported.instances.exclude(excluded="").count()
            kept = f" {left:,} left out as in the version before." if left else ""
            messages.success(request, f"{imported} is imported with {counted}.{kept}")
            return redirect("task", imported.pk)
    return render_page(
        request,
        "parts/form.html",
        form_facts(form),
        form=form,
        title="Upload a task",
        lead="Either the whole file is imported or nothing. An existing name gets its next version.",
        save="Upload",
        back=reverse("task-list"),
        known_tasks=form.known_names(),
        upload=True,
    )


def task(request: HttpRequest, pk: int) -> HttpResponse:
    task = get_visible(Task, request.user, pk=pk)
    versions = visible(Task, request.user).filter(team=task.team, name=task.name).order_by("-version")
    every = visible(Instance, request.user).filter(task=task)
    rows = every
    show = request.GET.get("show", "")
    if show == "excluded":
        rows = rows.exclude(excluded="")
    elif show == "included":
        rows = rows.filter(excluded="")
    find, grader = request.GET.get("find", "")[:200].replace("\x00", ""), request.GET.get("grader", "")
    if find:
        rows = rows.filter(Q(key__icontains=find) | Q(prompt__icontains=find) | Q(answer__icontains=find))
    counted = Count("id"), Count("id", filter=~Q(excluded=""))
    kinds = every.order_by().values("grader").annotate(total=counted[0], left_out=counted[1])
    by_grader = {kind["grader"]: kind for kind in kinds}
    graders = sorted(by_grader)
    if grader in graders:
        rows = rows.filter(grader=grader)
    page = keyset(request, rows, {"position": "position", "id": "key"}, default="position")
    data: dict[str, Any] = {
        "id": task.pk,
        "name": task.name,
        "version": task.version,
        "title": str(task),
        **endings.facts(task, "task"),
        "description": task.description,
        "digest": task.digest,
        "created_at": task.created_at,
        "instances_total": sum(kind["total"] for kind in by_grader.values()),
        "instances_excluded": sum(kind["left_out"] for kind in by_grader.values()),
        "show": show,
        "find": find,
        "grader": grader,
        "versions": [
            {
                "id": v.pk,
                "version": v.version,
                "url": reverse("task", args=[v.pk]),
                "created_at": v.created_at,
            }
            for v in versions[:50]
        ],
        **page.facts(),
        "instances": [instance_facts(i) for i in page.rows],
    }
    return render_page(
        request,
        "registry/task.html",
        data,
        shows=[("included", "Included"), ("excluded", "Left out")],
        graders=[(name, name) for name in graders],
        can_write=may_write(request.user, task.team),
        **endings.choices(task),
    )


def instance_exclude(request: HttpRequest, pk: int) -> HttpResponse:
    """Leave an instance out of later runs with a reason; the button "Include again" sends none."""
    instance = get_visible(Instance, request.user, pk=pk)
    to = reverse("task", args=[instance.task_id])
    form = ExcludeForm(request.POST)
    back = request.POST.get("do") == "include"
    if not form.is_valid() or (not back and not form.cleaned_data["reason"].strip()):
        messages.error(request, "Give a reason of at most 300 characters: it is shown beside the instance.")
        return redirect(to)
    reason = "" if back else form.cleaned_data["reason"]
    return attempt(
        request,
        lambda: instances.exclude_instance(request.user, instance, reason=reason),
        to,
        done=f"{instance} is {'included in' if back else 'left out of'} later runs.",
    )


def instances_exclude(request: HttpRequest, pk: int) -> HttpResponse:
    """Leave the ticked instances out with one reason, or include them again."""
    task = get_visible(Task, request.user, pk=pk)
    require_writer(request.user, task.team)
    to = reverse("task", args=[pk])
    ticked = row_ids(request.POST.getlist("instance"))
    form = ExcludeForm(request.POST)
    back = request.POST.get("do") == "include"
    if not ticked:
        messages.error(request, "Tick at least one instance.")
        return redirect(to)
    if not form.is_valid() or (not back and not form.cleaned_data["reason"].strip()):
        messages.error(request, "Give a reason of at most 300 characters: it is shown beside the instances.")
        return redirect(to)
    reason = "" if back else form.cleaned_data["reason"]
    words = "included in" if back else "left out of"
    return attempt(
        request,
        lambda: instances.exclude_instances(request.user, task, ticked, reason=reason),
        to,
        done=lambda changed: f"{changed:,} instance{pluralize(changed)} {words} later runs.",
    )


@require_safe
def excluded_csv(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """What is left out of a task, with the reasons."""
    task = get_visible(Task, request.user, pk=pk)
    rows = visible(Instance, request.user).filter(task=task).exclude(excluded="").order_by("position")
    values = rows.values_list("key", "excluded", "prompt", "answer")
    head = ["id", "reason", "prompt", "answer"]
    return csv_answer(f"task-{pk}-left-out.csv", head, map(list, values.iterator(chunk_size=1000)))
