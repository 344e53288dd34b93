"""Turns: teams share the engines, priorities go first within a team, quotas hold, and a look costs the same for all."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from firstlight.evaluations import turns
from firstlight.evaluations.actions import (
    create_run,
    parse_rule,
    pause_run,
    resume_run,
    set_priority,
    set_quota,
)
from firstlight.evaluations.models import Doorbell, Quota, Run, Usage
from firstlight.files.errors import Refused
from firstlight.files.task_file import parse_task_lines
from firstlight.registry import actions
from firstlight.teams.actions import create_team
from firstlight.teams.models import AuditEvent
from tests.evaluations.conftest import World, task_lines
from workers import tasks
from workers.slices import work_next


@pytest.fixture(autouse=True)
def _fresh(fresh_worker: None) -> None:
    """Every test is a new worker process."""


def neighbour(world: World, name: str = "Neighbours") -> World:
    """Another team with the same model and task."""
    user = User.objects.create_user(name)
    team = create_team(name, user)
    series = actions.create_series(user, team, name="series")
    configuration = actions.create_configuration(user, team, name="recipe", recipe={"lr": 1e-3})
    checkpoint = actions.register_checkpoint(
        user, series, configuration, name="tiny", location=str(world.models / "tiny")
    )
    task = actions.import_task(
        user, team, name="letters", specs=parse_task_lines(task_lines(), source="letters")
    )
    return World(user, team, series, checkpoint, task, world.models)


def turn(world: World, value: float) -> None:
    Quota.objects.filter(team=world.team).update(turn=value)


def test_the_team_with_the_least_turn_goes_first_and_the_older_run_within_it(world: World) -> None:
    other = neighbour(world)
    first, second, theirs = world.run(), world.run(seed=1), other.run()
    turn(world, 10.0)
    turn(other, 9.0)
    assert turns.next_run("reference") == theirs
    turn(other, 11.0)
    assert turns.next_run("reference") == first
    set_priority(world.user, second, Run.Priority.HIGH)
    assert turns.next_run("reference") == second
    pause_run(world.user, second)
    assert turns.next_run("reference") == first
    assert turns.next_run("vllm") is None


def test_what_is_open_is_kept_for_a_while_and_for_less_while_another_team_waits(
    world: World, settings: Any
) -> None:
    other = neighbour(world)
    mine, theirs = world.run(), other.run()
    turn(world, 10.0)
    at_hand = world.checkpoint.pk
    assert turns.next_run("reference", loaded=at_hand, age=1.0) == mine
    assert turns.next_run("reference", loaded=at_hand, age=settings.KEEP_FOR_OTHERS_SECONDS) == theirs
    pause_run(other.user, theirs)
    assert turns.next_run("reference", loaded=at_hand, age=1e6) == mine
    assert turns.next_run("reference", loaded=other.checkpoint.pk, age=1.0) == mine


def test_draws_are_charged_to_their_team_and_turns_share_the_engines(world: World) -> None:
    """Two teams with endless work get as much of the engine, although one has eight times the runs."""
    other = neighbour(world)
    for seed in range(8):
        world.run(r=1000, floor=1000, cap=10**6, seed=seed)
    other.run(r=1000, floor=1000, cap=10**6)
    seconds = {team.pk: 0.0 for team in (world.team, other.team)}
    for _ in range(40):
        run = turns.next_run("reference")
        assert run is not None
        turns.charge(run.team_id, draws=100, seconds=1.5)
        seconds[run.team_id] += 1.5
    assert max(seconds.values()) - min(seconds.values()) <= 1.5
    usage = turns.usage_today(seconds)
    assert {pk: usage[pk].engine_seconds for pk in seconds} == pytest.approx(seconds)
    assert sum(usage[pk].draws for pk in seconds) == 4000


def test_what_is_stored_is_what_is_charged(world: World) -> None:
    run = world.run()
    while work_next("reference"):
        pass
    run.refresh_from_db()
    assert run.state == Run.State.COMPLETE
    usage = Usage.objects.get(team=world.team)
    assert (usage.draws, usage.engine_seconds) == (run.drawn, pytest.approx(run.engine_seconds))
    assert Quota.objects.get(team=world.team).turn == pytest.approx(run.engine_seconds)


def test_a_team_that_comes_back_has_saved_up_no_turns(world: World) -> None:
    other = neighbour(world)
    mine = world.run()
    turn(world, 500.0)
    theirs = other.run()
    assert Quota.objects.get(team=other.team).turn == 500.0
    pause_run(other.user, theirs)
    turn(world, 900.0)
    resume_run(other.user, theirs)
    assert Quota.objects.get(team=other.team).turn == 900.0
    pause_run(world.user, mine)
    resume_run(world.user, mine)
    assert Quota.objects.get(team=world.team).turn == 900.0


def test_a_team_may_not_open_more_runs_than_agreed(world: World) -> None:
    first = world.run()
    Quota.objects.filter(team=world.team).update(most_open_runs=1)
    with pytest.raises(Refused, match="has 1 open run and may have 1"):
        world.run(seed=1)
    pause_run(world.user, first)
    with pytest.raises(Refused):
        world.run(seed=1)
    assert Run.objects.count() == 1


@pytest.mark.parametrize(
    ("quota", "words"),
    [
        ({"most_draws_a_day": 100}, "100 draws"),
        ({"most_engine_hours_a_day": 0.5}, "0.5 hours of engines"),
    ],
)
def test_a_team_that_had_its_share_of_the_day_waits_and_its_neighbours_do_not(
    world: World, quota: dict[str, float], words: str
) -> None:
    other = neighbour(world)
    mine, theirs = world.run(), other.run()
    Quota.objects.filter(team=world.team).update(**quota)
    turn(other, 1e9)
    assert turns.next_run("reference") == mine
    turns.charge(world.team.pk, draws=100, seconds=1800.0)
    assert turns.next_run("reference") == theirs
    assert turns.next_run("reference", loaded=world.checkpoint.pk) == theirs
    assert words in turns.spent(world.team.pk)
    assert turns.spent(other.team.pk) == ""
    Usage.objects.update(day="2020-01-01")  # the next day
    assert turns.spent(world.team.pk) == ""
    assert turns.next_run("reference", loaded=world.checkpoint.pk) == mine


def test_no_priority_but_the_three(world: World) -> None:
    with pytest.raises(Refused, match="no priority 7"):
        create_run(world.user, world.checkpoint, world.task, rule=parse_rule(r=2), priority=7)
    with pytest.raises(Refused, match="no priority -2"):
        set_priority(world.user, world.run(), -2)


def test_a_look_and_a_sweep_cost_as_many_queries_for_a_hundred_runs_as_for_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstlight.evaluations.doorbell._deliver_quietly", lambda bell: bool(bell.delete()))
    counts: list[tuple[int, int]] = []
    for more in (1, 99):
        for _ in range(more):
            world.run()
        with CaptureQueriesContext(
            connection,
        ) as look:
            assert turns.next_run("reference", loaded=world.checkpoint.pk, age=5.0)
        Doorbell.objects.all().delete()
        with CaptureQueriesContext(connection) as sweep:
            tasks.sweep()
        counts.append((len(look), len(sweep)))
    assert counts[0] == counts[1]
    assert counts[0][0] <= 4


def test_a_quota_is_set_and_taken_away_and_written_down(world: World) -> None:
    set_quota(world.team, open_runs=3, engine_hours_a_day=1.5)
    quota = Quota.objects.get(team=world.team)
    assert (quota.most_open_runs, quota.most_draws_a_day, quota.most_engine_hours_a_day) == (3, None, 1.5)
    set_quota(world.team)
    quota.refresh_from_db()
    assert (quota.most_open_runs, quota.most_engine_hours_a_day) == (None, None)
    assert AuditEvent.objects.filter(team=world.team, verb="set the quota").count() == 2
    for wrong in ({"open_runs": -1}, {"draws_a_day": 2**40}, {"engine_hours_a_day": float("nan")}):
        with pytest.raises(Refused, match="must lie in 0 to"):
            set_quota(world.team, **wrong)  # type: ignore[arg-type]
