"""kill -9 of the worker five times during one demo run: it finishes, nothing counted twice, nothing lost.

Runs `firstlight demo --no-serve` twice on the same seed, once in peace and once under fire (the worker's main process
and its pool in turn, at random moments while units are being drawn), and compares the counts of every instance.
Exit status 0 only if both end well, no batch is missing and all counts are equal.

    python benchmarks/faults/kill_demo.py --kills 5 --seed 1
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
QUERY = """
    SELECT checkpoint.name, task.name, instance.key, unit.draws, unit.passes, unit.stopped_at, unit.state
    FROM evaluations_unit AS unit JOIN evaluations_run AS run ON run.id = unit.run_id
    JOIN registry_checkpoint AS checkpoint ON checkpoint.id = run.checkpoint_id
    JOIN registry_task AS task ON task.id = run.task_id
    JOIN registry_instance AS instance ON instance.id = unit.instance_id
    ORDER BY 1, 2, 3
"""


def start(home: Path, port: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "FIRSTLIGHT_HOME": str(home), "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}
    program = [sys.executable, "-m", "workers.cli.main", "demo", "--no-serve", "--port", str(port)]
    with (home / "demo.log").open("wb") as log:
        return subprocess.Popen(program, env=environment, cwd=ROOT, stdout=log, stderr=log)


def workers_of(parent: int) -> list[int]:
    """Process ids of the demo's Celery worker: its main process first, then its pool."""
    main = [pid for pid in children(parent) if b" worker " in command(pid)]
    return main + [pid for worker in main for pid in children(worker)]


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    pids = []
    for task in tasks.iterdir() if tasks.is_dir() else ():
        try:
            pids += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return sorted(pids)


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        return b""


def rows(home: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(f"file:{home / 'firstlight.sqlite3'}?mode=ro", uri=True, timeout=20) as database:
        return database.execute(query).fetchall()


def drawn(home: Path) -> int:
    try:
        return int(str(rows(home, "SELECT coalesce(sum(drawn), 0) FROM evaluations_run")[0][0]))
    except sqlite3.OperationalError:
        return 0


def run(home: Path, port: int, kills: int, dice: random.Random, limit: float) -> dict[str, object]:
    began = time.monotonic()
    demo = start(home, port)
    done: list[str] = []
    seen = 0
    while demo.poll() is None and time.monotonic() - began < limit:
        time.sleep(0.2)
        if len(done) < kills and drawn(home) > seen:
            time.sleep(dice.uniform(1.0, 6.0))
            victims = workers_of(demo.pid)
            if not victims:
                continue
            victim = victims[0] if len(done) % 2 == 0 else dice.choice(victims[1:] or victims)
            seen = drawn(home)
            os.kill(victim, signal.SIGKILL)
            done.append(
                f"{'main' if victim == victims[0] else 'pool'} {victim} at {time.monotonic() - began:.0f} s"
            )
    if demo.poll() is None:
        demo.terminate()
        demo.wait(60)
    return {
        "exit": demo.returncode,
        "seconds": round(time.monotonic() - began, 1),
        "kills": done,
        "dropped": rows(home, "SELECT sum(dropped) FROM evaluations_run")[0][0],
        "units": rows(home, QUERY),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1, help="of the moments and victims")
    parser.add_argument("--port", type=int, default=8790)
    parser.add_argument("--limit", type=float, default=540, help="seconds a demo may take")
    arguments = parser.parse_args()
    dice = random.Random(arguments.seed)
    reports = []
    for number, kills in enumerate((0, arguments.kills)):
        home = Path(tempfile.mkdtemp(prefix="firstlight-kill-"))
        report = run(home, arguments.port + number, kills, dice, arguments.limit)
        reports.append(report)
        shown = {key: value for key, value in report.items() if key != "units"}
        print(json.dumps({**shown, "units": len(report["units"]), "home": home.name}), flush=True)  # type: ignore[arg-type]
        print("\n".join((home / "demo.log").read_text().splitlines()[-14:]), flush=True)
    calm, fire = reports
    same = calm["units"] == fire["units"]
    good = calm["exit"] == fire["exit"] == 0 and same and len(fire["kills"]) == arguments.kills  # type: ignore[arg-type]
    print(json.dumps({"kills": len(fire["kills"]), "same_counts": same, "good": good}))  # type: ignore[arg-type]
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
