"""Forms of the registry. Choices are what the person may see, so a foreign id is no valid choice."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat

from firstlight.files.strict_json import StrictJsonError, strict_loads
from firstlight.files.task_file import StoredTask, TaskFileError
from firstlight.pages.forms import SiteForm, SizeField, only_choice, whole
from firstlight.registry.endings import current
from firstlight.registry.endpoints import KEY_PREFIX, MOST_PARALLEL, served_models
from firstlight.registry.folders import FoundFolder
from firstlight.registry.models import Series, Task, TrainingConfiguration
from firstlight.teams.access import User, visible, writable_teams
from firstlight.teams.models import Team

MAX_RECIPE_CHARACTERS = 200_000


class TeamForm(SiteForm):
    """For what belongs to a team: one in which the person may write."""

    team = forms.ModelChoiceField(Team.objects.none())

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        field = self.fields["team"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = writable_teams(user)
        only_choice(field)


class RecipeField(forms.CharField):
    """A JSON object, read as strictly as an upload."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.Textarea(attrs={"rows": 12, "class": "mono", "spellcheck": "false"})
        super().__init__(label="Recipe (JSON)", max_length=MAX_RECIPE_CHARACTERS, widget=widget, **kwargs)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            recipe = strict_loads((text or "{}").encode("utf-8", "surrogatepass"))
        except StrictJsonError as error:
            raise forms.ValidationError(f"The recipe {error}.") from error
        if not isinstance(recipe, dict):
            raise forms.ValidationError('A recipe is a JSON object, for example {"learning_rate": 0.003}.')
        return recipe


class SeriesForm(TeamForm):
    name = forms.CharField(max_length=120)
    description = forms.CharField(
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What the models share: data, tokenizer, shape rule.",
    )
    scale_axis = forms.ChoiceField(
        choices=Series.ScaleAxis.choices,
        initial=Series.ScaleAxis.PARAMETERS,
        label="Scale axis",
        help_text="What grows from one model to the next. Forecasts are made over N.",
    )


class ConfigurationForm(TeamForm):
    name = forms.CharField(max_length=120)
    status = forms.ChoiceField(
        choices=TrainingConfiguration.Status.choices, initial=TrainingConfiguration.Status.PLANNED
    )
    recipe = RecipeField(
        required=False,
        initial="{\n  \n}",
        help_text="Data mixture and hyper-parameters. It is fixed once a checkpoint uses it.",
    )


class ConfigurationEditForm(SiteForm):
    status = forms.ChoiceField(choices=TrainingConfiguration.Status.choices)
    recipe = RecipeField(required=False)

    def __init__(self, *args: Any, fixed: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if fixed:
            del self.fields["recipe"]


class _ConfiguredForm(SiteForm):
    name = forms.CharField(
        max_length=120,
        help_text="For example ladder-4.6M. No other checkpoint of the series may have this name.",
    )
    configuration = forms.ModelChoiceField(
        TrainingConfiguration.objects.none(),
        label="Training configuration",
        help_text="The recipe that the model is trained with.",
    )

    def __init__(self, user: User, series: Series, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["configuration"]
        assert isinstance(field, forms.ModelChoiceField)
        rows = visible(TrainingConfiguration, user).filter(team=series.team)
        field.queryset = current(rows).order_by("name")
        only_choice(field)


class FolderForm(SiteForm):
    """The folder alone: what "Read folder" needs, and what attaching weights takes."""

    location = forms.CharField(
        label="Folder",
        max_length=1000,
        help_text="A folder in an allowed place that holds a config.json and safetensors files.",
        widget=forms.TextInput(
            attrs={"list": "known-folders", "class": "mono", "autocomplete": "off", "spellcheck": "false"}
        ),
    )


class RegisterForm(TeamForm):
    """Where checkpoints go: names of a series and of a configuration, which are made where they are new."""

    location = forms.CharField(
        label="Folder",
        max_length=1000,
        required=False,
        help_text="A folder with a config.json and safetensors files, one that holds such folders, or a hub id such as "
        "org/name@revision.",
        widget=forms.TextInput(
            attrs={"list": "known-folders", "class": "mono", "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    table = forms.FileField(
        label="Or a CSV",
        required=False,
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}),
        help_text="A column folder, and any of name, tokens, step, seed, configuration.",
    )
    series = forms.CharField(
        max_length=120,
        help_text="Models that differ in size only. A new name makes a new series.",
        widget=forms.TextInput(attrs={"list": "known-series", "autocomplete": "off"}),
    )
    configuration = forms.CharField(
        label="Training configuration",
        max_length=120,
        help_text="The recipe that they are trained with. A new name makes a new configuration.",
        widget=forms.TextInput(attrs={"list": "known-configurations", "autocomplete": "off"}),
    )

    field_order = ("location", "table", "team", "series", "configuration")
    folder_error = ""

    def __init__(self, user: User, series: Series | None, *args: Any, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        self.chosen_series = series
        if series is not None:
            team = self.fields["team"]
            assert isinstance(team, forms.ModelChoiceField)
            team.queryset = Team.objects.filter(pk=series.team_id)
            only_choice(team)
            self.fields["series"].initial = series.name

    def suggest(self, found: Sequence[FoundFolder]) -> None:
        """Names from the folder, where the person gave none."""
        if not found:
            return
        root = (
            Path(found[0].location)
            if len(found) == 1
            else Path(os.path.commonpath([f.location for f in found]))
        )
        known = current(visible(TrainingConfiguration, self.user)).order_by("-id")
        only = known.first() if known.count() == 1 else None
        for name, suggestion in (("series", root.name), ("configuration", only.name if only else root.name)):
            if not self.initial.get(name):
                self.initial[name] = self.fields[name].initial or suggestion

    def known_series(self) -> list[str]:
        return list(current(visible(Series, self.user)).values_list("name", flat=True)[:200])

    def known_configurations(self) -> list[str]:
        rows = current(visible(TrainingConfiguration, self.user))
        return list(rows.values_list("name", flat=True)[:200])


class FoundForm(SiteForm):
    """One checkpoint of a folder, as found and as the person corrects it."""

    use = forms.BooleanField(label="Register", required=False)
    name = forms.CharField(max_length=120, required=False)
    tokens = SizeField("Training tokens D")
    step = whole("Step")
    seed = whole("Seed")
    location = forms.CharField(max_length=1000, widget=forms.HiddenInput)
    seen = forms.CharField(max_length=40, required=False, widget=forms.HiddenInput)
    configuration = forms.CharField(max_length=120, required=False, widget=forms.HiddenInput)
    # shown again where something else was refused; what is saved is read from the folder
    n_params = forms.CharField(required=False, widget=forms.HiddenInput)
    dtype = forms.CharField(required=False, widget=forms.HiddenInput)
    refused = forms.CharField(required=False, widget=forms.HiddenInput)

    def measures(self) -> list[dict[str, Any]]:
        """Tokens, step and seed, each with where its first value came from."""
        told = self.initial.get("told") or {}
        return [{"field": self[name], "told": told.get(name, "")} for name in ("tokens", "step", "seed")]

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"]).strip()
        if self.cleaned_data.get("use") and not name:
            raise forms.ValidationError("Give it a name.")
        return name

    def chosen(self) -> dict[str, Any] | None:
        """What to register, or None where the box is not ticked."""
        values = self.cleaned_data
        if not values.get("use"):
            return None
        return {
            name: values[name]
            for name in ("location", "name", "tokens", "step", "seed", "seen", "configuration")
        }


class PlanForm(_ConfiguredForm):
    n_params = SizeField(
        "Non-embedding parameters N",
        required=True,
        help_text="The size the model will have. Weights of another size cannot be attached later.",
    )
    tokens = SizeField("Training tokens D", help_text="Leave this empty if it is not decided yet.")


class ServeForm(_ConfiguredForm):
    """A model behind endpoints: chosen from what administrators listed."""

    model = forms.ChoiceField(
        label="Served model", help_text="One of the models that the administrators listed for an endpoint."
    )
    n_params = SizeField(
        "Non-embedding parameters N",
        required=True,
        help_text="The server does not report it. Do not count the embeddings and the output head.",
    )
    tokenizer = forms.CharField(
        label="Folder of the tokenizer",
        required=False,
        max_length=1000,
        help_text="A folder that holds tokenizer.json and config.json. "
        "With it, prompts are sent as tokens and answers can be scored.",
        widget=forms.TextInput(
            attrs={"list": "known-folders", "class": "mono", "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    tokens = SizeField("Training tokens D", help_text="Needed for the training compute C = 6ND.")
    step = whole("Training step")
    seed = whole("Training seed")

    field_order = ("model", "name", "n_params", "configuration", "tokenizer", "tokens", "step", "seed")

    def __init__(self, user: User, series: Series, *args: Any, **kwargs: Any) -> None:
        super().__init__(user, series, *args, **kwargs)
        field = self.fields["model"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(name, name) for name in served_models()]


class EndpointForm(SiteForm):
    name = forms.CharField(max_length=60, help_text="For example gpu-1. The record of every draw names it.")
    base_url = forms.CharField(
        label="Base URL",
        max_length=300,
        help_text="The address without /completions, for example https://gpu-1.example.org/v1.",
        widget=forms.TextInput(attrs={"class": "mono", "autocomplete": "off", "spellcheck": "false"}),
    )
    served = forms.CharField(
        label="Served models",
        max_length=25_000,
        help_text="The names that the server gives its models, one per line. "
        "Endpoints that list the same name must serve the same weights.",
        widget=forms.Textarea(attrs={"rows": 4, "class": "mono", "spellcheck": "false"}),
    )
    key_variable = forms.CharField(
        label="Environment variable of the key",
        required=False,
        max_length=100,
        help_text=f"The workers read the key from it; its name begins with {KEY_PREFIX}. "
        "The key itself is not stored here.",
        widget=forms.TextInput(attrs={"class": "mono", "autocomplete": "off", "spellcheck": "false"}),
    )
    parallel = forms.IntegerField(
        label="Parallel requests", min_value=1, max_value=MOST_PARALLEL, initial=8, help_text="Per worker."
    )
    allow_private = forms.BooleanField(
        label="Allow loopback, private and link-local addresses",
        required=False,
        help_text="Only for your own servers: anyone who can edit endpoints can then reach that network.",
    )
    enabled = forms.BooleanField(
        label="Enabled",
        required=False,
        initial=True,
        help_text="Workers draw from it, and its models can be registered.",
    )

    def clean_served(self) -> list[str]:
        return str(self.cleaned_data["served"]).splitlines()


class TaskForm(TeamForm):
    name = forms.CharField(
        max_length=120,
        help_text="An existing name gets a new version.",
        widget=forms.TextInput(attrs={"list": "known-tasks", "autocomplete": "off"}),
    )
    description = forms.CharField(required=False, max_length=4000, widget=forms.Textarea(attrs={"rows": 3}))
    file = forms.FileField(
        label="Task file (JSONL)",
        help_text='One instance per line, for example {"id": "a1", "prompt": "2+3=", "answer": "5", "grader": "exact"}',
        widget=forms.FileInput(attrs={"accept": ".jsonl,.json,application/jsonl"}),
    )
    carry = forms.BooleanField(
        label="Leave out again what the version before leaves out",
        required=False,
        initial=True,
        help_text="Instances whose id and content are the same.",
    )

    def clean_file(self) -> StoredTask:
        return read_upload(self.cleaned_data["file"])

    def known_names(self) -> list[str]:
        names = visible(Task, self.user).order_by("name").values_list("name", flat=True)
        return list(names.distinct()[:200])


def read_upload(upload: UploadedFile) -> StoredTask:
    """A task file, the whole or nothing, read from disk whenever it is gone through; the error names the line."""
    most = settings.TASK_UPLOAD_MAX_BYTES
    size = upload.size or 0
    if size > most:
        raise forms.ValidationError(
            f"The file has {filesizeformat(size)}, and at most {filesizeformat(most)} are allowed: split the task."
        )
    stream = upload.file
    assert stream is not None
    try:
        return StoredTask(stream, source=(upload.name or "the file")[:80])
    except TaskFileError as error:
        raise forms.ValidationError(f"{error}. Nothing was saved.") from error


class ExcludeForm(SiteForm):
    reason = forms.CharField(max_length=300, required=False)
