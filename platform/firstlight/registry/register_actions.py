"""Registering several checkpoints at once: all of them or none, with the series and the configuration where new."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from django.db import transaction
from django.db.models import QuerySet

from firstlight.files.errors import Refused
from firstlight.registry import actions
from firstlight.registry.models import Checkpoint, Series, TrainingConfiguration
from firstlight.teams.access import User, require_writer
from firstlight.teams.models import Team

Row = TypeVar("Row", Series, TrainingConfiguration)


@dataclass(frozen=True, kw_only=True)
class NewCheckpoint:
    """One of those to register; `seen` is what the person was shown of its folder, if it was shown."""

    location: str
    name: str
    tokens: int | None = None
    step: int | None = None
    seed: int | None = None
    seen: str = ""
    configuration: str = ""


def register_folder(
    actor: User, team: Team, *, series: str, configuration: str, rows: Sequence[NewCheckpoint]
) -> list[Checkpoint]:
    """Register `rows` in the series of that name; a row may name another configuration than the others.

    A name that the team does not have yet makes a new series or configuration, whose recipe can be written down once.
    """
    require_writer(actor, team)
    if not rows:
        raise Refused("Choose at least one checkpoint to register.")
    with transaction.atomic():
        into = series_named(actor, team, series)
        made = []
        for row in rows:
            recipe = configuration_named(actor, team, row.configuration or configuration)
            try:
                made.append(
                    actions.register_checkpoint(
                        actor,
                        into,
                        recipe,
                        name=row.name,
                        location=row.location,
                        tokens=row.tokens,
                        step=row.step,
                        seed=row.seed,
                        seen=row.seen,
                    )
                )
            except Refused as error:
                raise Refused(f"{row.name}: {error}") from error
    return made


def series_named(actor: User, team: Team, name: str) -> Series:
    """The team's series of that name, made where there is none."""
    rows = Series.objects.filter(team=team, name=name.strip())
    return rows.first() or _made(rows, lambda: actions.create_series(actor, team, name=name))


def configuration_named(actor: User, team: Team, name: str) -> TrainingConfiguration:
    """The team's training configuration of that name, made where there is none."""
    rows = TrainingConfiguration.objects.filter(team=team, name=name.strip())
    trained = TrainingConfiguration.Status.TRAINED
    return rows.first() or _made(
        rows, lambda: actions.create_configuration(actor, team, name=name, recipe={}, status=trained)
    )


def _made(rows: QuerySet[Row], make: Callable[[], Row]) -> Row:
    """What `make` makes, or what somebody else made of that name at the same time."""
    try:
        return make()
    except Refused:
        found = rows.first()
        if found is None:
            raise
        return found
