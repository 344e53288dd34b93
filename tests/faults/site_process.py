"""Run as a program in an environment of its own: makes a small world, or tells how its run stands, as JSON.

The environment (FIRSTLIGHT_HOME, FIRSTLIGHT_DATABASE_URL, FIRSTLIGHT_REDIS_URL) chooses the database and the broker.
"""

import json
import sys
from pathlib import Path

from workers.database import prepare_database, set_up_django


def create(models: str, instances: int, cap: int, seed: int) -> dict[str, object]:
    from firstlight.evaluations.actions import create_run, parse_rule
    from firstlight.files.task_file import parse_task_lines
    from firstlight.registry import actions
    from firstlight.teams.actions import create_team, ensure_user
    from firstlight.teams.models import Team

    user = ensure_user("owner", "a long enough password")
    team = Team.objects.filter(name="Team").first() or create_team("Team", user)
    number = team.series.count()
    series = actions.create_series(user, team, name=f"series {number}")
    configuration = actions.create_configuration(
        user, team, name=f"recipe {number}", recipe={}, status="trained"
    )
    checkpoint = actions.register_checkpoint(
        user, series, configuration, name="tiny", location=str(Path(models) / "tiny")
    )
    lines = [
        json.dumps(
            {"id": f"i{k}", "prompt": "abc"[: 1 + k % 3] + "=", "answer": "abcdefgh"[k % 8], "grader": "contains",
             "max_tokens": 8}
        ).encode()
        for k in range(instances)
    ]  # fmt: skip
    task = team.tasks.first() or actions.import_task(
        user, team, name="letters", specs=parse_task_lines(lines, source="letters")
    )
    rule = parse_rule(r=cap, floor=64, cap=cap)  # so many passes never come: every unit goes to its cap
    run = create_run(user, checkpoint, task, rule=rule, seed=seed)
    return {"run": run.pk}


def state(run_id: int) -> dict[str, object]:
    from firstlight.evaluations.models import Run
    from firstlight.evaluations.progress import reconcile

    run = Run.objects.get(pk=run_id)
    return {
        "state": run.state,
        "reason": run.reason,
        "draws": run.draws,
        "done": run.units_done,
        "dropped": run.dropped,
        "units": list(
            run.units.order_by("instance__position").values_list(
                "draws", "passes", "stopped_at", "state", "attempts"
            )
        ),
        "leased": run.units.exclude(lease_until=None).count(),
        "workers": run.units.exclude(worker="").values("worker").distinct().count(),
        "discrepancies": [str(problem) for problem in reconcile(run)],
    }


if __name__ == "__main__":
    set_up_django()
    prepare_database()
    from firstlight.config.celery import make_broker_folders

    make_broker_folders()
    verb, *rest = sys.argv[1:]
    answer = create(rest[0], *map(int, rest[1:])) if verb == "create" else state(int(rest[0]))
    print(json.dumps(answer))
