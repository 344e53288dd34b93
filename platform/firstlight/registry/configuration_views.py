"""Pages of training configurations: recipes, who uses them, and what differs between two."""

import json
from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from firstlight.pages.forms import form_facts
from firstlight.pages.listing import keyset, whole_parameter
from firstlight.pages.page import render_page
from firstlight.registry import actions, endings
from firstlight.registry.forms import ConfigurationEditForm, ConfigurationForm
from firstlight.registry.models import Checkpoint, TrainingConfiguration
from firstlight.teams.access import (
    get_visible,
    may_write,
    require_some_team,
    require_writer,
    visible,
    writable_teams,
)


def configuration_list(request: HttpRequest) -> HttpResponse:
    rows = (
        endings.current(
            visible(TrainingConfiguration, request.user), archived=endings.wants_archived(request)
        )
        .select_related("team")
        .annotate(used=Count("checkpoints"))
    )
    status = request.GET.get("status", "")
    if status in TrainingConfiguration.Status.values:
        rows = rows.filter(status=status)
    page = keyset(request, rows, {"newest": "-id", "name": "name"}, default="newest")
    data = {
        **page.facts(),
        "status": status,
        "archived": endings.wants_archived(request),
        "configurations": [configuration_facts(c) | {"checkpoints": c.used} for c in page.rows],
    }
    return render_page(
        request,
        "registry/configuration_list.html",
        data,
        statuses=TrainingConfiguration.Status.choices,
        can_write=writable_teams(request.user).exists(),
    )


def configuration_facts(c: TrainingConfiguration) -> dict[str, Any]:
    return {
        "id": c.pk,
        "url": reverse("configuration", args=[c.pk]),
        "name": c.name,
        "team": c.team.name,
        "status": c.status,
        "created_at": c.created_at,
        "archived_at": c.archived_at,
        "left_out": c.left_out,
    }


def configuration_new(request: HttpRequest) -> HttpResponse:
    require_some_team(request.user)
    form = ConfigurationForm(request.user, request.POST or None)
    if form.is_valid():
        values = form.cleaned_data
        created = form.attempt(lambda: actions.create_configuration(request.user, **values))
        if created:
            messages.success(request, f"Training configuration {created} has been created.")
            return redirect("configuration", created.pk)
    return render_page(
        request,
        "parts/form.html",
        form_facts(form),
        form=form,
        title="New training configuration",
        lead="A recipe: data mixture and hyper-parameters.",
        save="Create configuration",
        back=reverse("configuration-list"),
    )


def configuration(request: HttpRequest, pk: int) -> HttpResponse:
    """The recipe, who uses it, and with `?diff=ID` what differs from another one."""
    configuration = get_visible(TrainingConfiguration, request.user, pk=pk)
    used = list(
        visible(Checkpoint, request.user).filter(configuration=configuration).select_related("series")[:50]
    )
    others = (
        visible(TrainingConfiguration, request.user)
        .filter(team=configuration.team)
        .exclude(pk=pk)
        .order_by("name")[:200]
    )
    other_id = whole_parameter(request, "diff")
    other = get_visible(TrainingConfiguration, request.user, pk=other_id) if other_id is not None else None
    data = {
        "id": configuration.pk,
        "name": configuration.name,
        "status": configuration.status,
        **endings.facts(configuration, "configuration"),
        "recipe": configuration.recipe,
        "fixed": bool(used) and bool(configuration.recipe),
        "created_at": configuration.created_at,
        "used_by": [
            {
                "name": c.name,
                "series": c.series.name,
                "n_params": c.n_params,
                "planned": c.planned,
                "url": reverse("checkpoint", args=[c.pk]),
            }
            for c in used
        ],
        "diff_to": {"id": other.pk, "name": other.name} if other else None,
        "diff": recipe_diff(configuration.recipe, other.recipe) if other else [],
    }
    return render_page(
        request,
        "registry/configuration.html",
        data,
        lines=sorted(flat(configuration.recipe).items()),
        text=json.dumps(configuration.recipe, indent=2, ensure_ascii=False),
        others=others,
        **endings.choices(configuration),
        can_write=may_write(request.user, configuration.team),
    )


def configuration_edit(request: HttpRequest, pk: int) -> HttpResponse:
    configuration = get_visible(TrainingConfiguration, request.user, pk=pk)
    require_writer(request.user, configuration.team)
    used = visible(Checkpoint, request.user).filter(configuration=configuration).exists()
    fixed = used and bool(configuration.recipe)
    start = {
        "status": configuration.status,
        "recipe": json.dumps(configuration.recipe, indent=2, ensure_ascii=False),
    }
    form = ConfigurationEditForm(request.POST or None, initial=start, fixed=fixed)
    if form.is_valid():
        status, recipe = form.cleaned_data["status"], form.cleaned_data.get("recipe", configuration.recipe)
        if form.attempt(
            lambda: actions.update_configuration(request.user, configuration, recipe=recipe, status=status)
        ):
            messages.success(request, f"{configuration} is saved.")
            return redirect("configuration", configuration.pk)
    lead = (
        "Checkpoints use this configuration, so its recipe is fixed. Its status can still change."
        if fixed
        else ""
    )
    return render_page(
        request,
        "parts/form.html",
        form_facts(form),
        form=form,
        title=f"Edit {configuration}",
        lead=lead,
        save="Save",
        back=reverse("configuration", args=[configuration.pk]),
    )


def flat(value: Any, path: str = "") -> dict[str, str]:
    """{"data": {"code": 0.3}} -> {"data.code": "0.3"}"""
    if isinstance(value, dict) and value:
        keys: dict[str, str] = {}
        for key, item in value.items():
            keys |= flat(item, f"{path}.{key}" if path else str(key))
        return keys
    return {path: json.dumps(value, ensure_ascii=False)} if path else {}


def recipe_diff(ours: dict[str, Any], theirs: dict[str, Any]) -> list[dict[str, str | None]]:
    """Only the keys whose values differ; None where a side has no such key."""
    here, there = flat(ours), flat(theirs)
    return [
        {"key": key, "here": here.get(key), "there": there.get(key)}
        for key in sorted(here.keys() | there.keys())
        if here.get(key) != there.get(key)
    ]
