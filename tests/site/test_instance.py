"""The page of one instance."""

from django.test import Client

from firstlight.evaluations.models import Run, Unit
from firstlight.registry.instances import exclude_instance
from tests.site.conftest import Measured, QueryCount, World


def test_it_shows_what_was_measured_over_checkpoints(
    client: Client, world: World, measured: Measured
) -> None:
    data = client.get(f"/instances/{measured.instance.pk}.json").json()
    units = Unit.objects.filter(instance=measured.instance).order_by("run__checkpoint__n_params")
    assert [m["n_params"] for m in data["measured"]] == [20_000, 80_000, 320_000, 1_280_000]
    assert [(m["draws"], m["passes"]) for m in data["measured"]] == [(u.draws, u.passes) for u in units]
    first = data["measured"][0]
    assert (first["estimate"], first["low"]) == (0, 0)
    assert 0 < first["high"] < 1
    for unit, row in zip(units, data["measured"], strict=True):
        tally = unit.run.stopping_rule.tally(unit.draws, unit.passes, unit.stopped_at)
        assert (row["low"], row["high"]) == tuple(tally.interval(0.95))
    page = client.get(f"/instances/{measured.instance.pk}?sort=-size").content.decode()
    assert page.index(">m1280000</a>") < page.index(">m20000</a>")
    assert f'href="/runs/{measured.runs[0].pk}?sample=' in page
    assert (
        f'href="/instances/{measured.instance.pk}"' in client.get(f"/tasks/{world.task.pk}").content.decode()
    )
    assert (
        f'href="/instances/{measured.instance.pk}"'
        in client.get(f"/runs/{measured.runs[0].pk}").content.decode()
    )


def test_it_says_who_left_it_out_and_why(client: Client, world: World, measured: Measured) -> None:
    exclude_instance(world.mate, measured.instance, reason="ambiguous")
    exclude_instance(world.owner, measured.instance, reason="")
    other = world.task.instances.exclude(pk=measured.instance.pk).first()
    assert other is not None
    exclude_instance(world.owner, other, reason="another one")
    data = client.get(f"/instances/{measured.instance.pk}.json").json()
    assert [(h["person"], h["verb"], h["detail"]["why"]) for h in data["history"]] == [
        ("owner", "included instance", ""),
        ("mate", "excluded instance", "ambiguous"),
    ]
    assert "another one" not in client.get(f"/instances/{measured.instance.pk}").content.decode()


def test_cancelled_runs_and_other_teams_do_not_count(
    client: Client, world: World, measured: Measured
) -> None:
    Run.objects.filter(pk=measured.runs[0].pk).update(state="cancelled")
    path = f"/instances/{measured.instance.pk}"
    assert len(client.get(f"{path}.json").json()["measured"]) == 3
    assert world.client("outsider").get(path).status_code == 404


def test_nothing_drawn_is_said(client: Client, world: World) -> None:
    instance = world.task.instances.first()
    assert instance is not None
    assert "No run has drawn" in client.get(f"/instances/{instance.pk}").content.decode()


def test_it_takes_few_queries(client: Client, world: World, measured: Measured, queries: QueryCount) -> None:
    path = f"/instances/{measured.instance.pk}"
    client.get(path)
    assert queries(lambda: client.get(path)) <= 10
