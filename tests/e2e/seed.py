"""A demo world with plausible counts: nine sizes, three tasks, complete runs, forecasts locked and scored.

From the repository root, on a database of its own:
    FIRSTLIGHT_HOME=/tmp/firstlight-seed python manage.py migrate
    FIRSTLIGHT_HOME=/tmp/firstlight-seed python -m tests.e2e.seed
"""

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from firstlight.evaluations.models import Run
    from firstlight.forecasts.models import Forecast
    from firstlight.registry.models import Checkpoint, Series, Task, TrainingConfiguration
    from firstlight.teams.models import Team

SIZES = (23_040, 46_464, 98_688, 184_320, 369_024, 737_280, 1_327_104, 2_359_296, 4_605_184)
FAR_SIZE = 21_233_664
SEED = 2
#: name -> (exponent, median of c at N = 1, spread of log c)
TASKS = {
    "copy": (0.34, 95.0, 0.35),
    "add two digits": (0.30, 150.0, 0.45),
    "reverse words": (0.27, 210.0, 0.3),
}
PASSWORD = "dawn-over-the-hills"


@dataclass
class Demo:
    owner: "User"
    team: "Team"
    series: "Series"
    configuration: "TrainingConfiguration"
    checkpoints: "list[Checkpoint]" = field(default_factory=list)
    tasks: "list[Task]" = field(default_factory=list)
    runs: "list[Run]" = field(default_factory=list)
    scored: "list[Forecast]" = field(default_factory=list)
    far: "Forecast | None" = None


def task_lines(name: str, instances: int) -> list[bytes]:
    rng = np.random.default_rng(sum(map(ord, name)))
    words = ["dawn", "hill", "lake", "moss", "fern", "gull", "reed", "tide", "moon", "oak"]
    lines = []
    for k in range(instances):
        a, b = rng.integers(10, 99, size=2)
        some = " ".join(rng.choice(words, size=3))
        prompt, answer = {
            "copy": (f"copy: {some}\n", some),
            "add two digits": (f"{a}+{b}=", str(a + b)),
            "reverse words": (f"reverse: {some}\n", " ".join(some.split()[::-1])),
        }[name]
        item = {"id": f"{name.split()[0]}-{k:03d}", "prompt": prompt, "answer": answer, "grader": "exact"}
        lines.append(json.dumps(item | {"stop": ["\n"], "max_tokens": 16}).encode())
    return lines


def true_probability(task: str, key: str, n_params: int) -> float:
    exponent, median, spread = TASKS[task]
    rng = np.random.default_rng(sum(map(ord, task + key)) * 7919 + len(key))
    c = median * np.exp(spread * rng.normal())
    wobble = np.exp(0.04 * np.random.default_rng(n_params % 9973).normal())
    return float(np.exp(-c * wobble * n_params**-exponent))


def draw(run: "Run", *, share: float = 1.0, cap_wave: int = 512) -> None:
    """Draw the units of a run through the real leases, with outcomes of the true probabilities."""
    from firstlight.evaluations.leases import NewBatch, append_batches, claim_units
    from firstlight.evaluations.models import Unit
    from firstlight.registry.models import Instance

    rule = run.stopping_rule
    # Of what the run is, not of its number: numbers go on from test to test. In this world the smallest never reverses.
    rng = np.random.default_rng([SEED, run.checkpoint.n_params, *map(ord, run.task.name)])
    claims = claim_units(run.pk, "seed/0/0", max(1, round(run.units_total * share)))
    instances = Instance.objects.in_bulk([claim.instance for claim in claims])
    for claim in claims:
        instance = instances[claim.instance]
        p = true_probability(run.task.name, instance.key, run.checkpoint.n_params)
        passed = rng.random(rule.bounds[1]) < p
        passed = passed[: min(len(passed), rule.settle(passed).draws + 17)]
        first = {True: np.flatnonzero(passed)[:4], False: np.flatnonzero(~passed)[:4]}
        wrong = instance.answer[::-1] + "\u202eab\tc"
        samples = [(int(k), instance.answer if ok else wrong, ok) for ok in first for k in first[ok]]
        batch = NewBatch(
            claim=claim,
            passed=passed.tolist(),
            seed=run.seed,
            fingerprint="reference 0.1.0 numpy; weights 5f2c81d0",
            tokens=[7] * len(passed),
            seconds=len(passed) / 4000,
            samples=samples,
        )
        append_batches("seed/0/0", [batch])
    Unit.objects.filter(pk__in=[claim.unit for claim in claims], state=Unit.State.PENDING).update(
        lease_until=None
    )


def finish(run: "Run") -> None:
    """What a worker does at the end of a run."""
    from firstlight.evaluations.progress import settle_state
    from firstlight.forecasts.actions import run_finished

    draw(run)
    settle_state(run)
    run.refresh_from_db()
    run_finished(run)


def build(
    *, instances: int = 24, cap: int = 1500, sizes: tuple[int, ...] = SIZES, username: str = "maya"
) -> Demo:
    """Build it through the actions; only the weights are made up."""
    from django.contrib.auth.models import User

    from firstlight.evaluations.actions import create_run, parse_rule
    from firstlight.files.task_file import parse_task_lines
    from firstlight.forecasts.actions import lock_forecast, make_forecast
    from firstlight.forecasts.models import Forecast
    from firstlight.registry import actions
    from firstlight.registry.models import Checkpoint
    from firstlight.teams.actions import create_team

    owner = User.objects.create_user(username, password=PASSWORD)
    team = create_team("Horizon", owner)
    series = actions.create_series(
        owner,
        team,
        name="ladder",
        description="Llama-shaped models on synthetic text, 20 tokens a parameter.",
    )
    recipe = {
        "data": {"copy": 0.3, "sums": 0.4, "text": 0.3},
        "learning_rate": 0.003,
        "batch": 64,
        "schedule": "cosine",
    }
    configuration = actions.create_configuration(
        owner, team, name="base recipe", recipe=recipe, status="trained"
    )
    actions.create_configuration(
        owner,
        team,
        name="more sums",
        recipe=recipe | {"data": {"copy": 0.2, "sums": 0.6, "text": 0.2}, "warmup": 200},
    )
    demo = Demo(owner, team, series, configuration)
    for name in TASKS:
        specs = parse_task_lines(task_lines(name, instances), source=name)
        demo.tasks.append(
            actions.import_task(owner, team, name=name, specs=specs, description=f"Can it {name}?")
        )
    rule = parse_rule(r=5, floor=64, cap=cap)

    def measure(checkpoint: Checkpoint) -> None:
        for task in demo.tasks:
            run = create_run(owner, checkpoint, task, rule=rule, seed=1)
            finish(run)
            demo.runs.append(run)

    def weights(checkpoint: Checkpoint) -> None:
        checkpoint.planned, checkpoint.dtype, checkpoint.architecture = False, "float32", "LlamaForCausalLM"
        checkpoint.digest, checkpoint.context_length = f"sha256:{checkpoint.n_params:064x}", 256
        checkpoint.location = f"models/{checkpoint.name}"
        checkpoint.save()

    for n in sizes:
        label = f"{n / 1e6:.1f}M" if n >= 1e6 else f"{n // 1000}k"
        checkpoint = actions.plan_checkpoint(
            owner, series, configuration, name=f"ladder-{label}", n_params=n, tokens=20 * n
        )
        demo.checkpoints.append(checkpoint)
        if n == sizes[-1]:
            forecasts = [make_forecast(owner, task, checkpoint) for task in demo.tasks]
            for forecast in forecasts[:2]:
                lock_forecast(owner, forecast)
        weights(checkpoint)
        measure(checkpoint)
    demo.scored = list(Forecast.objects.filter(target=demo.checkpoints[-1]).order_by("id"))
    far = actions.plan_checkpoint(
        owner, series, configuration, name="ladder-21M", n_params=FAR_SIZE, tokens=20 * FAR_SIZE
    )
    demo.far = make_forecast(owner, demo.tasks[2], far)
    lock_forecast(owner, make_forecast(owner, demo.tasks[1], far))
    return demo


def troubles(demo: Demo) -> "tuple[Run, Run]":
    """A run half-way, and one that ended with quarantined units."""
    from firstlight.evaluations.actions import create_run, parse_rule
    from firstlight.evaluations.failures import fail_units
    from firstlight.evaluations.leases import claim_units
    from firstlight.evaluations.progress import settle_state

    rule = parse_rule(r=10, floor=64, cap=4000)
    half = create_run(demo.owner, demo.checkpoints[-1], demo.tasks[1], rule=rule, seed=2)
    draw(half, share=0.4)
    broken = create_run(demo.owner, demo.checkpoints[3], demo.tasks[0], rule=rule, seed=3)
    claims = claim_units(broken.pk, "seed/0/1", 3)
    fail_units(claims, "prompt has 281 tokens, but the model's context is 256", final=True)
    draw(broken)
    settle_state(broken)
    half.refresh_from_db()
    broken.refresh_from_db()
    return half, broken


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(root / "platform"), str(root)]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "firstlight.config.settings")
    os.environ.setdefault("FIRSTLIGHT_REDIS_URL", "memory://")
    import django

    django.setup()
    demo = build()
    troubles(demo)
    sys.stdout.write(f"seeded: sign in as {demo.owner} with the password {PASSWORD}\n")


if __name__ == "__main__":
    main()
