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
from firstlight.registry import digests, downloads
from firstlight.registry.folders import MOST, FoundFolder, find_checkpoints, find_in_upload
from firstlight.registry.forms import FoundForm, RegisterForm
from firstlight.registry.locations import known_folders
from firstlight.registry.models import Checkpoint, HubDownload, Series
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
    download: HubDownload | None = None
    if request.method == "POST" and request.POST.get("do") != "save":
        form = RegisterForm(request.user, series, initial=request.POST.dict())
        try:
            download = _download(request)
            found = [] if download else _found(request)
        except Refused as error:
            form.folder_error = str(error)
        rows = Rows(initial=[one.facts() | {"use": not one.refused} for one in found])
        form.suggest(found)
        if request.headers.get("HX-Request") == "true":
            facts = {"form": form, "rows": rows if found else None, "found": found, "download": download}
            return render(request, "registry/_found.html", facts)
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
        rows=rows if found or request.POST.get("do") == "save" else None,
        found=found,
        download=download,
        series=series,
        folders=list(known_folders()),
        title="Register checkpoints",
        lead="Name the folder of a checkpoint, or one that holds several. Only safetensors files are read, and no code "
        "from the folder is run.",
        back=reverse("series", args=[series.pk]) if series else reverse("series-list"),
    )


def _download(request: HttpRequest) -> HubDownload | None:
    """The download of a hub id that is not whole in the cache; a press of the button asks for it, a look does not."""
    if request.FILES.get("table"):
        return None
    text = request.POST.get("location", "").strip()
    known = downloads.of(text) if request.POST.get("do") == "look" else None
    return known or downloads.have(request.user, text)


def _found(request: HttpRequest) -> list[FoundFolder]:
    """What the CSV names, where one is sent, else what lies in the folder."""
    table = request.FILES.get("table")
    if table is None:
        return find_checkpoints(request.POST.get("location", ""))
    return find_in_upload(table)


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
