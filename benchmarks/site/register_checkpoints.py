"""Checkpoints registered by the API: how many a second, how long each takes, and that none comes twice.

    python benchmarks/site/register_checkpoints.py [--checkpoints 1000] [--clients 8] [--postgres URL]

A site as `firstlight up` runs it (2 processes x 4 threads, no workers), folders of a tiny model each with weights of
its own, several clients at once. Every tenth request is sent twice with the same key, as after a lost answer.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--checkpoints", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--postgres", help="URL of an empty database; SQLite if left out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        environment = os.environ | {
            "FIRSTLIGHT_HOME": str(home / "home"),
            "FIRSTLIGHT_MODEL_ROOTS": str(home / "models"),
            "FIRSTLIGHT_DATABASE_URL": arguments.postgres or "",
            "FIRSTLIGHT_REDIS_URL": "memory://",
            "FIRSTLIGHT_LOG_LEVEL": "ERROR",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
        }
        os.environ.update(environment)
        token = prepare(home / "models", arguments.checkpoints)
        port = 8790
        web = subprocess.Popen(
            [
                sys.executable, "-m", "gunicorn", "firstlight.config.wsgi:application", "-b", f"127.0.0.1:{port}",
                "-w", "2", "--threads", "4", "--log-level", "error", "--no-control-socket",
            ],
            env=environment, cwd=ROOT,
        )  # fmt: skip
        try:
            time.sleep(4)
            measure(f"http://127.0.0.1:{port}", token, arguments)
        finally:
            web.terminate()
            web.wait()
        from firstlight.registry.models import Checkpoint

        print(f"rows: {Checkpoint.objects.count()} for {arguments.checkpoints} checkpoints")


def prepare(models: Path, count: int) -> str:
    """Folders, an account and its token."""
    from tests.tiny_model import write_tiny_llama

    for number in range(count):
        write_tiny_llama(models / f"step{number}", d=16, layers=1, heads=1, seed=number)
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "firstlight.config.settings"
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)
    from firstlight.teams.actions import create_team, create_user
    from firstlight.teams.tokens import create_token

    owner = create_user("owner", password="dawn-over-the-hills")
    create_team("Team", owner)
    return create_token(owner, name="loop", scope="write", days=1)[1]


def measure(site: str, token: str, arguments: argparse.Namespace) -> None:
    """All clients at once, each taking the next checkpoint."""
    numbers = iter(range(arguments.checkpoints))
    lock, seconds, wrong = threading.Lock(), [], []

    def post(number: int, key: str) -> int:
        body = {"location": f"step{number}", "series": "ladder", "configuration": "base", "step": number}
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        }
        request = urllib.request.Request(f"{site}/api/v1/checkpoints", json.dumps(body).encode(), headers)
        began = time.perf_counter()
        with urllib.request.urlopen(request, timeout=60) as answer:
            made = json.loads(answer.read())
        seconds.append(time.perf_counter() - began)
        return int(made["id"])

    def client() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            key = uuid.uuid4().hex
            try:
                first = post(number, key)
                if number % 10 == 0 and post(number, key) != first:
                    wrong.append(number)
            except OSError as error:
                wrong.append((number, str(error)))

    threads = [threading.Thread(target=client) for _ in range(arguments.clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    p50, p95 = np.percentile(seconds, [50, 95]) * 1000
    print(
        f"{len(seconds)} requests, {len(seconds) / took:.0f}/s, p50 {p50:.0f} ms, p95 {p95:.0f} ms, wrong: {wrong[:5]}"
    )


if __name__ == "__main__":
    main()
