"""A large task file sent to the site: the memory that it takes, and how long.

    python benchmarks/site/task_import.py [--megabytes 100] [--instances 90000]

One gunicorn process takes the file by the API, as a person's browser would send it. What is printed is the most memory
that the process had, less what it had after its first answers.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]
PORT = 8743


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--megabytes", type=float, default=99.0)
    parser.add_argument("--instances", type=int, default=90_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ |= {
            "FIRSTLIGHT_HOME": str(home / "home"), "FIRSTLIGHT_REDIS_URL": "memory://", "FIRSTLIGHT_LOG_LEVEL": "ERROR",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
        }  # fmt: skip
        token = prepare()
        text = "a" * int(arguments.megabytes * 2**20 / arguments.instances - 70)
        file = home / "task.jsonl"
        with file.open("w") as stream:
            for k in range(arguments.instances):
                item = {"id": f"i{k}", "prompt": text, "answer": "b", "grader": "exact", "max_tokens": 4}
                stream.write(json.dumps(item) + "\n")
        web = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "firstlight.config.wsgi:application", "-b", f"127.0.0.1:{PORT}",
             "-w", "1", "--threads", "4", "--log-level", "error", "--timeout", "300", "--no-control-socket"], cwd=ROOT,
        )  # fmt: skip
        try:
            time.sleep(4)
            site = f"http://127.0.0.1:{PORT}/api/v1"
            head = {"Authorization": f"Bearer {token}"}
            urllib.request.urlopen(urllib.request.Request(f"{site}/tasks", headers=head)).read()
            (worker,) = children(web.pid)
            before = peak(worker)
            began = time.monotonic()
            subprocess.run(
                ["curl", "-sS", "-f", "-o", str(home / "answer"), "-H", f"Authorization: Bearer {token}",
                 "-F", f"file=@{file}", "-F", "name=large", f"{site}/tasks"], check=True,
            )  # fmt: skip
            print(
                f"{file.stat().st_size / 2**20:.0f} MB, {arguments.instances:,} instances: "
                f"{time.monotonic() - began:.0f} s, {peak(worker) - before:.0f} MB more than the {before:.0f} before"
            )
        finally:
            web.terminate()
            web.wait()


def prepare() -> str:
    """An account and its token."""
    from workers.database import prepare_database, set_up_django

    set_up_django()
    prepare_database()
    from firstlight.teams.actions import create_team, create_user
    from firstlight.teams.tokens import create_token

    owner = create_user("owner", password="dawn-over-the-hills")
    create_team("Team", owner)
    return create_token(owner, name="loop", scope="write", days=1)[1]


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def peak(pid: int) -> float:
    """The most memory that a process ever had, in MB."""
    line = next(
        row for row in Path(f"/proc/{pid}/status").read_text().splitlines() if row.startswith("VmHWM")
    )
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
