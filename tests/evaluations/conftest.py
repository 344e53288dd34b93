"""A registered tiny checkpoint, a task of a few instances, and the person who may run them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from firstlight.config.celery import app
from firstlight.evaluations.actions import create_run, parse_rule
from firstlight.evaluations.models import Run
from firstlight.files.task_file import parse_task_lines
from firstlight.registry import actions
from firstlight.registry.models import Checkpoint, Series, Task
from firstlight.teams.actions import create_team
from firstlight.teams.models import Team
from tests.tiny_model import write_tiny_llama
from workers import engine_cache


@dataclass
class World:
    user: User
    team: Team
    series: Series
    checkpoint: Checkpoint
    task: Task
    models: Path

    def run(self, *, r: int = 2, floor: int = 16, cap: int = 200, seed: int = 0, **more: Any) -> Run:
        return create_run(
            self.user,
            self.checkpoint,
            self.task,
            rule=parse_rule(r=r, floor=floor, cap=cap),
            seed=seed,
            **more,
        )


def task_lines(*, instances: int = 4, max_tokens: int = 6, prompt: str = "abc=") -> list[bytes]:
    return [
        f'{{"id": "i{k}", "prompt": "{prompt}", "answer": "{"abcdefgh"[k % 8]}", "grader": "contains",'
        f' "max_tokens": {max_tokens}}}'.encode()
        for k in range(instances)
    ]


@pytest.fixture
def world(db: None, tmp_path: Path, settings: Any) -> World:
    settings.MODEL_ROOTS = [tmp_path]
    settings.CELERY_BROKER_URL = "memory://"
    write_tiny_llama(tmp_path / "tiny", d=32, layers=1, heads=1, seed=1)
    user = User.objects.create_user("owner")
    team = create_team("Team", user)
    series = actions.create_series(user, team, name="series")
    configuration = actions.create_configuration(user, team, name="recipe", recipe={"lr": 1e-3})
    checkpoint = actions.register_checkpoint(
        user, series, configuration, name="tiny", location=str(tmp_path / "tiny")
    )
    task = actions.import_task(
        user, team, name="letters", specs=parse_task_lines(task_lines(), source="letters")
    )
    return World(user, team, series, checkpoint, task, tmp_path)


@pytest.fixture
def fresh_worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test is a new worker process with a broker of its own: nothing is loaded, no ring waits."""
    monkeypatch.setattr(app.conf, "broker_url", "memory://")
    with app.connection_for_write() as broker:
        channel = broker.default_channel
        channel.queue_declare("engine.reference")
        channel.queue_purge("engine.reference")
    engine_cache.close()
    yield
    engine_cache.close()
