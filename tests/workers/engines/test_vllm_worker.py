"""A real Celery worker, prefork as in production, measures with vLLM inside its pool process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("vllm")

from tests.faults.conftest import ROOT, Site
from tests.tiny_model import write_tiny_llama
from workers.engines import open_engine

INSTANCES = {"a": "1+2=", "b": "3+4=", "c": "55+6=", "d": "7+88=", "e": "9+10=", "f": "11+12="}
DRAWS = 600
PREPARE = """
import json, sys
from workers.database import prepare_database, set_up_django
set_up_django()
prepare_database()
from firstlight.config.celery import make_broker_folders
make_broker_folders()
from firstlight.evaluations.actions import create_run, parse_rule
from firstlight.evaluations.doorbell import ring
from firstlight.registry import actions
from firstlight.files.task_file import parse_task_lines
from firstlight.teams.actions import create_team, ensure_user
from django.db import transaction

user = ensure_user("owner", "a long enough password")
team = create_team("Team", user)
series = actions.create_series(user, team, name="series")
recipe = actions.create_configuration(user, team, name="recipe", recipe={}, status="trained")
lines = sys.stdin.buffer.read().splitlines()
task = actions.import_task(user, team, name="letters", specs=parse_task_lines(lines, source="letters"))
runs = []
for folder in sys.argv[2:]:
    checkpoint = actions.register_checkpoint(user, series, recipe, name=folder[-20:], location=folder)
    draws = int(sys.argv[1])
    with transaction.atomic():
        run = create_run(user, checkpoint, task, rule=parse_rule(r=draws, floor=64, cap=draws), seed=3)
        run.engine = "vllm"
        run.save(update_fields=["engine"])
        run.doorbells.all().delete()
        ring(run)
    runs.append(run.pk)
print(json.dumps(runs))
"""
TELL = """
import json, sys
from workers.database import set_up_django
set_up_django()
from firstlight.evaluations.models import Batch, Run
from firstlight.evaluations.progress import reconcile
run = Run.objects.get(pk=int(sys.argv[1]))
print(json.dumps({
    "state": run.state, "reason": run.reason,
    "passes": dict(run.units.values_list("instance__key", "passes")),
    "draws": list(run.units.values_list("draws", flat=True)),
    "prints": sorted(set(Batch.objects.filter(unit__run=run).values_list("fingerprint", flat=True))),
    "problems": [str(problem) for problem in reconcile(run)],
}))
"""


class VllmSite(Site):
    def program(self, text: str, *arguments: str, given: str = "") -> Any:
        done = subprocess.run(
            [sys.executable, "-c", text, *arguments],
            env=self.env, cwd=ROOT, input=given, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    def state(self, run: int) -> dict[str, Any]:
        return dict(self.program(TELL, str(run)))

    def start_vllm_worker(self) -> None:
        argv = [sys.executable, "-m", "celery", "-A", "firstlight.config.celery", "worker"]
        argv += ["--pool", "prefork", "-c", "1", "-Q", "site,engine.vllm"]
        argv += ["--without-gossip", "--without-mingle", "-l", "WARNING"]
        with (self.home / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                argv, env=self.env, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
        self.processes.append(worker)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[VllmSite]:
    site = VllmSite(tmp_path, {"FIRSTLIGHT_BROKER": "filesystem", "OMP_NUM_THREADS": "1"})
    yield site
    site.close()


def test_a_prefork_worker_completes_runs_of_two_checkpoints_with_vllm(site: VllmSite) -> None:
    folders = [
        write_tiny_llama(site.home / "models" / f"model{seed}", scale=1.6, seed=seed) for seed in (5, 6)
    ]
    lines = [
        json.dumps({"id": name, "prompt": prompt, "answer": "7", "grader": "exact", "stop": ["\n", "="],
                    "max_tokens": 4})
        for name, prompt in INSTANCES.items()
    ]  # fmt: skip
    runs = site.program(PREPARE, str(DRAWS), *map(str, folders), given="\n".join(lines))
    site.start_vllm_worker()
    for run, folder in zip(runs, folders, strict=True):
        told = site.wait(run, lambda state: bool(state["state"] == "complete"), 150)
        assert told["problems"] == []
        assert told["draws"] == [DRAWS] * len(INSTANCES)
        (fingerprint,) = told["prints"]
        assert fingerprint.startswith("vllm ")
        exact = open_engine("reference", folder).score(
            [(prompt, "7") for prompt in INSTANCES.values()], ("\n", "=")
        )
        expected = DRAWS * np.exp([-score.nll for score in exact])
        passes = np.array([told["passes"][name] for name in INSTANCES])
        assert (((passes - expected) ** 2 / expected).sum()) < 27.9  # chi-squared, 6 degrees: 1 in 10,000
