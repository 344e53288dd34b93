"""Pages of endpoints, which only administrators see, and the form that registers a model behind one."""

import pytest
from django.http import HttpResponse
from django.test import Client

from firstlight.registry.models import Checkpoint, Endpoint
from tests.site.conftest import KEY_VARIABLE, QueryCount, World

FORM = {
    "name": "gpu-2",
    "base_url": "http://127.0.0.1:8000/v1",
    "served": "a\nb\n",
    "parallel": "4",
    "allow_private": "on",
    "enabled": "on",
}


@pytest.fixture
def administrator(world: World) -> Client:
    client: Client = world.client("administrator")
    return client


def test_an_administrator_adds_and_changes_an_endpoint(administrator: Client) -> None:
    assert administrator.post("/endpoints/new", FORM).status_code == 302
    row = Endpoint.objects.get(name="gpu-2")
    assert (row.served, row.parallel, row.allow_private, row.enabled) == (["a", "b"], 4, True, True)
    page = administrator.get(f"/endpoints/{row.pk}/edit").content.decode()
    assert "a\nb</textarea>" in page
    changed = {name: value for name, value in FORM.items() if name != "enabled"}
    assert administrator.post(f"/endpoints/{row.pk}/edit", changed).status_code == 302
    row.refresh_from_db()
    assert not row.enabled
    assert Endpoint.objects.count() == 2


def test_a_refusal_stands_in_the_form_and_nothing_is_saved(administrator: Client) -> None:
    page = administrator.post("/endpoints/new", {**FORM, "base_url": "http://127.1/", "allow_private": ""})
    assert "127.1 resolves to 127.0.0.1, a loopback" in page.content.decode()
    assert not Endpoint.objects.filter(name="gpu-2").exists()


def test_a_key_shows_nowhere(administrator: Client, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "open-sesame")
    for path in (
        "/endpoints",
        "/endpoints.json",
        f"/endpoints/{world.endpoint.pk}/edit",
        f"/endpoints/{world.endpoint.pk}/edit.json",
    ):
        answer = administrator.get(path)
        assert answer.status_code == 200
        assert "open-sesame" not in answer.content.decode()


def test_the_list_tells_what_each_serves(administrator: Client, world: World) -> None:
    serve(world)
    row = administrator.get("/endpoints.json").json()["endpoints"][0]
    assert (row["name"], row["served"], row["checkpoints"]) == ("gpu-1", ["org/served-7b"], 1)


def test_the_list_costs_the_same_for_many(administrator: Client, queries: QueryCount) -> None:
    few = queries(lambda: administrator.get("/endpoints"))
    for k in range(30):
        Endpoint.objects.create(name=f"e{k}", base_url="https://h/v1", served=["m"])
    assert queries(lambda: administrator.get("/endpoints")) == few


def test_only_administrators_find_the_way(administrator: Client, client: Client) -> None:
    assert "/endpoints" in administrator.get("/").content.decode()
    assert "/endpoints" not in client.get("/").content.decode()


@pytest.mark.parametrize("who", ["owner", "mate", "viewer", "outsider"])
def test_nobody_else_changes_one(world: World, who: str) -> None:
    for path in ("/endpoints/new", f"/endpoints/{world.endpoint.pk}/edit"):
        assert world.client(who).post(path, FORM).status_code == 403
    world.endpoint.refresh_from_db()
    assert (Endpoint.objects.count(), world.endpoint.name) == (1, "gpu-1")


def test_an_endpoint_that_is_not_there(administrator: Client) -> None:
    for pk in (0, 999_999, 2**63):
        assert administrator.get(f"/endpoints/{pk}/edit").status_code == 404


# --- A model behind an endpoint ---


def serve(world: World, **changes: object) -> HttpResponse:
    data = {
        "model": "org/served-7b",
        "name": "seven",
        "n_params": "6500000000",
        "configuration": world.configuration.pk,
        **changes,
    }
    return world.client("mate").post(f"/series/{world.series.pk}/serve", data)


def test_a_served_model_is_registered_with_the_n_that_was_said(world: World, client: Client) -> None:
    assert serve(world, tokenizer=str(world.folder)).status_code == 302
    checkpoint = Checkpoint.objects.get(name="seven")
    assert (checkpoint.served_model, checkpoint.n_params, checkpoint.tokenizer) == (
        "org/served-7b",
        6_500_000_000,
        str(world.folder),
    )
    page = client.get(f"/checkpoints/{checkpoint.pk}").content.decode()
    assert "org/served-7b" in page
    assert "Digest" not in page
    facts = client.get(f"/checkpoints/{checkpoint.pk}.json").json()
    assert facts["served_model"] == "org/served-7b"
    assert "gpu-1" not in page
    assert "gpu-1.example" not in str(facts), "addresses of endpoints are the administrators'"


def test_only_listed_models_may_be_chosen(world: World) -> None:
    assert serve(world, model="gpt").status_code == 200
    world.endpoint.enabled = False
    world.endpoint.save()
    page = serve(world).content.decode()
    assert "No enabled endpoint serves a model yet" in page
    assert "Ask an administrator" in page
    assert not Checkpoint.objects.filter(name="seven").exists()


def test_another_teams_configuration_is_no_choice(world: World) -> None:
    assert serve(world, configuration=world.other_configuration.pk).status_code == 200
    assert not Checkpoint.objects.filter(name="seven").exists()
