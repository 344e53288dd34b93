from django.test import Client

from firstlight.registry.models import TrainingConfiguration
from tests.site.conftest import World


def test_creating_one(client: Client, world: World) -> None:
    data = {"team": world.team.pk, "name": "new", "status": "planned", "recipe": '{"lr": 0.1}'}
    client.post("/configurations/new", data)
    assert TrainingConfiguration.objects.get(name="new").recipe == {"lr": 0.1}


def test_a_recipe_is_read_strictly(client: Client, world: World) -> None:
    for recipe in (
        "[1]",
        "{",
        '{"a": NaN}',
        '{"a": 1, "a": 2}',
        '{"a": 1e999}',
        "[" * 100_000,
        '{"a": "\\ud800"}',
    ):
        data = {"team": world.team.pk, "name": "bad", "status": "planned", "recipe": recipe}
        assert client.post("/configurations/new", data).status_code == 200, recipe[:30]
    assert not TrainingConfiguration.objects.filter(name="bad").exists()


def test_the_diff_shows_only_what_differs(client: Client, world: World) -> None:
    other = TrainingConfiguration.objects.create(
        team=world.team, name="other", recipe={"data": {"code": 0.5}, "lr": 0.003, "warmup": 9}
    )
    data = client.get(f"/configurations/{world.configuration.pk}.json?diff={other.pk}").json()
    assert data["diff"] == [
        {"key": "data.code", "here": "0.3", "there": "0.5"},
        {"key": "warmup", "here": None, "there": "9"},
    ]


def test_a_diff_to_a_foreign_one_is_not_found(client: Client, world: World) -> None:
    path = f"/configurations/{world.configuration.pk}?diff={world.other_configuration.pk}"
    assert client.get(path).status_code == 404


def test_a_used_recipe_is_fixed(client: Client, world: World) -> None:
    path = f"/configurations/{world.configuration.pk}"
    assert "its recipe is fixed" in client.get(path).content.decode()
    assert "recipe" not in client.get(f"{path}/edit.json").json()["fields"]
    client.post(f"{path}/edit", {"status": "trained", "recipe": "{}"})
    world.configuration.refresh_from_db()
    assert (world.configuration.status, world.configuration.recipe["lr"]) == ("trained", 0.003)


def test_the_list_filters_by_status(client: Client, world: World) -> None:
    assert client.get("/configurations.json?status=trained").json()["configurations"] == []
    assert len(client.get("/configurations.json?status=planned").json()["configurations"]) == 1
