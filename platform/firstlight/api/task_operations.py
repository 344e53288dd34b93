"""Operations on tasks and their instances."""

from django.forms import ValidationError
from django.http import HttpRequest, HttpResponse
from ninja import File, Form, Router, UploadedFile

from firstlight.api.answers import (
    MADE,
    MANY,
    ONE,
    Id,
    Input,
    Name,
    Text,
    Where,
    answer,
    once,
    rows_page,
    team_for,
)
from firstlight.files.errors import Refused
from firstlight.registry import actions, endings, instances
from firstlight.registry.forms import read_upload
from firstlight.registry.models import Instance, Task
from firstlight.registry.task_views import instance_facts, task_facts, with_counts
from firstlight.teams.access import get_visible, visible

router = Router(tags=["registry"])


@router.get("/tasks", response=MANY, operation_id="list_tasks", summary="Tasks, the newest first")
def list_tasks(
    request: HttpRequest, where: Where, name: Text | None = None, archived: bool = False
) -> HttpResponse:
    rows = endings.current(visible(Task, request.user), archived=archived)
    rows = rows.filter(name=name) if name is not None else rows
    return rows_page(with_counts(rows), where, task_facts)


class NewTask(Input):
    name: Name
    description: Text = ""
    team: Name | None = None


@router.post(
    "/tasks",
    response=MADE,
    operation_id="upload_task",
    summary="A task file (JSONL); a known name gets a new version",
)
@once
def upload_task(
    request: HttpRequest,
    file: File[UploadedFile],
    about: Form[NewTask],
) -> HttpResponse:
    into = team_for(request, about.team)
    try:
        specs = read_upload(file)
    except ValidationError as error:
        raise Refused(" ".join(error.messages)) from error
    made = actions.import_task(
        request.user, into, name=about.name, specs=specs, description=about.description
    )
    return answer(task_facts(with_counts(Task.objects.filter(pk=made.pk)).get()), 201)


@router.get("/tasks/{pk}", response=ONE, operation_id="get_task", summary="One version of a task")
def get_task(request: HttpRequest, pk: Id) -> HttpResponse:
    found = get_visible(Task, request.user, pk=pk)
    return answer(task_facts(with_counts(Task.objects.filter(pk=found.pk)).get()))


@router.get(
    "/tasks/{pk}/instances", response=MANY, operation_id="list_instances", summary="Instances of a task"
)
def list_instances(
    request: HttpRequest, pk: Id, where: Where, search: Text = "", excluded: bool | None = None
) -> HttpResponse:
    task = get_visible(Task, request.user, pk=pk)
    rows = visible(Instance, request.user).filter(task=task)
    if excluded is not None:
        rows = rows.exclude(excluded="") if excluded else rows.filter(excluded="")
    if search:
        rows = rows.filter(key__icontains=search) | rows.filter(prompt__icontains=search)
    return rows_page(rows, where, instance_facts, rising=True)


class Reason(Input):
    reason: Text = ""


@router.post(
    "/instances/{pk}/exclude",
    response=ONE,
    operation_id="exclude_instance",
    summary="Leave an instance out of later runs, with a reason; an empty one takes it back",
)
@once
def exclude_instance(request: HttpRequest, pk: Id, body: Reason) -> HttpResponse:
    instance = get_visible(Instance, request.user, pk=pk)
    return answer(instance_facts(instances.exclude_instance(request.user, instance, reason=body.reason)))
