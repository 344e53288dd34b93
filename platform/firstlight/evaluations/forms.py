"""The form of a new run. Its fields for the stopping rule are the settings that the rules declare."""

from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any

from django import forms

from firstlight.evaluations.actions import ENGINES, parse_rule
from firstlight.evaluations.engine_workers import living
from firstlight.evaluations.models import Run
from firstlight.files.task_file import StoredTask
from firstlight.pages.forms import SiteForm, whole
from firstlight.pages.listing import row_ids
from firstlight.registry.endings import current
from firstlight.registry.forms import read_upload
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


#: Rows that the form offers to tick; others are found by their name.
OFFERED = 40


class Ticks(forms.ModelMultipleChoiceField):
    """Rows to tick. All that the person may see are valid; the page offers the ticked ones and the newest."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, describe: Callable[[Any], str] = str, **kwargs: Any) -> None:
        self.describe = describe
        super().__init__(**kwargs)

    def label_from_instance(self, obj: Any) -> str:
        return self.describe(obj)


def _describe(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.series.name} / {checkpoint.name} (N = {checkpoint.n_params:,})"


class RunForm(SiteForm):
    """Which checkpoints are measured on which tasks, by which rule: a run for each pair."""

    checkpoint = Ticks(_describe, queryset=Checkpoint.objects.none(), label="Checkpoints")
    task = Ticks(queryset=Task.objects.none(), label="Tasks", required=False)
    file = forms.FileField(
        label="Or a new task (JSONL)",
        required=False,
        widget=forms.FileInput(attrs={"accept": ".jsonl,.json,application/jsonl"}),
        help_text="One instance per line. It is named after its file.",
    )
    kind = forms.ChoiceField(
        label="Stop when",
        choices=[(kind, rule.title) for kind, rule in RULES.items()],
        required=False,
        initial=DEFAULTS["kind"],
    )
    engine = forms.ChoiceField(choices=[(name, name) for name in ENGINES], required=False)
    priority = forms.TypedChoiceField(
        choices=Run.Priority.choices,
        coerce=int,
        required=False,
        empty_value=str(Run.Priority.NORMAL.value),
        initial=Run.Priority.NORMAL,
        help_text="Among your team's own runs. Teams take turns whatever it is.",
    )
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

    def __init__(self, user: User, *args: Any, find: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        teams = writable_teams(user)
        checkpoint, task = self.fields["checkpoint"], self.fields["task"]
        assert isinstance(checkpoint, Ticks)
        assert isinstance(task, Ticks)
        checkpoint.queryset = (
            current(visible(Checkpoint, user))
            .filter(planned=False, series__team__in=teams)
            .select_related("series__team")
            .order_by("series__name", "n_params", "id")
        )
        task.queryset = (
            current(visible(Task, user))
            .filter(team__in=teams)
            .select_related("team")
            .order_by("name", "-version")
        )
        self.hidden = {name: self._offer(name, find) for name in ("checkpoint", "task")}
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

    def _offer(self, name: str, find: str) -> int:
        """Choices to tick: those ticked, and the newest that match. Returns how many stay hidden."""
        field = self.fields[name]
        assert isinstance(field, Ticks)
        assert field.queryset is not None
        ticked = row_ids(map(str, self[name].value() or []))
        rows = field.queryset.filter(name__icontains=find) if find else field.queryset
        newest = list(rows.order_by("-id").values_list("pk", flat=True)[:OFFERED])
        offered = field.queryset.filter(pk__in=[*ticked[:200], *newest])
        shown = [(row.pk, field.label_from_instance(row)) for row in offered]
        field.widget.choices = shown
        if name == "checkpoint" and len(shown) == 1 and not find:
            field.initial = [shown[0][0]]
        return max(0, rows.count() - len(shown))

    @property
    def ticks(self) -> list[dict[str, Any]]:
        return [{"field": self[name], "hidden": self.hidden[name]} for name in ("checkpoint", "task")]

    def clean_file(self) -> tuple[str, StoredTask] | None:
        """The name and the instances of an uploaded task."""
        upload = self.cleaned_data.get("file")
        if not upload:
            return None
        return PurePath(upload.name or "task").stem[:120] or "task", read_upload(upload)

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
        if not values.get("task") and not values.get("file") and not {"task", "file"} & set(self.errors):
            self.add_error("task", "Choose a task, or upload one.")
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
