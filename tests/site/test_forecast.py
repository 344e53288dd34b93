import pytest
from django.test import Client

from firstlight.forecasts.models import Forecast
from tests.site.conftest import Measured, QueryCount, World, finish


def test_the_page_has_points_law_band_and_target(client: Client, measured: Measured) -> None:
    data = client.get(f"/forecasts/{measured.forecast.pk}.json").json()
    curve = data["curve"]
    assert [p["name"] for p in curve["points"]] == ["m20000", "m80000", "m320000", "m1280000"]
    assert [p["fitted"] for p in curve["points"]] == [False, True, True, True]
    assert curve["law"]["sizes"] == 3
    assert curve["target"]["mean"] == pytest.approx(measured.forecast.mean)
    assert curve["target"]["low"] <= curve["target"]["mean"] <= curve["target"]["high"]
    last = curve["band"][-1]
    assert last["n_params"] > 1e9
    assert last["low"] <= last["mean"] <= last["high"]


def test_the_law_on_the_page_is_the_law_of_the_forecast(client: Client, measured: Measured) -> None:
    law = client.get(f"/forecasts/{measured.forecast.pk}.json").json()["curve"]["law"]
    stored = measured.forecast.result["diagnostics"]["law"]
    assert law["alpha"] == pytest.approx(stored["alpha"])


def test_a_size_without_a_pass_is_an_upper_bound_and_named(client: Client, measured: Measured) -> None:
    curve = client.get(f"/forecasts/{measured.forecast.pk}.json").json()["curve"]
    zero = curve["points"][0]
    assert zero["zero"]
    assert zero["high"] > 0
    assert zero["f"] is None
    assert zero["f_low"] is not None
    assert any(d["name"] == "m20000" and "no pass in 400 draws" in d["reason"] for d in curve["dropped"])
    assert any(d["name"] == "tiny" and "not measured" in d["reason"] for d in curve["dropped"])


def test_a_far_target_is_warned_of(client: Client, measured: Measured) -> None:
    curve = client.get(f"/forecasts/{measured.forecast.pk}.json").json()["curve"]
    assert any("times the largest" in warning for warning in curve["warnings"])


def test_the_table_has_the_numbers_of_the_chart(client: Client, measured: Measured) -> None:
    page = client.get(f"/forecasts/{measured.forecast.pk}").content.decode()
    assert 'data-chart="curve-data"' in page
    assert 'id="curve-data" type="application/json"' in page
    for text in ("1,280,000", "upper bound, not fitted", "1,000,000,000", "<strong>forecast</strong>"):
        assert text in page


def test_making_locking_and_refreshing(client: Client, world: World, measured: Measured) -> None:
    Forecast.objects.all().delete()
    answer = client.post("/forecasts/make", {"task": world.task.pk, "target": world.planned.pk})
    forecast = Forecast.objects.get()
    assert answer.headers["Location"] == f"/forecasts/{forecast.pk}"
    client.post(f"/forecasts/{forecast.pk}/lock")
    forecast.refresh_from_db()
    assert forecast.locked_at
    page = client.post(f"/forecasts/{forecast.pk}/refresh", follow=True).content.decode()
    assert "is locked since" in page
    assert "Lock the forecast" not in page


@pytest.mark.parametrize("field", ["task", "target"])
def test_a_foreign_id_is_not_found(client: Client, world: World, field: str) -> None:
    data = {"task": world.task.pk, "target": world.planned.pk}
    foreign = {"task": world.other_task.pk, "target": 10**12}[field]
    assert client.post("/forecasts/make", data | {field: foreign}).status_code == 404
    assert not Forecast.objects.exists()


def test_a_later_run_is_named_until_the_forecast_is_refreshed(
    client: Client, world: World, measured: Measured
) -> None:
    client.post(f"/forecasts/{measured.forecast.pk}/lock")
    finish(world.run(world.weights("late", 640_000)), 9)
    curve = client.get(f"/forecasts/{measured.forecast.pk}.json").json()["curve"]
    assert "late" not in [p["name"] for p in curve["points"]]
    assert any(d["name"] == "late" and "locked" in d["reason"] for d in curve["dropped"])


def test_a_scored_forecast_says_hit_or_miss(client: Client, world: World, measured: Measured) -> None:
    client.post(f"/forecasts/{measured.forecast.pk}/lock")
    world.planned.planned = False
    world.planned.save()
    finish(world.run(world.planned), 3)
    data = client.get(f"/forecasts/{measured.forecast.pk}.json").json()
    assert data["forecast"]["hit"] in (True, False)
    assert data["curve"]["measured"]["mean"] == pytest.approx(data["forecast"]["measured"])
    assert "planned" not in [p["name"] for p in data["curve"]["points"]]
    ledger = client.get("/forecasts.json").json()
    assert ledger["counts"]["locked_scored"] == 1
    outcome = "hit" if data["forecast"]["hit"] else "miss"
    assert len(client.get(f"/forecasts.json?outcome={outcome}").json()["forecasts"]) == 1
    assert client.get("/forecasts.json?outcome=open").json()["forecasts"] == []


def test_a_curve_without_data_says_the_next_step(client: Client, world: World) -> None:
    page = client.get(f"/series/{world.series.pk}/curve").content.decode()
    assert "No complete run yet" in page
    assert "data-chart" not in page
    page = world.client("outsider").get(f"/series/{world.other_series.pk}/curve").content.decode()
    assert "data-chart" not in page


def test_two_sizes_are_points_without_a_law(client: Client, world: World) -> None:
    for n, every in ((1000, 20), (4000, 10)):
        finish(world.run(world.weights(f"w{n}", n)), every)
    curve = client.get(f"/series/{world.series.pk}/curve.json").json()["curve"]
    assert len(curve["points"]) == 2
    assert curve["law"] is None
    assert "3 distinct sizes with a pass probability above 0, not 2" in curve["no_law"]


def test_only_zero_passes_still_draw_upper_bounds(client: Client, world: World) -> None:
    finish(world.run(), 0)
    path = f"/series/{world.series.pk}/curve"
    curve = client.get(f"{path}.json").json()["curve"]
    assert curve["points"][0]["zero"]
    assert "No size has a pass yet" in curve["no_law"]
    assert "data-chart" in client.get(path).content.decode()


def test_every_instance_solved_is_no_error(client: Client, world: World) -> None:
    for n in (1000, 2000, 3000):
        finish(world.run(world.weights(f"w{n}", n)), 1)
    data = client.get(f"/series/{world.series.pk}/curve.json").json()
    assert data["curve"]["law"] is None


def test_queries_do_not_grow(client: Client, world: World, measured: Measured, queries: QueryCount) -> None:
    path = f"/series/{world.series.pk}/curve?task={world.task.pk}"
    few = queries(lambda: client.get(path))
    for n in (2000, 3000, 4000):
        finish(world.run(world.weights(f"more{n}", n)), 20)
    assert queries(lambda: client.get(path)) == few <= 10
    assert queries(lambda: client.get(f"/forecasts/{measured.forecast.pk}")) <= 12
    assert queries(lambda: client.get("/forecasts")) <= 10


def test_the_page_names_the_other_tasks_that_tell_of_the_deviations(
    client: Client, measured: Measured
) -> None:
    forecast = measured.forecast
    assert "Deviations of models" not in client.get(f"/forecasts/{forecast.pk}").content.decode()
    forecast.result["diagnostics"]["pooled"] = ["products v1", "divide v2"]
    forecast.save()
    page = client.get(f"/forecasts/{forecast.pk}").content.decode()
    assert "pooled with 2 other tasks of these models" in page
    assert "products v1, divide v2" in page
    assert client.get(f"/forecasts/{forecast.pk}.json").json()["pooled"] == ["products v1", "divide v2"]
