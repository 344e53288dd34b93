"""What all forms share: Bootstrap's classes, and a refusal of an action shown in its form."""

from collections.abc import Callable
from itertools import islice
from typing import Any, TypeVar

from django import forms
from django.db.models import Model

from firstlight.files.errors import Refused
from firstlight.pages.listing import MAX_ID
from passuntil import PassUntilError
from passuntil.sizes import read_whole_size

T = TypeVar("T")


class SiteForm(forms.Form):
    """Labels above, help below, errors tied to their field."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **({"label_suffix": ""} | kwargs))
        style(self)

    def attempt(self, action: Callable[[], T]) -> T | None:
        """The action's answer, or None with its refusal as an error of this form."""
        try:
            return action()
        except Refused as error:
            self.add_error(None, str(error))
            return None


def style(form: forms.Form) -> None:
    """Bootstrap's classes for the fields of a form."""
    for field in form.fields.values():
        widget = field.widget
        kind = "form-select" if isinstance(widget, forms.Select) else "form-control"
        if not isinstance(widget, forms.HiddenInput | forms.CheckboxInput | forms.CheckboxSelectMultiple):
            widget.attrs["class"] = f"{kind} {widget.attrs.get('class', '')}".strip()
        if isinstance(field, forms.ModelChoiceField) and not isinstance(
            field, forms.ModelMultipleChoiceField
        ):
            field.empty_label = "choose one"


def whole(label: str, *, least: int = 0, required: bool = False, help_text: str = "") -> forms.IntegerField:
    """A whole number that a column of the database can hold."""
    return forms.IntegerField(
        label=label, min_value=least, max_value=MAX_ID, required=required, help_text=help_text
    )


class SizeField(forms.CharField):
    """A count of parameters or tokens, as people write it: 7B, 7e9, 7,000,000."""

    def __init__(self, label: str, *, required: bool = False, help_text: str = "") -> None:
        widget = forms.TextInput(attrs={"inputmode": "text", "autocomplete": "off", "spellcheck": "false"})
        help_text = f"{help_text} For example 7B, 7e9 or 7,000,000.".strip()
        super().__init__(label=label, required=required, help_text=help_text, widget=widget)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            return read_whole_size(text, "The size")
        except PassUntilError as error:
            raise forms.ValidationError(f"{error}.") from error


def only_choice(field: forms.ModelChoiceField) -> None:
    """Where there is one choice, it is made."""
    first_two = list(field.queryset[:2]) if field.queryset is not None else []
    if len(first_two) == 1:
        field.initial = first_two[0].pk
        field.empty_label = None


def form_facts(form: forms.Form) -> dict[str, Any]:
    """What a form asks for: the JSON twin of a form page."""
    fields = {}
    for name, field in form.fields.items():
        facts: dict[str, Any] = {
            "label": str(field.label or name),
            "required": field.required,
            "help": str(field.help_text),
            "initial": _plain(form.get_initial_for_field(field, name)),
        }
        if isinstance(field, forms.ChoiceField):  # ModelChoiceField is one
            choices: Any = field.choices
            facts["choices"] = [
                {"value": str(value), "label": str(label)} for value, label in islice(choices, 500)
            ]
        fields[name] = facts
    return {"fields": fields}


def _plain(value: Any) -> Any:
    if isinstance(value, Model):
        return value.pk
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)
