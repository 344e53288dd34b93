"""Pages of the administrators' endpoints, and the form that registers a model behind them."""

from collections import Counter
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from firstlight.pages.forms import form_facts
from firstlight.pages.page import render_page
from firstlight.registry import actions
from firstlight.registry.endpoints import save_endpoint
from firstlight.registry.forms import EndpointForm, ServeForm
from firstlight.registry.locations import known_folders
from firstlight.registry.models import Checkpoint, Endpoint, Series
from firstlight.teams.access import get_visible, is_administrator, require_administrator, require_writer

SHOWN = 500


def endpoint_list(request: HttpRequest) -> HttpResponse:
    """Every endpoint; which variable holds a key is said, the key is not known here."""
    require_administrator(request.user)
    places = Checkpoint.objects.filter(location__startswith=Checkpoint.SERVED).values_list(
        "location", flat=True
    )
    used = Counter(place.removeprefix(Checkpoint.SERVED) for place in places)
    data = {"endpoints": [_facts(row, used) for row in Endpoint.objects.all()[:SHOWN]]}
    return render_page(request, "registry/endpoint_list.html", data)


def endpoint_new(request: HttpRequest) -> HttpResponse:
    require_administrator(request.user)
    return _edit(request, None, EndpointForm(request.POST or None))


def endpoint_edit(request: HttpRequest, pk: int) -> HttpResponse:
    require_administrator(request.user)
    row = Endpoint.objects.filter(pk=pk).first()
    if row is None:
        raise Http404("No endpoint matches.")
    start = {name: getattr(row, name) for name in EndpointForm.base_fields} | {
        "served": "\n".join(row.served)
    }
    return _edit(request, row, EndpointForm(request.POST or None, initial=start))


def _edit(request: HttpRequest, row: Endpoint | None, form: EndpointForm) -> HttpResponse:
    if form.is_valid():
        values = form.cleaned_data
        saved = form.attempt(lambda: save_endpoint(request.user, row, **values))
        if saved:
            messages.success(request, f"Endpoint {saved} is saved.")
            return redirect("endpoint-list")
    return render_page(
        request,
        "parts/form.html",
        form_facts(form),
        form=form,
        title=f"Edit endpoint {row}" if row else "New endpoint",
        lead="A server that offers OpenAI's completions API, such as vLLM, SGLang or llama.cpp.",
        save="Save endpoint",
        back=reverse("endpoint-list"),
    )


def _facts(row: Endpoint, used: Counter[str]) -> dict[str, Any]:
    return {
        "id": row.pk,
        "name": row.name,
        "base_url": row.base_url,
        "served": row.served,
        "key_variable": row.key_variable,
        "parallel": row.parallel,
        "allow_private": row.allow_private,
        "enabled": row.enabled,
        "created_at": row.created_at,
        "edit_url": reverse("endpoint-edit", args=[row.pk]),
        "checkpoints": sum(used[name] for name in row.served),
    }


def checkpoint_serve(request: HttpRequest, pk: int) -> HttpResponse:
    """Register a model that endpoints serve; its N is what the person says."""
    series = get_visible(Series, request.user, pk=pk)
    require_writer(request.user, series.team)
    form = ServeForm(request.user, series, request.POST or None)
    if form.is_valid():
        values = form.cleaned_data
        checkpoint = form.attempt(lambda: actions.register_served_checkpoint(request.user, series, **values))
        if checkpoint:
            messages.success(request, f"{checkpoint} is registered with N = {checkpoint.n_params:,}.")
            return redirect("checkpoint", checkpoint.pk)
    return render_page(
        request,
        "registry/serve.html",
        form_facts(form),
        form=form,
        title="Register a served model",
        lead="A model that an endpoint serves. The server reports neither the model's size nor a digest of its "
        "weights, so you vouch for both.",
        save="Save checkpoint",
        back=reverse("series", args=[series.pk]),
        series=series,
        folders=list(known_folders()),
        administers=is_administrator(request.user),
    )
