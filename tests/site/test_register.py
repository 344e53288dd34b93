"""The page that registers a folder of checkpoints: look, correct, save all or nothing."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from firstlight.files.model_folder import read_model_folder
from firstlight.registry.models import Checkpoint, Series, TrainingConfiguration
from tests.site.conftest import World
from tests.tiny_model import write_tiny_llama


@pytest.fixture
def ladder(world: World) -> World:
    for step, d in ((1000, 32), (2000, 64)):
        write_tiny_llama(world.folder.parent / f"run-a/step{step}-seed-3", d=d, layers=1, heads=1, seed=step)
    return world


def look(client: Client, location: object, path: str = "/checkpoints/register", **headers: str) -> str:
    return client.post(path, {"location": str(location), "do": "read"}, headers=headers).content.decode()


def save(world: World, rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "do": "save",
        "location": str(world.folder.parent),
        "team": world.team.pk,
        "series": "fresh",
        "configuration": "new recipe",
        "form-TOTAL_FORMS": len(rows),
        "form-INITIAL_FORMS": 0,
    }
    for k, row in enumerate(rows):
        data |= {f"form-{k}-{name}": value for name, value in row.items()}
    return data | more


def row(world: World, step: int, **more: Any) -> dict[str, Any]:
    folder = world.folder.parent / f"run-a/step{step}-seed-3"
    return {"use": "on", "name": f"s{step}", "location": str(folder), "step": step} | more


def test_reading_a_folder_shows_every_checkpoint_in_it_and_saves_nothing(
    client: Client, ladder: World
) -> None:
    page = look(client, ladder.folder.parent / "run-a")
    for words in ("step1000-seed-3", "step2000-seed-3", 'value="1000"', 'value="3"', "from its name"):
        assert words in page
    assert Checkpoint.objects.count() == 2


def test_one_checkpoint_is_a_folder_too(client: Client, world: World) -> None:
    page = look(client, world.folder)
    assert 'value="tiny"' in page
    assert f'value="{read_model_folder(world.folder).n_params}"' in page


def test_with_htmx_only_the_fragment_comes_back(client: Client, ladder: World) -> None:
    page = look(client, ladder.folder.parent / "run-a", HX_Request="true")
    assert "<html" not in page
    assert (
        look(client, ladder.folder.parent / "run-a", **{"HX-Request": "true"})
        .lstrip()
        .startswith('<div id="found"')
    )


def test_saving_makes_series_and_configuration_on_the_way_and_leads_on_to_a_run(
    client: Client, ladder: World
) -> None:
    answer = client.post(
        "/checkpoints/register", save(ladder, [row(ladder, 1000, tokens="2M"), row(ladder, 2000)])
    )
    made = Checkpoint.objects.filter(series__name="fresh").order_by("step")
    assert [(c.name, c.step, c.tokens) for c in made] == [("s1000", 1000, 2_000_000), ("s2000", 2000, None)]
    assert made[0].digest == read_model_folder(made[0].location).digest
    assert {c.configuration.name for c in made} == {"new recipe"}
    assert answer.headers["Location"] == f"/runs/new?checkpoint={made[0].pk}&checkpoint={made[1].pk}"


def test_one_row_that_is_refused_registers_none(client: Client, ladder: World) -> None:
    rows = [row(ladder, 1000), row(ladder, 2000, name="s1000")]
    page = client.post("/checkpoints/register", save(ladder, rows)).content.decode()
    assert "already has a checkpoint named" in page
    assert not Series.objects.filter(name="fresh").exists()
    assert not TrainingConfiguration.objects.filter(name="new recipe").exists()


def test_a_row_without_its_tick_is_left_out(client: Client, ladder: World) -> None:
    rows = [row(ladder, 1000), row(ladder, 2000, use="")]
    client.post("/checkpoints/register", save(ladder, rows))
    assert [c.name for c in Checkpoint.objects.filter(series__name="fresh")] == ["s1000"]
    page = client.post("/checkpoints/register", save(ladder, [row(ladder, 2000, use="")])).content.decode()
    assert "Choose at least one" in page


def test_what_cannot_be_registered_says_why_and_has_no_box(client: Client, ladder: World) -> None:
    broken = ladder.folder.parent / "run-a/broken"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    page = look(client, ladder.folder.parent / "run-a")
    assert "broken" in page
    assert page.count('type="checkbox"') == 2


def test_a_folder_that_changed_since_it_was_shown_is_refused(client: Client, ladder: World) -> None:
    page = client.post("/checkpoints/register", save(ladder, [row(ladder, 1000, seen="0" * 32)]))
    assert "changed since it was read" in page.content.decode()
    assert not Series.objects.filter(name="fresh").exists()


@pytest.mark.parametrize("place", ["/etc", "../../etc", "tiny/../../..", "nowhere", "a\x00b", ""])
def test_a_folder_outside_the_roots_is_refused(client: Client, world: World, place: str) -> None:
    assert "note-error" in look(client, place)
    rows = [{"use": "on", "name": "x", "location": place}]
    client.post("/checkpoints/register", save(world, rows))
    assert not Checkpoint.objects.filter(name="x").exists()


def test_a_foreign_team_is_no_choice(client: Client, ladder: World) -> None:
    data = save(ladder, [row(ladder, 1000)], team=ladder.other_team.pk)
    assert "Select a valid choice" in client.post("/checkpoints/register", data).content.decode()
    assert not Series.objects.filter(name="fresh").exists()


def test_from_a_series_its_name_is_given(client: Client, ladder: World) -> None:
    page = look(client, ladder.folder.parent / "run-a", path=f"/series/{ladder.series.pk}/register")
    assert f'value="{ladder.series.name}"' in page


def test_weights_that_a_series_has_already_are_left_out_of_its_fits_and_asked_about(
    client: Client, world: World
) -> None:
    rows = [{"use": "on", "name": "twin", "location": str(world.folder)}]
    client.post("/checkpoints/register", save(world, rows, series=world.series.name))
    twin = Checkpoint.objects.get(name="twin")
    assert twin.left_out == "same weights as tiny"


def test_a_csv_names_checkpoints_with_configurations_of_their_own(client: Client, ladder: World) -> None:
    table = b"folder,name,configuration\nrun-a/step1000-seed-3,x,other mixture\nrun-a/step2000-seed-3,y,\n"
    data = {"do": "read", "table": SimpleUploadedFile("c.csv", table)}
    page = client.post("/checkpoints/register", data).content.decode()
    assert 'value="other mixture"' in page
    rows = [row(ladder, 1000, configuration="other mixture"), row(ladder, 2000)]
    client.post("/checkpoints/register", save(ladder, rows))
    made = Checkpoint.objects.filter(series__name="fresh").order_by("step")
    assert [c.configuration.name for c in made] == ["other mixture", "new recipe"]


def test_a_csv_that_cannot_be_read_is_told_at_the_preview(client: Client, world: World) -> None:
    data = {"do": "read", "table": SimpleUploadedFile("c.csv", b"folder\nnowhere\n")}
    assert "line 2 of the CSV" in client.post("/checkpoints/register", data).content.decode()
