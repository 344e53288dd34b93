"""The fixture world of the pages: an owner, a team-mate, a viewer and an outsider, and one of everything."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from firstlight.evaluations.actions import create_run, parse_rule
from firstlight.evaluations.leases import NewBatch, append_batches, claim_units
from firstlight.evaluations.models import Run
from firstlight.evaluations.progress import settle_state
from firstlight.files.task_file import parse_task_lines
from firstlight.forecasts.actions import make_forecast, run_finished
from firstlight.forecasts.models import Forecast
from firstlight.registry import actions
from firstlight.registry.models import Checkpoint, Endpoint, Instance, Series, Task, TrainingConfiguration
from firstlight.teams.actions import add_member, create_team
from firstlight.teams.models import Team
from tests.tiny_model import write_tiny_llama

KEY_VARIABLE = "FIRSTLIGHT_ENDPOINT_KEY_GPU_1"


@dataclass
class World:
    owner: User
    mate: User
    viewer: User
    outsider: User
    administrator: User
    team: Team
    other_team: Team
    series: Series
    other_series: Series
    configuration: TrainingConfiguration
    other_configuration: TrainingConfiguration
    checkpoint: Checkpoint
    planned: Checkpoint
    task: Task
    other_task: Task
    endpoint: Endpoint
    folder: Path

    def client(self, who: str = "owner") -> Client:
        client = Client()
        client.force_login(getattr(self, who))
        return client

    def run(self, checkpoint: Checkpoint | None = None, task: Task | None = None, *, cap: int = 100) -> Run:
        return create_run(
            self.owner,
            checkpoint or self.checkpoint,
            task or self.task,
            rule=parse_rule(r=2, floor=10, cap=cap),
        )

    def weights(self, name: str, n_params: int) -> Checkpoint:
        """A checkpoint with weights that no test reads."""
        checkpoint = actions.plan_checkpoint(
            self.owner, self.series, self.configuration, name=name, n_params=n_params, tokens=20 * n_params
        )
        checkpoint.planned = False
        checkpoint.save()
        return checkpoint


def draw(run: Run, every: int, *, units: int | None = None, text: str = "no") -> None:
    """Draw: each unit passes at every `every`-th draw (0: never)."""
    cap = run.rule["cap"]
    for claim in claim_units(run.pk, "test/0/0", units or run.units_total):
        passed = [
            every > 0 and (k + 1) % every == 0 for k in range(cap if not every else min(cap, 3 * every + 10))
        ]
        samples = [(k, "yes" if ok else text, ok) for k, ok in enumerate(passed[:3])]
        batch = NewBatch(claim, passed, 0, "reference test", [3] * len(passed), 0.5, samples)
        append_batches("test/0/0", [batch])


def finish(run: Run, every: int) -> Run:
    draw(run, every)
    settle_state(run)
    run.refresh_from_db()
    run_finished(run)
    return run


def lines(instances: int, prompt: str = "2+3=") -> list[bytes]:
    return [
        f'{{"id": "i{k}", "prompt": "{prompt}", "answer": "5", "grader": "exact", "max_tokens": 4}}'.encode()
        for k in range(instances)
    ]


@pytest.fixture(autouse=True)
def _quick(settings: LazySettings, tmp_path: Path) -> None:
    """Passwords are hashed cheaply, and static files come from the finders alone."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.STATIC_ROOT = str(tmp_path)


@pytest.fixture
def world(db: None, tmp_path: Path, settings: LazySettings) -> World:
    settings.MODEL_ROOTS = [tmp_path]
    folder = write_tiny_llama(tmp_path / "tiny", d=32, layers=1, heads=1, seed=1)
    people = {
        name: User.objects.create_user(name, password="a-long-pass-word")
        for name in ("owner", "mate", "viewer", "outsider", "administrator")
    }
    people["administrator"].is_staff = True
    people["administrator"].save()
    owner, outsider = people["owner"], people["outsider"]
    team, other_team = create_team("Team", owner), create_team("Others", outsider)
    add_member(owner, team, people["mate"])
    add_member(owner, team, people["viewer"], "viewer")
    add_member(outsider, other_team, people["administrator"])
    series = actions.create_series(owner, team, name="ladder")
    other_series = actions.create_series(outsider, other_team, name="foreign series")
    recipe = {"data": {"code": 0.3}, "lr": 0.003}
    configuration = actions.create_configuration(owner, team, name="recipe", recipe=recipe)
    other_configuration = actions.create_configuration(outsider, other_team, name="foreign recipe", recipe={})
    checkpoint = actions.register_checkpoint(
        owner, series, configuration, name="tiny", location=str(folder), tokens=1000
    )
    planned = actions.plan_checkpoint(owner, series, configuration, name="planned", n_params=10**9)
    task = actions.import_task(owner, team, name="sums", specs=parse_task_lines(lines(4), source="sums"))
    other_task = actions.import_task(
        outsider, other_team, name="foreign task", specs=parse_task_lines(lines(2), source="x")
    )
    return World(
        **people,
        team=team,
        other_team=other_team,
        series=series,
        other_series=other_series,
        configuration=configuration,
        other_configuration=other_configuration,
        checkpoint=checkpoint,
        planned=planned,
        task=task,
        other_task=other_task,
        endpoint=Endpoint.objects.create(
            name="gpu-1",
            base_url="https://gpu-1.example/v1",
            served=["org/served-7b"],
            key_variable=KEY_VARIABLE,
        ),
        folder=folder,
    )


@dataclass
class Measured:
    runs: list[Run]
    forecast: Forecast
    instance: Instance


@pytest.fixture
def measured(world: World) -> Measured:
    """Four sizes measured (the smallest without a pass) and a forecast at the planned one."""
    runs = [
        finish(world.run(world.weights(f"m{n}", n)), every)
        for n, every in ((20_000, 0), (80_000, 30), (320_000, 12), (1_280_000, 6))
    ]
    forecast = make_forecast(world.owner, world.task, world.planned)
    instance = world.task.instances.first()
    assert instance is not None
    return Measured(runs, forecast, instance)


@pytest.fixture
def client(world: World) -> Client:
    return world.client()


QueryCount = Callable[[Callable[[], object]], int]


@pytest.fixture
def queries() -> QueryCount:
    """How many queries a call makes."""

    def count(call: Callable[[], object]) -> int:
        with _captured() as captured:
            call()
        return len(captured)

    return count


@contextmanager
def _captured() -> Iterator[CaptureQueriesContext]:
    with CaptureQueriesContext(connection) as captured:
        yield captured
