from django.test import Client

from firstlight.registry.models import Checkpoint
from tests.site.conftest import Measured, World


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
