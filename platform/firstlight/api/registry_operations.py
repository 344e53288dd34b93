"""Operations on series, training configurations, checkpoints, tasks and instances."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import File, Router, UploadedFile

from firstlight.api.answers import (
    MADE,
    MANY,
    ONE,
    Id,
    Input,
    Name,
    Size,
    Text,
    Where,
    Whole,
    answer,
    once,
    rows_page,
    team_for,
)
from firstlight.home.series_pages import checkpoint_facts
from firstlight.registry import actions, digests, downloads, endings
from firstlight.registry.configuration_views import configuration_facts
from firstlight.registry.folders import find_checkpoints, find_in_upload
from firstlight.registry.models import Checkpoint, Series, TrainingConfiguration
from firstlight.registry.register_actions import (
    NewCheckpoint,
    configuration_named,
    register_folder,
    series_named,
)
from firstlight.registry.views import series_facts, with_sizes
from firstlight.teams.access import get_visible, require_some_team, visible

router = Router(tags=["registry"])


class NewSeries(Input):
    name: Name
    description: Text = ""
    scale_axis: Name = "n_params"
    team: Name | None = None


@router.get("/series", response=MANY, operation_id="list_series", summary="Series, the newest first")
def list_series(request: HttpRequest, where: Where, archived: bool = False) -> HttpResponse:
    return rows_page(
        with_sizes(endings.current(visible(Series, request.user), archived=archived)), where, series_facts
    )


@router.post("/series", response=MADE, operation_id="create_series", summary="A new series")
@once
def create_series(request: HttpRequest, body: NewSeries) -> HttpResponse:
    team = team_for(request, body.team)
    made = actions.create_series(
        request.user, team, name=body.name, description=body.description, scale_axis=body.scale_axis
    )
    return answer(series_facts(with_sizes(Series.objects.filter(pk=made.pk)).get()), 201)


@router.get("/series/{pk}", response=ONE, operation_id="get_series", summary="One series")
def get_series(request: HttpRequest, pk: Id) -> HttpResponse:
    found = get_visible(Series, request.user, pk=pk)
    return answer(series_facts(with_sizes(Series.objects.filter(pk=found.pk)).get()))


class NewConfiguration(Input):
    name: Name
    recipe: dict[str, Any] = {}
    status: Name = "planned"
    team: Name | None = None


class ChangedConfiguration(Input):
    recipe: dict[str, Any] | None = None
    status: Name | None = None


@router.get(
    "/configurations", response=MANY, operation_id="list_configurations", summary="Training configurations"
)
def list_configurations(request: HttpRequest, where: Where, archived: bool = False) -> HttpResponse:
    rows = endings.current(visible(TrainingConfiguration, request.user), archived=archived)
    return rows_page(rows.select_related("team"), where, _configuration)


def _configuration(c: TrainingConfiguration) -> dict[str, Any]:
    return configuration_facts(c) | {"recipe": c.recipe}


@router.post("/configurations", response=MADE, operation_id="create_configuration", summary="A new recipe")
@once
def create_configuration(request: HttpRequest, body: NewConfiguration) -> HttpResponse:
    made = actions.create_configuration(
        request.user, team_for(request, body.team), name=body.name, recipe=body.recipe, status=body.status
    )
    return answer(_configuration(made), 201)


@router.get("/configurations/{pk}", response=ONE, operation_id="get_configuration", summary="One recipe")
def get_configuration(request: HttpRequest, pk: Id) -> HttpResponse:
    return answer(_configuration(get_visible(TrainingConfiguration, request.user, pk=pk)))


@router.patch(
    "/configurations/{pk}",
    response=ONE,
    operation_id="change_configuration",
    summary="Change status, or a recipe that nothing uses yet",
)
def change_configuration(request: HttpRequest, pk: Id, body: ChangedConfiguration) -> HttpResponse:
    found = get_visible(TrainingConfiguration, request.user, pk=pk)
    changed = actions.update_configuration(
        request.user,
        found,
        recipe=found.recipe if body.recipe is None else body.recipe,
        status=body.status or found.status,
    )
    return answer(_configuration(changed))


class Training(Input):
    series: Name
    configuration: Name
    name: Name = ""
    tokens: Size | None = None
    step: Whole | None = None
    seed: Whole | None = None
    team: Name | None = None


class RegisteredCheckpoint(Training):
    location: Text


class ServedCheckpoint(Training):
    model: Text
    n_params: Size
    tokenizer: Text = ""


class PlannedCheckpoint(Input):
    series: Name
    configuration: Name
    name: Name
    n_params: Size
    tokens: Size | None = None
    team: Name | None = None


@router.get(
    "/checkpoints", response=MANY, operation_id="list_checkpoints", summary="Checkpoints, the newest first"
)
def list_checkpoints(
    request: HttpRequest, where: Where, series: Id | None = None, archived: bool = False
) -> HttpResponse:
    rows = endings.current(visible(Checkpoint, request.user), archived=archived)
    rows = rows.filter(series=series) if series is not None else rows
    return rows_page(rows.select_related("configuration", "series"), where, _checkpoint)


def _checkpoint(c: Checkpoint) -> dict[str, Any]:
    return checkpoint_facts(c) | {"series": c.series.name, "series_id": c.series_id, "location": c.location}


@router.post(
    "/checkpoints",
    response=MADE,
    operation_id="register_checkpoint",
    summary="Register a folder of weights; series and configuration are made where their names are new",
)
@once
def register_checkpoint(request: HttpRequest, body: RegisteredCheckpoint) -> HttpResponse:
    (found,) = register_folder(
        request.user,
        team_for(request, body.team),
        series=body.series,
        configuration=body.configuration,
        rows=[
            NewCheckpoint(
                location=body.location,
                name=body.name or body.location.rstrip("/").rpartition("/")[2],
                tokens=body.tokens,  # type: ignore[arg-type]
                step=body.step,
                seed=body.seed,
            )
        ],
    )
    return answer(_checkpoint(found), 201)


@router.post("/checkpoints/plan", response=MADE, operation_id="plan_checkpoint", summary="A model to come")
@once
def plan_checkpoint(request: HttpRequest, body: PlannedCheckpoint) -> HttpResponse:
    team = team_for(request, body.team)
    made = actions.plan_checkpoint(
        request.user,
        series_named(request.user, team, body.series),
        configuration_named(request.user, team, body.configuration),
        name=body.name,
        n_params=body.n_params,  # type: ignore[arg-type]
        tokens=body.tokens,  # type: ignore[arg-type]
    )
    return answer(_checkpoint(made), 201)


@router.post(
    "/checkpoints/serve", response=MADE, operation_id="serve_checkpoint", summary="A model behind endpoints"
)
@once
def serve_checkpoint(request: HttpRequest, body: ServedCheckpoint) -> HttpResponse:
    team = team_for(request, body.team)
    made = actions.register_served_checkpoint(
        request.user,
        series_named(request.user, team, body.series),
        configuration_named(request.user, team, body.configuration),
        name=body.name or body.model,
        model=body.model,
        n_params=body.n_params,  # type: ignore[arg-type]
        tokenizer=body.tokenizer,
        tokens=body.tokens,  # type: ignore[arg-type]
        step=body.step,
        seed=body.seed,
    )
    return answer(_checkpoint(made), 201)


@router.get("/checkpoints/{pk}", response=ONE, operation_id="get_checkpoint", summary="One checkpoint")
def get_checkpoint(request: HttpRequest, pk: Id) -> HttpResponse:
    return answer(_checkpoint(get_visible(Checkpoint, request.user, pk=pk)))


class Folder(Input):
    location: Text


@router.post(
    "/downloads",
    response=ONE,
    operation_id="download",
    summary="Have a hub id in the cache of the site's machine; done at once where it is there",
)
@once
def download(request: HttpRequest, body: Folder) -> HttpResponse:
    row = downloads.have(request.user, body.location)
    return answer(downloads.facts(row) if row else {"location": body.location, "state": "done"})


@router.get("/downloads", response=ONE, operation_id="get_download", summary="How far a download is")
def get_download(request: HttpRequest, location: Text) -> HttpResponse:
    require_some_team(request.user)
    row = downloads.of(location)
    return answer(downloads.facts(row) if row else {"location": location, "state": "done"})


class FolderRow(Input):
    location: Text
    name: Name
    tokens: Size | None = None
    step: Whole | None = None
    seed: Whole | None = None
    seen: Name = ""
    configuration: Name = ""


class FolderOfCheckpoints(Input):
    series: Name
    configuration: Name
    rows: list[FolderRow]
    team: Name | None = None


@router.post(
    "/checkpoints/{pk}/attach", response=ONE, operation_id="attach_weights", summary="A planned model arrives"
)
@once
def attach_weights(request: HttpRequest, pk: Id, body: Folder) -> HttpResponse:
    found = get_visible(Checkpoint, request.user, pk=pk)
    return answer(_checkpoint(actions.attach_weights(request.user, found, location=body.location)))


@router.post(
    "/checkpoints/{pk}/digest",
    response=ONE,
    operation_id="read_digest_again",
    summary="Read the weights again",
)
@once
def read_digest_again(request: HttpRequest, pk: Id) -> HttpResponse:
    digests.read_again(request.user, get_visible(Checkpoint, request.user, pk=pk))
    return answer(_checkpoint(get_visible(Checkpoint, request.user, pk=pk)))


@router.post(
    "/folders/preview", response=ONE, operation_id="preview_folder", summary="The checkpoints in a folder"
)
def preview_folder(request: HttpRequest, body: Folder) -> HttpResponse:
    require_some_team(request.user)
    return answer({"found": [one.facts() for one in find_checkpoints(body.location)]})


@router.post(
    "/tables/preview", response=ONE, operation_id="preview_table", summary="The checkpoints that a CSV names"
)
def preview_table(request: HttpRequest, file: File[UploadedFile]) -> HttpResponse:
    require_some_team(request.user)
    return answer({"found": [one.facts() for one in find_in_upload(file)]})


@router.post(
    "/folders/register",
    response=MADE,
    operation_id="register_folder",
    summary="Several checkpoints, all or none",
)
@once
def register_many(request: HttpRequest, body: FolderOfCheckpoints) -> HttpResponse:
    rows = [NewCheckpoint(**row.dict()) for row in body.rows]
    made = register_folder(
        request.user,
        team_for(request, body.team),
        series=body.series,
        configuration=body.configuration,
        rows=rows,
    )
    return answer({"checkpoints": [_checkpoint(c) for c in made]}, 201)
