"""The form of a new run, and what it would cost."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.db.models import Avg, Count, Sum

from firstlight.config.forms import SiteForm, whole
from firstlight.config.pages import writable_teams
from firstlight.evaluations.actions import StoppingRule, parse_rule
from firstlight.evaluations.models import Run
from firstlight.registry.models import Checkpoint, Task
from firstlight.teams.access import User, visible

DEFAULTS = {"r": 5, "floor": 64, "cap": 10_000, "temperature": 1.0, "top_p": 1.0, "seed": 0}
#: No form asks for more: 10^7 draws an instance are a mistake.
MOST_DRAWS = 10_000_000


class CheckpointChoice(forms.ModelChoiceField):
    def label_from_instance(self, obj: Checkpoint) -> str:
        return f"{obj.series.name} / {obj.name} (N = {obj.n_params:,})"


class RunForm(SiteForm):
    checkpoint = CheckpointChoice(Checkpoint.objects.none(), help_text="A checkpoint with weights.")
    task = forms.ModelChoiceField(Task.objects.none(), help_text="Its version is fixed with the run.")
    r = forms.IntegerField(
        label="Passes r",
        min_value=2,
        max_value=1000,
        initial=DEFAULTS["r"],
        help_text="Each instance is drawn until it passed r times. More passes, narrower intervals.",
    )
    floor = forms.IntegerField(
        label="Floor",
        min_value=0,
        max_value=MOST_DRAWS,
        initial=DEFAULTS["floor"],
        help_text="At least so many draws, so that easy instances are not left to a handful.",
    )
    cap = forms.IntegerField(
        label="Cap",
        min_value=1,
        max_value=MOST_DRAWS,
        initial=DEFAULTS["cap"],
        help_text="At most so many draws an instance. Far below 1/cap only an upper bound is left.",
    )
    temperature = forms.FloatField(
        min_value=0.01,
        max_value=10,
        initial=DEFAULTS["temperature"],
        help_text="1 links pass probability to loss; other values measure another quantity.",
    )
    top_p = forms.FloatField(
        label="Top-p",
        min_value=0.01,
        max_value=1,
        initial=DEFAULTS["top_p"],
        help_text="1 keeps every token.",
    )
    seed = whole("Seed", required=True, help_text="The same seed draws the same texts again.")

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        teams = writable_teams(user)
        checkpoint, task = self.fields["checkpoint"], self.fields["task"]
        assert isinstance(checkpoint, forms.ModelChoiceField)
        assert isinstance(task, forms.ModelChoiceField)
        checkpoint.queryset = (
            visible(Checkpoint, user)
            .filter(planned=False, series__team__in=teams)
            .select_related("series")
            .order_by("series__name", "n_params", "id")
        )
        task.queryset = visible(Task, user).filter(team__in=teams).order_by("name", "-version")
        self.fields["seed"].initial = DEFAULTS["seed"]
        for name in ("temperature", "top_p"):
            self.fields[name].widget.attrs["step"] = "any"

    def rule(self) -> StoppingRule:
        values = self.cleaned_data
        return parse_rule(r=values["r"], floor=values["floor"], cap=values["cap"])


@dataclass(frozen=True)
class Cost:
    """What a run would draw: between every instance at the floor and every instance at the cap."""

    instances: int
    draws_least: int
    draws_most: int
    tokens_least: int
    tokens_most: int
    seconds_least: float | None
    seconds_most: float | None
    tokens_a_draw: float
    measured: bool


def cost(checkpoint: Checkpoint, task: Task, *, r: int, floor: int, cap: int) -> Cost:
    """From the task's token limits, or from what earlier runs of this checkpoint on this task needed."""
    items = task.instances.filter(excluded="").aggregate(n=Count("id"), longest=Avg("max_tokens"))
    instances = items["n"]
    past = Run.objects.filter(checkpoint=checkpoint, task=task, drawn__gt=0).aggregate(
        drawn=Sum("drawn"), tokens=Sum("tokens")
    )
    speed = Run.objects.filter(checkpoint=checkpoint, engine_seconds__gt=0).aggregate(
        tokens=Sum("tokens"), seconds=Sum("engine_seconds")
    )
    measured = bool(past["drawn"])
    each = past["tokens"] / past["drawn"] if measured else float(items["longest"] or 0)
    rate = speed["tokens"] / speed["seconds"] if speed["seconds"] else None
    least, most = instances * max(floor, r), instances * cap
    return Cost(
        instances=instances,
        draws_least=least,
        draws_most=most,
        tokens_least=round(least * each),
        tokens_most=round(most * each),
        seconds_least=least * each / rate if rate else None,
        seconds_most=most * each / rate if rate else None,
        tokens_a_draw=each,
        measured=measured,
    )
