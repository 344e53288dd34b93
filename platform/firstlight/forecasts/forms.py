"""Which task, at which target: both must be the person's own."""

from django import forms

from firstlight.pages.forms import SiteForm, SizeField
from firstlight.registry.endings import current
from firstlight.registry.models import Checkpoint, Task
from firstlight.teams.access import User, visible


class SizeForm(SiteForm):
    """The size of a model to come."""

    n_params = SizeField("Non-embedding parameters N", required=True)
    name = forms.CharField(max_length=120, required=False)


class ForecastForm(SiteForm):
    task = forms.ModelChoiceField(Task.objects.none())
    target = forms.ModelChoiceField(Checkpoint.objects.none())

    def __init__(self, user: User, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        for name, model in (("task", Task), ("target", Checkpoint)):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = current(visible(model, user))
