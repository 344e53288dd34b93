"""Processor seconds until the `firstlight` command answers, beside Python's own start.

    python benchmarks/cli/start_time.py [--times 5]

Each call is a process of its own; the median of its user and system time is printed. The calls take turns, so that
what else the machine does falls on all of them alike.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIRSTLIGHT = ["-m", "workers.cli.main"]
CALLS = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import numpy'": ["-c", "import numpy"],
    "python -c 'import passuntil'": ["-c", "import passuntil"],
    "python -c 'import proxy'": ["-c", "import proxy"],
    "firstlight --help": [*FIRSTLIGHT, "--help"],
    "firstlight frobnicate": [*FIRSTLIGHT, "frobnicate"],
    "firstlight up --port 65536": [*FIRSTLIGHT, "up", "--port", "65536"],
    "firstlight forecast --help": [*FIRSTLIGHT, "forecast", "--help"],
    "firstlight forecast missing.csv": [*FIRSTLIGHT, "forecast", "missing.csv", "--target", "1e6"],
    "firstlight relevance missing.csv": [*FIRSTLIGHT, "relevance", "missing.csv", "--target", "task"],
    "firstlight passuntil missing t.jsonl": [*FIRSTLIGHT, "passuntil", "missing", "t.jsonl"],
}


def processor_seconds(words: list[str], folder: str) -> float:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}
    before = os.times()
    subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, check=False)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=5, help="calls of each (default 5)")
    times = parser.parse_args().times
    seconds: dict[str, list[float]] = {name: [] for name in CALLS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(times + 1):
            for name, words in CALLS.items():
                seconds[name].append(processor_seconds(words, folder))
    for name, taken in seconds.items():
        print(f"{name:<38} {statistics.median(taken[1:]):5.2f} s")  # the first call fills the file cache


if __name__ == "__main__":
    main()
