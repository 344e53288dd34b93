"""The page that registers checkpoints: name a folder, look at what is in it, save. With or without JavaScript."""

from typing import Any

from django.contrib import messages
from django.forms import formset_factory
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.defaultfilters import pluralize
from django.urls import reverse

from firstlight.files.errors import Refused
from firstlight.pages.forms import form_facts
from firstlight.pages.page import attempt, render_page
from firstlight.registry import digests
from firstlight.registry.folders import MOST, FoundFolder, find_checkpoints, find_in_table
from firstlight.registry.forms import FoundForm, RegisterForm
from firstlight.registry.locations import known_folders
from firstlight.registry.models import Checkpoint, Series
from firstlight.registry.register_actions import NewCheckpoint, register_folder
from firstlight.teams.access import get_visible, require_some_team, require_writer

Rows = formset_factory(FoundForm, extra=0, max_num=MOST, absolute_max=MOST)


def checkpoints_register(request: HttpRequest) -> HttpResponse:
    require_some_team(request.user)
    return _register(request, None)


def series_register(request: HttpRequest, pk: int) -> HttpResponse:
    series = get_visible(Series, request.user, pk=pk)
    require_writer(request.user, series.team)
    return _register(request, series)


def _register(request: HttpRequest, series: Series | None) -> HttpResponse:
    found: list[FoundFolder] = []
    form = RegisterForm(request.user, series, request.POST or None)
    rows: Any = None
    if request.method == "POST" and request.POST.get("do") != "save":
        form = RegisterForm(request.user, series, initial=request.POST.dict())
        try:
            found = _found(request)
        except Refused as error:
            form.folder_error = str(error)
        rows = Rows(initial=[one.facts() | {"use": not one.refused} for one in found])
        form.suggest(found)
        if request.headers.get("HX-Request") == "true":
            return render(request, "registry/_found.html", {"form": form, "rows": rows, "found": found})
    elif request.method == "POST":
        rows = Rows(request.POST)
        if rows.is_valid() and form.is_valid():
            values = form.cleaned_data
            chosen = [NewCheckpoint(**row) for one in rows if (row := one.chosen())]
            made = form.attempt(
                lambda: register_folder(
                    request.user,
                    values["team"],
                    series=values["series"],
                    configuration=values["configuration"],
                    rows=chosen,
                )
            )
            if made:
                many = f"{len(made)} checkpoint{pluralize(len(made))}"
                messages.success(request, f"{many} registered in {made[0].series}. Measure them next.")
                return redirect(after_registering(made))
    data = form_facts(form) | {"found": [one.facts() for one in found]}
    return render_page(
        request,
        "registry/register.html",
        data,
        form=form,
        rows=rows,
        found=found,
        series=series,
        folders=list(known_folders()),
        title="Register checkpoints",
        lead="Name the folder of a checkpoint, or one that holds several. Only safetensors files are read, and no code "
        "from the folder is run.",
        back=reverse("series", args=[series.pk]) if series else reverse("series-list"),
    )


#: Bytes of a CSV of checkpoints.
MOST_TABLE = 2 * 2**20


def _found(request: HttpRequest) -> list[FoundFolder]:
    """What the CSV names, where one is sent, else what lies in the folder."""
    table = request.FILES.get("table")
    if table is None:
        return find_checkpoints(request.POST.get("location", ""))
    content = table.read(MOST_TABLE + 1)
    if len(content) > MOST_TABLE:
        raise Refused(f"the CSV is larger than {MOST_TABLE // 2**20} MiB: register its checkpoints in parts.")
    return find_in_table(content)


def after_registering(checkpoints: list[Checkpoint]) -> str:
    """The address that goes on: a run with these checkpoints ticked."""
    return f"{reverse('run-new')}?{'&'.join(f'checkpoint={c.pk}' for c in checkpoints)}"


def digest_again(request: HttpRequest, pk: int) -> HttpResponse:
    checkpoint = get_visible(Checkpoint, request.user, pk=pk)
    require_writer(request.user, checkpoint.series.team)
    return attempt(
        request,
        lambda: digests.read_again(request.user, checkpoint),
        reverse("checkpoint", args=[pk]),
        done="The weights are read again.",
    )
