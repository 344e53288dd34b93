"""Whose turn it is: the next run for an engine, found in a time that does not grow with the runs that wait.

Teams take turns: the one with the least time of engines goes first. Within a team the higher priority goes first,
then the older run. An engine is kept open for its checkpoint while that has work, but not without end.
"""

from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime

from django.conf import settings
from django.db.models import Exists, F, Min, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from firstlight.evaluations.models import Quota, Run, Unit, Usage
from firstlight.registry.models import Checkpoint
from firstlight.teams.models import Team

#: Runs of one checkpoint that a claim looks into.
RUNS_A_CLAIM = 32
#: Of a pending unit: there are draws to make.
_DRAWS_LEFT = Q(allotted=None) | Q(drawn__lt=F("allotted"))


def next_run(kind: str, *, loaded: int | None = None, age: float = 0.0) -> Run | None:
    """The run that an engine of this kind works on next, or None where nothing is due.

    loaded: the checkpoint that it has open, since `age` seconds.
    """
    out = _spent()
    at_hand = _first(due_runs(kind, opened=loaded).filter(checkpoint_id=loaded)) if loaded else None
    if at_hand is None or at_hand.team_id in out:
        return _next_in_turn(kind, out)
    if age < settings.KEEP_FOR_OTHERS_SECONDS:
        more_urgent = due_runs(kind).filter(team=at_hand.team_id, priority__gt=at_hand.priority)
        return _first(more_urgent) or at_hand
    other = _next_in_turn(kind, out, but=loaded)
    if other is None or (other.team_id == at_hand.team_id and age < settings.KEEP_SECONDS):
        return at_hand
    return other


def due_runs(kind: str, *, opened: int | None = None) -> QuerySet[Run]:
    """Open runs with due units, in the order of their turn within a team.

    opened: a checkpoint whose engine is open here. It waits for no other worker's failure to open it.
    """
    return (
        open_runs()
        .filter(Q(held_until=None) | Q(held_until__lte=Now()) | Q(checkpoint_id=opened), queue=kind)
        .filter(Exists(due_units().filter(run=OuterRef("pk"))))
        .order_by("-priority", "id")
    )


def open_runs() -> QuerySet[Run]:
    """Runs that may be due: open, and of weights whose digest is known, so that what is drawn can be told."""
    known = Checkpoint.DigestState.KNOWN
    return Run.objects.exclude(queue="").filter(checkpoint__digest_state=known)


def due_units() -> QuerySet[Unit]:
    """Pending units with draws to make, without a living lease, whose back-off is over."""
    return Unit.objects.filter(
        Q(lease_until=None) | Q(lease_until__lt=Now()),
        Q(not_before=None) | Q(not_before__lte=Now()),
        _DRAWS_LEFT,
        state=Unit.State.PENDING,
    )


def finished_runs() -> QuerySet[Run]:
    """Open runs in which no draw is left to make: whoever made the last one died before it could say so."""
    left = Unit.objects.filter(_DRAWS_LEFT, run=OuterRef("pk"), state=Unit.State.PENDING)
    return open_runs().filter(~Exists(left))


def enter(team: Team) -> None:
    """A run of this team becomes due. A team that comes back waits like those that waited meanwhile."""
    Quota.objects.get_or_create(team=team)
    waiting = Exists(Run.objects.exclude(queue="").filter(team=OuterRef("team")))
    least = Quota.objects.exclude(team=team).filter(waiting).aggregate(least=Min("turn"))["least"]
    if least is not None:
        Quota.objects.filter(team=team, turn__lt=least).update(turn=least)


def charge(team: int, *, draws: int, seconds: float) -> None:
    """What was drawn for a team moves its turn and its usage of the day."""
    Quota.objects.filter(team=team).update(turn=F("turn") + seconds)
    today = Usage.objects.filter(team=team, day=_today())
    used = {"draws": F("draws") + draws, "engine_seconds": F("engine_seconds") + seconds}
    if not today.update(**used):
        Usage.objects.bulk_create([Usage(team_id=team, day=_today())], ignore_conflicts=True)
        today.update(**used)


def usage_today(teams: Iterable[int]) -> dict[int, Usage]:
    """team id -> what was drawn for it today (UTC); teams without a draw are left out."""
    return {usage.team_id: usage for usage in Usage.objects.filter(team__in=list(teams), day=_today())}


def spent(team: int) -> str:
    """Why nothing more is drawn for this team today, or ""."""
    return _spent().get(team, "")


def _first(runs: QuerySet[Run]) -> Run | None:
    return runs.select_related("checkpoint__series").first()


def _next_in_turn(kind: str, without: Collection[int], *, but: int | None = None) -> Run | None:
    """Of the team with the least turn that has a due run. `without`: teams; `but`: a checkpoint."""
    waiting = Exists(Run.objects.filter(queue=kind, team=OuterRef("team")))
    teams = Quota.objects.filter(waiting).order_by("turn", "team").values_list("team", flat=True)
    for team in teams:
        runs = due_runs(kind).filter(team=team)
        if team not in without and (run := _first(runs.exclude(checkpoint_id=but) if but else runs)):
            return run
    return None


def _spent() -> dict[int, str]:
    """team id -> why nothing more is drawn for it today, of the teams whose quota is used up."""
    capped = Quota.objects.exclude(most_draws_a_day=None, most_engine_hours_a_day=None)
    caps = {
        team: (draws, hours)
        for team, draws, hours in capped.values_list("team", "most_draws_a_day", "most_engine_hours_a_day")
    }
    words = {}
    for team, usage in usage_today(caps).items() if caps else ():
        draws, hours = caps[team]
        if draws is not None and usage.draws >= draws:
            words[team] = f"{draws:,} draws"
        elif hours is not None and usage.engine_seconds >= 3600 * hours:
            words[team] = f"{hours:g} hours of engines"
    return {
        team: f"The team had its {what} of today. It goes on at midnight UTC." for team, what in words.items()
    }


def _today() -> date:
    return datetime.now(UTC).date()
