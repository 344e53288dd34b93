"""The queue with many open runs: a look for work, a sweep, claims and appends.

    python benchmarks/queue/at_scale.py [--runs 10000] [--units 10] [--postgres URL] [--seconds 10]

Runs of 20 teams with 5 checkpoints each, on SQLite or on an empty database of PostgreSQL. Looks and sweeps are timed in
one process. Then 2 and 4 processes claim 12 units at a time and store one batch of 64 draws for each in one
transaction, as a worker does, for some seconds: batches stored a second, and how long claims took.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]
TEAMS, CHECKPOINTS, TOGETHER, DRAWS = 20, 5, 12, 64


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--units", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--postgres", help="URL of an empty database; SQLite if left out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "FIRSTLIGHT_HOME": folder,
            "FIRSTLIGHT_DATABASE_URL": arguments.postgres or "",
            "FIRSTLIGHT_REDIS_URL": "memory://",
            "FIRSTLIGHT_LOG_LEVEL": "ERROR",
        }
        set_up()
        from django.core.management import call_command
        from django.db import connection

        call_command("migrate", verbosity=0, interactive=False)
        build(arguments.runs, arguments.units)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        look_and_sweep(arguments.runs)
        connection.close()
        for processes in (2, 4):
            rates(processes, arguments.seconds)


def set_up() -> None:
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "firstlight.config.settings"
    django.setup()


def build(runs: int, units: int) -> None:
    """Teams, checkpoints, one task a team, and open runs over them in turn."""
    from django.contrib.auth.models import User

    from firstlight.evaluations.actions import parse_rule
    from firstlight.evaluations.models import Quota, Run, Unit
    from firstlight.files.task_file import InstanceSpec
    from firstlight.registry import actions
    from firstlight.registry.models import Checkpoint
    from firstlight.teams.actions import create_team

    owner = User.objects.create_user("owner")
    rule = parse_rule(r=10, floor=10**6, cap=10**6).to_dict()
    cells = []
    for number in range(TEAMS):
        team = create_team(f"Team {number}", owner)
        Quota.objects.create(team=team)
        series = actions.create_series(owner, team, name="series")
        configuration = actions.create_configuration(owner, team, name="recipe", recipe={"lr": 1e-3})
        specs = [InstanceSpec(f"i{k}", "a", "b", "exact") for k in range(units)]
        task = actions.import_task(owner, team, name="task", specs=specs)
        instances = list(task.instances.values_list("pk", flat=True))
        for step in range(CHECKPOINTS):
            checkpoint = Checkpoint.objects.create(
                series=series, configuration=configuration, name=f"step{step}", n_params=10**6, location="m",
                digest="sha256:0", digest_state=Checkpoint.DigestState.KNOWN,
            )  # fmt: skip
            cells.append((team, checkpoint, task, instances))
    made = Run.objects.bulk_create(
        [
            Run(team=team, checkpoint=checkpoint, task=task, rule=rule, seed=k, units_total=units)
            for k in range(runs)
            for team, checkpoint, task, _ in [cells[k % len(cells)]]
        ],
        batch_size=500,
    )
    Unit.objects.bulk_create(
        [
            Unit(run=run, instance_id=instance)
            for k, run in enumerate(made)
            for instance in cells[k % len(cells)][3]
        ],
        batch_size=2000,
    )
    print(f"{len(made):,} open runs of {TEAMS} teams, {len(made) * units:,} due units", flush=True)


def look_and_sweep(runs: int) -> None:
    """Time what every worker does before each slice, and what one does from time to time."""
    from firstlight.evaluations import doorbell, turns
    from workers import tasks

    doorbell._deliver_quietly = lambda bell: bool(bell.delete())  # the broker is not measured here
    cold = [timed(lambda: turns.next_run("reference")) for _ in range(50)]
    kept = turns.next_run("reference")
    assert kept is not None
    warm = [timed(lambda: turns.next_run("reference", loaded=kept.checkpoint_id, age=5.0)) for _ in range(50)]
    sweeps = [timed(lambda: tasks.sweep()) for _ in range(5)]
    print(f"a look: {told(cold)}; with a checkpoint loaded: {told(warm)}")
    print(f"a sweep: {told(sweeps)}", flush=True)


def rates(processes: int, seconds: float) -> None:
    """Claims and appends of several processes at once."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, initializer=set_up) as pool:
        begin = time.time() + 6.0
        done = pool.starmap(claim_and_append, [(number, begin, seconds) for number in range(processes)])
    claims = sorted(took for part in done for took in part[1])
    batches = sum(part[0] for part in done)
    p95 = claims[int(0.95 * len(claims))]
    print(
        f"{processes} processes: {batches / seconds:,.0f} batches/s in claims of {TOGETHER}; a claim p50 "
        f"{1e3 * statistics.median(claims):.1f}, p95 {1e3 * p95:.1f}, at most {1e3 * claims[-1]:.0f} ms",
        flush=True,
    )


def claim_and_append(number: int, begin: float, seconds: float) -> tuple[int, list[float]]:
    """One process: looks, claims, stores two batches for each unit, gives back. (batches, seconds of each claim)."""
    import numpy as np

    from firstlight.evaluations import leases, turns

    name = f"bench/{number}/1"
    turns.next_run("reference")
    time.sleep(max(0.0, begin - time.time()))
    stored, claims = 0, []
    passed = np.zeros(DRAWS, bool)
    tokens = np.full(DRAWS, 16)
    while time.time() < begin + seconds:
        run = turns.next_run("reference")
        assert run is not None
        began = time.perf_counter()
        held = leases.claim_of_checkpoint(run.checkpoint_id, "reference", name, TOGETHER)
        claims.append(time.perf_counter() - began)
        for _ in range(8):
            batches = [
                leases.NewBatch(
                    claim=claim, passed=passed, seed=0, fingerprint="bench", tokens=tokens, seconds=0.01
                )
                for claim in held
            ]
            following = leases.append_batches(name, batches)
            stored += len(batches)
            held = [claim for claim in following.values() if claim]
        leases.release(held)
    return stored, claims


def timed(work: object) -> float:
    began = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - began


def told(times: list[float]) -> str:
    ordered = sorted(times)
    p95 = ordered[int(0.95 * (len(ordered) - 1))]
    return f"p50 {1e3 * statistics.median(ordered):.1f}, p95 {1e3 * p95:.1f} ms"


if __name__ == "__main__":
    main()
