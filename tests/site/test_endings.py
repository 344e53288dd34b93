"""Renaming, archiving, leaving out of fits, removing: what changes, and what never does."""

import pytest
from django.core.exceptions import PermissionDenied

from firstlight.evaluations.models import Run
from firstlight.files.errors import Refused
from firstlight.forecasts.actions import lock_forecast, make_again, make_forecast, remove_forecast, stale
from firstlight.forecasts.inputs import ForecastInputs
from firstlight.forecasts.models import Forecast
from firstlight.registry import endings
from firstlight.registry.models import Checkpoint, Task
from firstlight.teams.models import AuditEvent
from tests.site.conftest import Measured, World, finish, lines


def settled(forecast: Forecast) -> tuple[object, ...]:
    make_again(forecast.pk)
    forecast.refresh_from_db()
    return forecast.mean, forecast.low, forecast.high, forecast.inputs, forecast.inputs_digest


def test_leaving_out_and_taking_back_restores_the_forecast_to_the_last_digit(
    world: World, measured: Measured
) -> None:
    before = settled(measured.forecast)
    out = measured.runs[1]
    endings.leave_out(world.owner, out, "wrong tokenizer")
    assert list(stale()) == [measured.forecast]
    without = settled(measured.forecast)
    assert out.pk not in without[3]  # type: ignore[operator]
    assert without[:3] != before[:3]
    endings.leave_out(world.owner, out, "")
    assert settled(measured.forecast) == before


@pytest.mark.parametrize("kind", ["run", "checkpoint", "configuration"])
def test_fits_use_nothing_that_is_left_out_whatever_holds_it(
    world: World, measured: Measured, kind: str
) -> None:
    run = measured.runs[1]
    subject = {"run": run, "checkpoint": run.checkpoint, "configuration": world.configuration}[kind]
    endings.leave_out(world.owner, subject, "distracting")
    settled(measured.forecast)
    assert run.pk not in measured.forecast.inputs
    if kind == "configuration":
        assert measured.forecast.mean is None
    else:
        page = world.client().get(f"/series/{world.series.pk}/curve?task={world.task.pk}")
        assert "left out of fits: distracting" in page.content.decode()


def test_a_newest_run_that_is_left_out_gives_way_to_the_one_before(world: World, measured: Measured) -> None:
    before = measured.runs[2]
    newer = finish(world.run(before.checkpoint), 5)
    settled(make_forecast(world.owner, world.task, world.planned))
    measured.forecast.refresh_from_db()
    assert newer.pk in measured.forecast.inputs
    endings.leave_out(world.owner, newer, "cut short")
    settled(measured.forecast)
    assert before.pk in measured.forecast.inputs
    assert newer.pk not in measured.forecast.inputs


def test_a_task_that_is_left_out_gets_no_new_forecast(world: World, measured: Measured) -> None:
    endings.leave_out(world.owner, world.task, "leaked")
    world.task.refresh_from_db()
    with pytest.raises(Refused, match="leaked"):
        make_forecast(world.owner, world.task, world.planned)


def test_a_locked_forecast_stays_as_it_was_whatever_is_left_out_or_renamed(
    world: World, measured: Measured
) -> None:
    lock_forecast(world.owner, measured.forecast)
    frozen = settled(measured.forecast)
    endings.leave_out(world.owner, measured.runs[1], "wrong")
    for subject, name in ((world.task, "other"), (measured.runs[1].checkpoint, "new"), (world.series, "s")):
        endings.rename(world.owner, subject, name)
    assert settled(measured.forecast) == frozen
    assert world.client().get(f"/forecasts/{measured.forecast.pk}").status_code == 200


def test_a_name_changes_no_number(world: World, measured: Measured) -> None:
    before = settled(measured.forecast)[:4]
    endings.rename(world.owner, measured.runs[1].checkpoint, "zz renamed")
    again = make_forecast(world.owner, world.task, world.planned)
    assert (again.mean, again.low, again.high, again.inputs) == before


def test_all_versions_of_a_task_are_renamed_together(world: World) -> None:
    from firstlight.files.task_file import parse_task_lines
    from firstlight.registry.actions import import_task

    second = import_task(world.owner, world.team, name="sums", specs=parse_task_lines(lines(5), source="x"))
    endings.rename(world.owner, second, "additions")
    assert set(Task.objects.filter(team=world.team).values_list("name", "version")) == {
        ("additions", 1),
        ("additions", 2),
    }
    import_task(world.owner, world.team, name="other", specs=parse_task_lines(lines(3), source="x"))
    with pytest.raises(Refused, match="already has a task named 'other'"):
        endings.rename(world.owner, Task.objects.get(pk=second.pk), "other")


def test_a_taken_or_empty_name_is_refused(world: World) -> None:
    with pytest.raises(Refused, match="already a checkpoint named 'planned'"):
        endings.rename(world.owner, world.checkpoint, "planned")
    for name in ("", " ", "a" * 121, "two\nlines"):
        with pytest.raises(Refused, match="1 to 120"):
            endings.rename(world.owner, world.checkpoint, name)
    endings.rename(world.owner, world.run(), "")


def test_archiving_hides_from_lists_and_forms_and_changes_no_fit(world: World, measured: Measured) -> None:
    client = world.client()
    subject = measured.runs[0].checkpoint
    endings.archive(world.owner, subject)
    assert subject.name not in client.get(f"/series/{world.series.pk}").content.decode()
    assert subject.name in client.get(f"/series/{world.series.pk}?archived=1").content.decode()
    assert f"/ {subject.name} (N" not in client.get("/runs/new").content.decode()
    assert not stale().exists()
    assert "Archived" in client.get(f"/checkpoints/{subject.pk}").content.decode()
    endings.restore(world.owner, subject)
    assert subject.name in client.get(f"/series/{world.series.pk}").content.decode()


def test_what_still_runs_is_not_archived(world: World) -> None:
    run = world.run()
    with pytest.raises(Refused, match="open runs"):
        endings.archive(world.owner, world.checkpoint)
    with pytest.raises(Refused, match="open run"):
        endings.archive(world.owner, run)


def test_evidence_is_never_removed(world: World, measured: Measured) -> None:
    for subject in (world.series, world.task, world.configuration, measured.runs[0].checkpoint):
        with pytest.raises(Refused, match="archive it instead"):
            endings.remove(world.owner, subject)
    with pytest.raises(Refused, match="evidence"):
        endings.remove(world.owner, measured.runs[0])
    assert Run.objects.filter(pk=measured.runs[0].pk).exists()
    endings.remove(world.owner, world.checkpoint)
    assert not Checkpoint.objects.filter(pk=world.checkpoint.pk).exists()
    assert AuditEvent.objects.filter(verb="removed checkpoint").exists()


def test_only_a_forecast_without_a_result_is_removed(world: World, measured: Measured) -> None:
    with pytest.raises(Refused, match="has a result"):
        remove_forecast(world.owner, measured.forecast)
    endings.leave_out(world.owner, world.configuration, "all wrong")
    settled(measured.forecast)
    assert measured.forecast.mean is None
    answer = world.client().post(f"/forecasts/{measured.forecast.pk}/remove", follow=True)
    assert "is removed" in answer.content.decode()
    assert not Forecast.objects.exists()


def test_viewers_change_nothing(world: World) -> None:
    for action in (
        lambda: endings.rename(world.viewer, world.series, "x"),
        lambda: endings.archive(world.viewer, world.series),
        lambda: endings.restore(world.viewer, world.series),
        lambda: endings.leave_out(world.viewer, world.checkpoint, "x"),
        lambda: endings.remove(world.viewer, world.checkpoint),
    ):
        with pytest.raises(PermissionDenied):
            action()


@pytest.mark.parametrize(
    ("path", "do", "text", "told"),
    [
        ("series", "rename", "renamed", "The name has been changed"),
        ("checkpoints", "archive", "", "It is archived"),
        ("configurations", "leave-out", "odd", "Fits leave it out: odd"),
        ("tasks", "leave-out", " ", "Give a reason"),
        ("tasks", "remove", "", "tick the box"),
        ("series", "leave-out", "x", "not left out as a whole"),
        ("tasks", "nonsense", "", "Give a reason"),
    ],
)
def test_the_buttons_say_what_came_of_it(world: World, path: str, do: str, text: str, told: str) -> None:
    pk = {"series": world.series, "checkpoints": world.checkpoint, "configurations": world.configuration}.get(
        path, world.task
    ).pk
    page = world.client().post(f"/{path}/{pk}/change", {"do": do, "text": text}, follow=True)
    assert told in page.content.decode()


def test_a_duplicate_is_asked_about_where_it_is_seen(world: World) -> None:
    Checkpoint.objects.filter(pk=world.checkpoint.pk).update(left_out="same weights as other")
    page = world.client().get(f"/checkpoints/{world.checkpoint.pk}").content.decode()
    assert "same weights as other" in page
    assert "Use it in fits" in page
    assert "Archive it" in page


def test_a_forecast_whose_inputs_move_while_it_is_made_waits_on(
    world: World, measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    endings.leave_out(world.owner, measured.runs[1], "first")
    answer = ForecastInputs.answer

    def slow(self: ForecastInputs) -> object:
        monkeypatch.setattr(ForecastInputs, "answer", answer)
        endings.leave_out(world.owner, measured.runs[1], "")  # somebody takes it back meanwhile
        return self.answer()

    monkeypatch.setattr(ForecastInputs, "answer", slow)
    assert not make_again(measured.forecast.pk)
    assert list(stale()) == [measured.forecast]
    assert make_again(measured.forecast.pk)
    measured.forecast.refresh_from_db()
    assert measured.runs[1].pk in measured.forecast.inputs
