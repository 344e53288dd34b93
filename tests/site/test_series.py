from django.test import Client

from firstlight.registry.models import Series
from tests.site.conftest import Measured, QueryCount, World


def test_a_series_is_created(client: Client, world: World) -> None:
    data = {"team": world.team.pk, "name": "wide", "scale_axis": "n_params"}
    answer = client.post("/series/new", data)
    assert answer.headers["Location"] == f"/series/{Series.objects.get(name='wide').pk}"


def test_a_taken_name_is_refused_in_the_form(client: Client, world: World) -> None:
    page = client.post("/series/new", {"team": world.team.pk, "name": "ladder", "scale_axis": "n_params"})
    assert "already has a series" in page.content.decode()


def test_a_foreign_team_is_no_choice(client: Client, world: World) -> None:
    client.post("/series/new", {"team": world.other_team.pk, "name": "theirs", "scale_axis": "n_params"})
    assert not Series.objects.filter(name="theirs").exists()


def test_the_form_has_a_twin(client: Client) -> None:
    fields = client.get("/series/new.json").json()["fields"]
    assert fields["name"]["required"]
    assert {"value": "n_params", "label": "Non-embedding parameters N"} in fields["scale_axis"]["choices"]


def test_the_page_says_size_and_compute(client: Client, world: World) -> None:
    data = client.get(f"/series/{world.series.pk}.json").json()
    tiny = next(c for c in data["checkpoints"] if c["name"] == "tiny")
    assert tiny["flops"] == 6 * tiny["n_params"] * 1000
    assert tiny["digest"].startswith("sha256:")
    assert next(c for c in data["checkpoints"] if c["planned"])["name"] == "planned"


def test_estimates_stand_by_checkpoint_and_task(client: Client, world: World, measured: Measured) -> None:
    data = client.get(f"/series/{world.series.pk}.json").json()
    rows = {row["checkpoint"]: row["cells"][0] for row in data["estimates"]}
    assert rows["m20000"]["mean"] == 0
    assert rows["m20000"]["high"] > 0
    assert rows["m1280000"]["mean"] > rows["m80000"]["mean"] > 0


def test_the_list_pages_by_key(client: Client, world: World) -> None:
    Series.objects.bulk_create([Series(team=world.team, name=f"s{k:03d}") for k in range(70)])
    for sort in ("newest", "name"):
        first = client.get(f"/series.json?sort={sort}").json()
        second = client.get(f"/series.json?sort={sort}&after={first['next_after']}").json()
        names = [s["name"] for s in first["series"] + second["series"]]
        assert len(names) == len(set(names)) == 71
        assert second["next_after"] is None
        assert sort != "name" or names == sorted(names)


def test_queries_do_not_grow(client: Client, world: World, measured: Measured, queries: QueryCount) -> None:
    path = f"/series/{world.series.pk}"
    few = queries(lambda: client.get(path))
    for n in range(10):
        world.weights(f"more{n}", 5000 + n)
    assert queries(lambda: client.get(path)) <= few <= 12
