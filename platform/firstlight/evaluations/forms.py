"""The form of a new run. Its fields for the stopping rule are the settings that the rules declare."""

from collections.abc import Iterator
from typing import Any

from django import forms

from firstlight.evaluations.actions import ENGINES, parse_rule
from firstlight.evaluations.engine_workers import living
from firstlight.pages.forms import SiteForm, whole
from firstlight.registry.endings import current
from firstlight.registry.models import Checkpoint, Task
from firstlight.teams.access import User, visible, writable_teams
from passuntil.rules import RULES, Setting

#: Every setting of every rule, each name once: rules that share a setting share its field.
SETTINGS: dict[str, Setting] = {setting.name: setting for rule in RULES.values() for setting in rule.settings}
DEFAULTS: dict[str, Any] = {
    "kind": next(iter(RULES)),
    **{name: setting.start for name, setting in SETTINGS.items()},
    "engine": "reference",
    "temperature": 1.0,
    "top_p": 1.0,
    "seed": 0,
}


class CheckpointChoice(forms.ModelChoiceField):
    def label_from_instance(self, obj: Checkpoint) -> str:
        return f"{obj.series.name} / {obj.name} (N = {obj.n_params:,})"


class RunForm(SiteForm):
    checkpoint = CheckpointChoice(Checkpoint.objects.none(), help_text="A checkpoint with weights.")
    task = forms.ModelChoiceField(Task.objects.none(), help_text="The run keeps this version of the task.")
    kind = forms.ChoiceField(
        label="Stop when",
        choices=[(kind, rule.title) for kind, rule in RULES.items()],
        required=False,
        initial=DEFAULTS["kind"],
    )
    engine = forms.ChoiceField(choices=[(name, name) for name in ENGINES], required=False)
    temperature = forms.FloatField(
        min_value=0.01,
        max_value=10,
        initial=DEFAULTS["temperature"],
        help_text="At 1, pass probability is linked to loss. Other values measure another quantity.",
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
            current(visible(Checkpoint, user))
            .filter(planned=False, series__team__in=teams)
            .select_related("series")
            .order_by("series__name", "n_params", "id")
        )
        task.queryset = current(visible(Task, user)).filter(team__in=teams).order_by("name", "-version")
        self.fields["seed"].initial = DEFAULTS["seed"]
        alive = living()
        engine = self.fields["engine"]
        assert isinstance(engine, forms.ChoiceField)
        engine.choices = [
            (name, f"{name} ({'a worker is running' if name in alive else 'no worker running'})")
            for name in ENGINES
        ]
        engine.help_text = (
            "The run waits for a worker of this engine: firstlight worker --engine KIND starts one."
        )
        for name in ("temperature", "top_p"):
            self.fields[name].widget.attrs["step"] = "any"

    @property
    def rule_fields(self) -> Iterator[dict[str, Any]]:
        """The fields of the stopping rules: each with the places of the rules that have it in the choice of rules."""
        for name in SETTINGS:
            has = [name in [setting.name for setting in rule.settings] for rule in RULES.values()]
            rules = [place for place, yes in enumerate(has, 1) if yes]
            yield {"field": self[name], "rules": rules, "is_flag": SETTINGS[name].type == "flag"}

    def clean(self) -> dict[str, Any]:
        """The values, with the rule that they make under `rule`."""
        values = super().clean() or {}
        values["kind"] = values.get("kind") or DEFAULTS["kind"]
        values["engine"] = values.get("engine") or DEFAULTS["engine"]
        wanted = [setting.name for setting in RULES[values["kind"]].settings]
        missing = [name for name in wanted if name in values and values[name] is None]
        for name in missing:
            self.add_error(name, "This rule needs a value here.")
        if not missing and all(name in values for name in wanted):
            rule = self.attempt(lambda: parse_rule(**values))
            if rule:
                values["rule"] = rule
        return values


def _field(setting: Setting) -> forms.Field:
    """The field of a rule's setting. None is required: only those of the chosen rule must be there."""
    words: dict[str, Any] = {
        "label": setting.label,
        "help_text": setting.meaning,
        "initial": setting.start,
        "required": False,
    }
    if setting.type == "flag":
        return forms.BooleanField(**words)
    if setting.type == "real":
        field: forms.Field = forms.FloatField(**words, **_range(setting.offered, float))
        field.widget.attrs["step"] = "any"
        return field
    return forms.IntegerField(**words, **_range(setting.offered, int))


def _range(offered: tuple[float, float] | None, kind: type) -> dict[str, Any]:
    return {"min_value": kind(offered[0]), "max_value": kind(offered[1])} if offered else {}


RunForm.base_fields.update({name: _field(setting) for name, setting in SETTINGS.items()})
