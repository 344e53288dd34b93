"""The form of a new run, and what it would cost."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.db.models import Avg, Count, Sum

from firstlight.evaluations.actions import ENGINES, RULES, StoppingRule, parse_rule
from firstlight.evaluations.engine_workers import living
from firstlight.evaluations.models import Run
from firstlight.pages.forms import SiteForm, whole
from firstlight.registry.models import Checkpoint, Task
from firstlight.teams.access import User, visible, writable_teams
from passuntil import DatasetPrecision, UntilPasses
from passuntil.rules import BetaPrior

DEFAULTS: dict[str, Any] = {
    "kind": "until_passes",
    "r": 5,
    "n": 1000,
    "epsilon": 0.2,
    "level": 0.95,
    "target": 0.02,
    "relative": True,
    "pilot": 32,
    "floor": 64,
    "cap": 10_000,
    "engine": "reference",
    "temperature": 1.0,
    "top_p": 1.0,
    "seed": 0,
}
#: No form asks for more: 10^7 draws an instance are a mistake.
MOST_DRAWS = 10_000_000
KINDS = (
    ("until_passes", "Until r passes of each instance"),
    ("relative_error", "Until each instance is known to a share of itself"),
    ("dataset_precision", "Until the mean over all instances is precise"),
    ("fixed_draws", "A fixed number of draws"),
)


class CheckpointChoice(forms.ModelChoiceField):
    def label_from_instance(self, obj: Checkpoint) -> str:
        return f"{obj.series.name} / {obj.name} (N = {obj.n_params:,})"


class RunForm(SiteForm):
    checkpoint = CheckpointChoice(Checkpoint.objects.none(), help_text="A checkpoint with weights.")
    task = forms.ModelChoiceField(Task.objects.none(), help_text="Its version is fixed with the run.")
    kind = forms.ChoiceField(label="Stop", choices=KINDS, required=False, initial=DEFAULTS["kind"])
    r = forms.IntegerField(
        label="Passes r",
        min_value=2,
        max_value=1000,
        required=False,
        initial=DEFAULTS["r"],
        help_text="Each instance is drawn until it passed r times. More passes, narrower intervals.",
    )
    n = forms.IntegerField(
        label="Draws n",
        min_value=1,
        max_value=MOST_DRAWS,
        required=False,
        initial=DEFAULTS["n"],
        help_text="So many of each instance, whatever passes.",
    )
    epsilon = forms.FloatField(
        label="Relative error",
        min_value=0.01,
        max_value=0.99,
        required=False,
        initial=DEFAULTS["epsilon"],
        help_text="0.5, 0.2 and 0.1 take 17, 97 and 385 passes at level 0.95.",
    )
    level = forms.FloatField(
        min_value=0.5, max_value=0.999, required=False, initial=DEFAULTS["level"], help_text="How surely."
    )
    target = forms.FloatField(
        label="Standard error of the mean",
        min_value=1e-9,
        max_value=1,
        required=False,
        initial=DEFAULTS["target"],
        help_text="From draws. What the choice of instances adds no draw can remove.",
    )
    relative = forms.BooleanField(
        label="as a share of the mean", required=False, initial=DEFAULTS["relative"]
    )
    pilot = forms.IntegerField(
        min_value=2,
        max_value=MOST_DRAWS,
        required=False,
        initial=DEFAULTS["pilot"],
        help_text="Draws of each instance in the first round, which only plans.",
    )
    floor = forms.IntegerField(
        label="Floor",
        min_value=0,
        max_value=MOST_DRAWS,
        required=False,
        initial=DEFAULTS["floor"],
        help_text="At least so many draws, so that easy instances are not left to a handful.",
    )
    cap = forms.IntegerField(
        label="Cap",
        min_value=1,
        max_value=MOST_DRAWS,
        required=False,
        initial=DEFAULTS["cap"],
        help_text="At most so many draws an instance. Far below 1/cap only an upper bound is left.",
    )
    engine = forms.ChoiceField(choices=[(name, name) for name in ENGINES], required=False)
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
        alive = living()
        engine = self.fields["engine"]
        assert isinstance(engine, forms.ChoiceField)
        engine.choices = [
            (name, f"{name} ({'a worker is up' if name in alive else 'no worker heard of'})")
            for name in ENGINES
        ]
        engine.help_text = "A run waits until a worker of its engine is up: firstlight worker --engine KIND."
        for name in ("temperature", "top_p", "epsilon", "level", "target"):
            self.fields[name].widget.attrs["step"] = "any"

    def clean(self) -> dict[str, Any]:
        """The values, with the rule they make under `rule`."""
        values = super().clean() or {}
        values["kind"] = values.get("kind") or DEFAULTS["kind"]
        values["engine"] = values.get("engine") or DEFAULTS["engine"]
        wanted = RULES[values["kind"]]
        missing = [name for name in wanted if name in values and values[name] is None]
        for name in missing:
            self.add_error(name, "This rule needs it.")
        if not missing and all(name in values for name in wanted):
            made = self.attempt(lambda: parse_rule(**values))
            if made:
                values["rule"] = made
        return values


def rule_settings(rule: dict[str, Any]) -> dict[str, Any]:
    """What the form shows for a rule that a run has."""
    return {name: value for name, value in rule.items() if name in DEFAULTS}


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
    draws_expected: float | None = None
    seconds_expected: float | None = None
    note: str = ""


def cost(checkpoint: Checkpoint, task: Task, rule: StoppingRule) -> Cost:
    """From the task's token limits, or from what earlier runs of this checkpoint on this task needed.

    Where an earlier run of the two counted passes, the rule says what it expects to draw.
    """
    items = task.instances.filter(excluded="").aggregate(n=Count("id"), longest=Avg("max_tokens"))
    instances = items["n"]
    earlier = Run.objects.filter(checkpoint=checkpoint, task=task, drawn__gt=0)
    past = earlier.aggregate(drawn=Sum("drawn"), tokens=Sum("tokens"))
    speed = Run.objects.filter(checkpoint=checkpoint, engine_seconds__gt=0).aggregate(
        tokens=Sum("tokens"), seconds=Sum("engine_seconds")
    )
    measured = bool(past["drawn"])
    each = past["tokens"] / past["drawn"] if measured else float(items["longest"] or 0)
    rate = speed["tokens"] / speed["seconds"] if speed["seconds"] else None
    fewest, most = bounds(rule)
    expected, note = _expected(earlier.order_by("-drawn").first(), rule, instances)
    return Cost(
        instances=instances,
        draws_least=instances * fewest,
        draws_most=instances * most,
        tokens_least=round(instances * fewest * each),
        tokens_most=round(instances * most * each),
        seconds_least=instances * fewest * each / rate if rate else None,
        seconds_most=instances * most * each / rate if rate else None,
        tokens_a_draw=each,
        measured=measured,
        draws_expected=expected,
        seconds_expected=expected * each / rate if rate and expected else None,
        note=note,
    )


def bounds(rule: StoppingRule) -> tuple[int, int]:
    """Fewest and most draws of an instance."""
    if isinstance(rule, UntilPasses):
        return max(rule.floor, rule.r), rule.cap
    return (rule.pilot, rule.cap) if isinstance(rule, DatasetPrecision) else (rule.n, rule.n)


def _expected(run: Run | None, rule: StoppingRule, instances: int) -> tuple[float | None, str]:
    """Draws that the rule expects of a new run, by how the pass probabilities of an earlier one spread."""
    counts = list(run.units.filter(draws__gt=0).values_list("draws", "passes")) if run else []
    if not counts or not any(passes for _, passes in counts):
        return None, ""
    plan = rule.plan(BetaPrior.fit(*zip(*counts, strict=True)), instances=instances)
    return plan.draws, plan.note
