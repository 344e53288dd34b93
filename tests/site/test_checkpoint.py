from django.test import Client

from firstlight.files.model_folder import read_model_folder
from firstlight.registry.models import Checkpoint
from tests.site.conftest import Measured, World


def form(world: World, **more: object) -> dict[str, object]:
    return {"location": str(world.folder), "name": "again", "configuration": world.configuration.pk} | more


def test_reading_a_folder_shows_n_and_saves_nothing(client: Client, world: World) -> None:
    path = f"/series/{world.series.pk}/register"
    page = client.post(path, {"location": str(world.folder), "do": "read"}).content.decode()
    folder = read_model_folder(world.folder)
    assert f"{folder.n_params:,}" in page
    assert f"{folder.n_params_total:,}" in page
    assert folder.digest in page
    assert Checkpoint.objects.filter(series=world.series).count() == 2


def test_with_htmx_only_the_fragment_comes_back(client: Client, world: World) -> None:
    path = f"/series/{world.series.pk}/register"
    page = client.post(path, form(world, do="read"), headers={"HX-Request": "true"}).content.decode()
    assert page.lstrip().startswith('<div id="folder-facts"')
    assert 'name="expected_digest" value="sha256:' in page


def test_saving_takes_what_was_shown(client: Client, world: World) -> None:
    path = f"/series/{world.series.pk}/register"
    digest = read_model_folder(world.folder).digest
    answer = client.post(path, form(world, do="save", expected_digest=digest, tokens=5))
    checkpoint = Checkpoint.objects.get(name="again")
    assert answer.headers["Location"] == f"/checkpoints/{checkpoint.pk}"
    assert (checkpoint.digest, checkpoint.tokens) == (digest, 5)


def test_saving_without_a_look_shows_the_folder_first(client: Client, world: World) -> None:
    page = client.post(f"/series/{world.series.pk}/register", form(world, do="save")).content.decode()
    assert "Check what was found in the folder" in page
    assert not Checkpoint.objects.filter(name="again").exists()


def test_a_folder_that_changed_is_refused(client: Client, world: World) -> None:
    page = client.post(
        f"/series/{world.series.pk}/register", form(world, do="save", expected_digest="sha256:" + "0" * 64)
    )
    assert "changed since it was read" in page.content.decode()


def test_a_folder_outside_the_roots_is_refused(client: Client, world: World) -> None:
    for place in ("/etc", "../../etc", "tiny/../../..", "nowhere", "a\x00b"):
        page = client.post(
            f"/series/{world.series.pk}/register", {"location": place, "do": "read"}
        ).content.decode()
        assert "note-error" in page, place


def test_a_foreign_configuration_is_no_choice(client: Client, world: World) -> None:
    digest = read_model_folder(world.folder).digest
    data = form(world, do="save", expected_digest=digest, configuration=world.other_configuration.pk)
    page = client.post(f"/series/{world.series.pk}/register", data).content.decode()
    assert "Select a valid choice" in page
    assert not Checkpoint.objects.filter(name="again").exists()


def test_planning_a_checkpoint(client: Client, world: World) -> None:
    data = {"name": "big", "configuration": world.configuration.pk, "n_params": 5 * 10**9}
    client.post(f"/series/{world.series.pk}/plan", data)
    assert Checkpoint.objects.get(name="big").planned


def test_a_size_beyond_the_database_is_refused(client: Client, world: World) -> None:
    data = {"name": "big", "configuration": world.configuration.pk, "n_params": 10**30}
    assert client.post(f"/series/{world.series.pk}/plan", data).status_code == 200
    assert not Checkpoint.objects.filter(name="big").exists()


def test_attaching_weights_of_another_size_is_refused(client: Client, world: World) -> None:
    page = client.post(
        f"/checkpoints/{world.planned.pk}/attach", {"location": str(world.folder)}
    ).content.decode()
    assert "was planned with 1,000,000,000" in page


def test_attaching_the_planned_weights(client: Client, world: World) -> None:
    world.planned.n_params = world.checkpoint.n_params
    world.planned.save()
    client.post(f"/checkpoints/{world.planned.pk}/attach", {"location": str(world.folder)})
    world.planned.refresh_from_db()
    assert not world.planned.planned


def test_the_page_lists_runs_with_estimate_and_rule(client: Client, measured: Measured) -> None:
    run = measured.runs[1]
    data = client.get(f"/checkpoints/{run.checkpoint_id}.json").json()
    (row,) = data["runs"]
    assert row["rule"] == "until 2 passes of each instance, at least 10 and at most 100 draws"
    assert row["estimate"]["low"] < row["estimate"]["mean"] < row["estimate"]["high"]
    assert row["task_version"] == 1
