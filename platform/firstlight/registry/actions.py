"""The one door for changes to the registry: permission check, change, audit line."""

from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any, TypeVar

from django.db import IntegrityError, transaction
from django.db.models import Max

from firstlight.files.errors import Refused
from firstlight.files.model_folder import ModelFolder, ModelFolderError, read_headers_of
from firstlight.files.names import checked_name
from firstlight.files.task_file import InstanceSpec, digest
from firstlight.pages.listing import MAX_ID
from firstlight.registry import digests
from firstlight.registry.endpoints import check_tokenizer, served_models
from firstlight.registry.hub import source_of
from firstlight.registry.instances import carry_exclusions, exclusions_of
from firstlight.registry.locations import resolve_location
from firstlight.registry.models import Checkpoint, Instance, Series, Task, TrainingConfiguration
from firstlight.teams.access import User, record, require_writer
from firstlight.teams.models import Team

Whole = TypeVar("Whole", int, int | None)


def _whole(label: str, value: Whole, *, least: int = 0) -> Whole:
    if value is not None and not least <= value <= MAX_ID:
        raise Refused(f"{label} must be a whole number from {least} to 2^63 - 1, not {value}.")
    return value


def _one_of(label: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise Refused(f"no {label} {value!r:.60}: choose one of {', '.join(known)}.")


def create_series(
    actor: User,
    team: Team,
    *,
    name: str,
    description: str = "",
    scale_axis: str = Series.ScaleAxis.PARAMETERS,
) -> Series:
    require_writer(actor, team)
    _one_of("scale axis", scale_axis, Series.ScaleAxis.values)
    try:
        with transaction.atomic():
            series = Series.objects.create(
                team=team, name=checked_name("series", name), description=description, scale_axis=scale_axis
            )
            record(actor, team, "created series", series)
    except IntegrityError as error:
        raise Refused(f"{team} already has a series named {name!r}: choose another name.") from error
    return series


def create_configuration(
    actor: User,
    team: Team,
    *,
    name: str,
    recipe: dict[str, Any],
    status: str = TrainingConfiguration.Status.PLANNED,
) -> TrainingConfiguration:
    """Raises Refused where the name is taken or the recipe is not a JSON object."""
    require_writer(actor, team)
    _one_of("status", status, TrainingConfiguration.Status.values)
    if not isinstance(recipe, dict):
        raise Refused(f"A recipe must be a JSON object, not {type(recipe).__name__}: write it as {{...}}.")
    try:
        with transaction.atomic():
            configuration = TrainingConfiguration.objects.create(
                team=team, name=checked_name("training configuration", name), recipe=recipe, status=status
            )
            record(actor, team, "created configuration", configuration)
    except IntegrityError as error:
        raise Refused(
            f"{team} already has a training configuration named {name!r}: choose another name."
        ) from error
    return configuration


def update_configuration(
    actor: User, configuration: TrainingConfiguration, *, recipe: dict[str, Any], status: str
) -> TrainingConfiguration:
    """A used configuration keeps its recipe for good, once there is one; its status may still move."""
    require_writer(actor, configuration.team)
    _one_of("status", status, TrainingConfiguration.Status.values)
    with transaction.atomic():
        configuration = TrainingConfiguration.objects.select_for_update().get(pk=configuration.pk)
        if configuration.recipe not in ({}, recipe) and configuration.checkpoints.exists():
            raise Refused(
                f"{configuration} is used by checkpoints, so its recipe is fixed: create a new configuration."
            )
        configuration.recipe, configuration.status = recipe, status
        configuration.save(update_fields=["recipe", "status"])
        record(actor, configuration.team, "changed configuration", configuration, status=status)
    return configuration


def read_location(location: str) -> ModelFolder:
    """What the headers of the folder say (N, dtype ...); raises Refused with the reader's own line."""
    try:
        return read_headers_of(resolve_location(location))
    except ModelFolderError as error:
        raise Refused(str(error)) from error


def register_checkpoint(
    actor: User,
    series: Series,
    configuration: TrainingConfiguration,
    *,
    name: str,
    location: str,
    tokens: int | None = None,
    step: int | None = None,
    seed: int | None = None,
    seen: str = "",
) -> Checkpoint:
    """Register trained weights. `seen` is of what the person was shown: a folder that changed since is refused.

    Headers are read here; the bytes of large weights are read by a worker, and runs wait for their digest.
    """
    _same_team(actor, series, configuration)
    folder = read_location(location)
    if seen and folder.seen != seen:
        raise Refused(
            f"The folder {location} has changed since it was read: read it again and check it before saving."
        )
    checkpoint = Checkpoint(
        series=series,
        configuration=configuration,
        name=checked_name("checkpoint", name),
        tokens=_whole("tokens", tokens, least=1),
        step=_whole("step", step),
        seed=_whole("seed", seed),
        **_facts(location, folder),
    )
    with transaction.atomic():
        _save_new(actor, checkpoint, "registered checkpoint")
        digests.begin(checkpoint, folder)
    return checkpoint


def register_served_checkpoint(
    actor: User,
    series: Series,
    configuration: TrainingConfiguration,
    *,
    name: str,
    model: str,
    n_params: int,
    tokenizer: str = "",
    tokens: int | None = None,
    step: int | None = None,
    seed: int | None = None,
) -> Checkpoint:
    """Register a model that endpoints serve. A server tells neither N nor a digest: N is the person's word."""
    _same_team(actor, series, configuration)
    if model not in served_models():
        raise Refused(f"No enabled endpoint serves {model!r}: choose one of the listed models.")
    checkpoint = Checkpoint(
        series=series,
        configuration=configuration,
        name=checked_name("checkpoint", name),
        n_params=_whole("N", n_params, least=1),
        tokens=_whole("tokens", tokens, least=1),
        step=_whole("step", step),
        seed=_whole("seed", seed),
        location=Checkpoint.SERVED + model,
        tokenizer=check_tokenizer(tokenizer),
    )
    return _save_new(actor, checkpoint, "registered served checkpoint")


def plan_checkpoint(
    actor: User,
    series: Series,
    configuration: TrainingConfiguration,
    *,
    name: str,
    n_params: int,
    tokens: int | None = None,
) -> Checkpoint:
    """A model to come: N and no weights. Forecasts aim at it."""
    _same_team(actor, series, configuration)
    checkpoint = Checkpoint(
        series=series,
        configuration=configuration,
        name=checked_name("checkpoint", name),
        planned=True,
        n_params=_whole("N", n_params, least=1),
        tokens=_whole("tokens", tokens, least=1),
    )
    return _save_new(actor, checkpoint, "planned checkpoint")


def attach_weights(actor: User, checkpoint: Checkpoint, *, location: str) -> Checkpoint:
    """A planned model arrives. Its N must be the one that the forecasts aimed at."""
    require_writer(actor, checkpoint.series.team)
    folder = read_location(location)
    with transaction.atomic():
        checkpoint = Checkpoint.objects.select_for_update().get(pk=checkpoint.pk)
        if not checkpoint.planned:
            raise Refused(f"{checkpoint} already has weights: register the folder as a new checkpoint.")
        if folder.n_params != checkpoint.n_params:
            raise Refused(
                f"The folder has N = {folder.n_params:,}, but {checkpoint} was planned with {checkpoint.n_params:,}: "
                "register it as a new checkpoint, because the forecasts are for the planned size."
            )
        for field, value in _facts(location, folder).items():
            setattr(checkpoint, field, value)
        checkpoint.planned = False
        checkpoint.save()
        record(actor, checkpoint.series.team, "attached weights", checkpoint)
        digests.begin(checkpoint, folder)
    return checkpoint


def import_task(
    actor: User,
    team: Team,
    *,
    name: str,
    specs: Collection[InstanceSpec],
    description: str = "",
    carry: bool = True,
) -> Task:
    """A new version of the task `name`; raises Refused where a version holds the very same instances.

    `carry`: what the newest version leaves out stays left out, where id and content are the same.
    """
    require_writer(actor, team)
    name = checked_name("task", name)
    if not specs:
        raise Refused("A task needs at least one instance, but the file is empty.")
    fresh = digest(specs)
    with transaction.atomic():
        # one import at a time, so that versions do not collide
        Team.objects.select_for_update().get(pk=team.pk)
        same = Task.objects.filter(team=team, name=name, digest=fresh).first()
        if same:
            raise Refused(f"Nothing changed: {same} already holds the same instances.")
        newest = Task.objects.filter(team=team, name=name).aggregate(Max("version"))["version__max"] or 0
        author = actor if actor.pk else None
        task = Task.objects.create(
            team=team,
            name=name,
            version=newest + 1,
            description=description,
            digest=fresh,
            created_by_id=author.pk if author else None,
        )
        rows = (
            Instance(
                task=task,
                position=position,
                key=spec.id,
                prompt=spec.prompt,
                answer=spec.answer or "",
                grader=spec.grader,
                stop=list(spec.stop),
                max_tokens=spec.max_tokens,
                guess_rate=spec.guess_rate or 0.0,
            )
            for position, spec in enumerate(specs)
        )
        before = Task.objects.filter(team=team, name=name, version=newest).first() if carry else None
        reasons = exclusions_of(before) if before else {}
        carried = 0
        while some := list(islice(rows, 500)):  # a large file never stands in memory as a whole
            carried += carry_exclusions(reasons, some) if reasons else 0
            Instance.objects.bulk_create(some)
        record(actor, team, "imported task", task, instances=len(specs), digest=fresh, carried=carried)
    return task


def _same_team(actor: User, series: Series, configuration: TrainingConfiguration) -> None:
    require_writer(actor, series.team)
    if configuration.team_id != series.team_id:
        raise Refused(
            f"{configuration} belongs to another team than {series}: choose a configuration of {series.team}."
        )


def _facts(location: str, folder: ModelFolder) -> dict[str, Any]:
    return {
        "location": str(resolve_location(location)),
        "source": source_of(resolve_location(location)),
        "n_params": folder.n_params,
        "dtype": folder.dtype,
        "architecture": folder.architecture,
        "context_length": folder.context_length,
    }


def _save_new(actor: User, checkpoint: Checkpoint, verb: str) -> Checkpoint:
    try:
        with transaction.atomic():
            checkpoint.save(force_insert=True)
            record(actor, checkpoint.series.team, verb, checkpoint, n_params=checkpoint.n_params)
    except IntegrityError as error:
        raise Refused(
            f"{checkpoint.series} already has a checkpoint named {checkpoint.name!r}: choose another name."
        ) from error
    return checkpoint
