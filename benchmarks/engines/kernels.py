"""The reference engine under every OpenBLAS kernel that this processor can run.

    python benchmarks/engines/kernels.py [--json] [--repeats 7] [--no-tests]

For each kernel, forced by OPENBLAS_CORETYPE in processes of its own, and for the one that OpenBLAS takes by itself (the
first row): for the two models of reference_speed.py the width of the strips in which blocks are multiplied, the time to
open the model and the part of it that measures widths, tokens a second with 256 draws, and relative to the best kernel;
then the outcome of the tests that hold draws to the last bit. Exit status 1 where one fails. OpenBLAS answers a name
that it does not know, or that the processor lacks, with another kernel: each is run once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SPEED = "benchmarks/engines/reference_speed.py"
TESTS = ("tests/workers/engines/test_repeatability.py", "tests/workers/engines/test_products.py")
#: OpenBLAS's names of kernels for x86-64 and for ARM; a build holds some of them.
NAMES = """
    Prescott Core2 Atom Nehalem Sandybridge Haswell SkylakeX Cooperlake SapphireRapids
    Barcelona Bobcat Bulldozer Piledriver Steamroller Excavator Zen
    ARMV8 CORTEXA57 THUNDERX2T99 NEOVERSEN1 NEOVERSEN2 NEOVERSEV1 VORTEX ARMV8SVE A64FX
"""
_ASK = "from workers.engines.reference.blas import blas_name; print(blas_name())"


def run(name: str | None, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python with a kernel; None: the one that OpenBLAS takes by itself, whatever this process was told."""
    told = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'platform'}"}
    if name is None:
        for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
            told.pop(variable, None)
    else:
        told["OPENBLAS_CORETYPE"] = name
    return subprocess.run([sys.executable, *command], env=told, cwd=ROOT, capture_output=True, text=True)


def kernels() -> dict[str, str | None]:
    """The kernels by the names that they give themselves, and the name that brings OpenBLAS to each."""
    coretypes: dict[str, str | None] = {}
    for name in (None, *NAMES.split()):
        answer = run(name, "-c", _ASK)
        if answer.returncode == 0:  # else it stumbled over an instruction that the processor lacks
            coretypes.setdefault(answer.stdout.strip(), name)
    return coretypes


def measure(kernel: str, name: str | None, repeats: int, tests: bool) -> dict[str, Any]:
    """What one kernel does."""
    speed = run(name, SPEED, "--json", "--draws", "256", "--repeats", str(repeats))
    if speed.returncode:
        raise SystemExit(f"{kernel}: {speed.stderr.strip().splitlines()[-1]}")
    row = {"kernel": kernel, "models": {model.pop("model"): model for model in json.loads(speed.stdout)}}
    if tests:
        outcome = run(name, "-m", "pytest", "-q", *TESTS)
        row |= {"passed": outcome.returncode == 0, "tests": outcome.stdout.strip().splitlines()[-1]}
    return row


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--no-tests", action="store_true")
    options = parser.parse_args()
    rows = [measure(*item, options.repeats, not options.no_tests) for item in kernels().items()]
    for model in rows[0]["models"]:
        best = max(row["models"][model]["tokens_per_second"] for row in rows)
        for row in rows:
            row["models"][model]["relative"] = round(row["models"][model]["tokens_per_second"] / best, 2)
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        head = f"{'model':>6} {'width':>5} {'open ms':>8} {'widths ms':>9} {'tokens/s':>9} {'relative':>8}"
        for row in rows:
            print(f"{row['kernel']}  {row.get('tests', '')}\n{head}")
            for name, model in row["models"].items():
                print(
                    f"{name:>6} {model['width']:>5} {model['open_ms']:>8} {model['widths_ms']:>9}"
                    f" {model['tokens_per_second']:>9,} {model['relative']:>8.2f}"
                )
    sys.exit(not all(row.get("passed", True) for row in rows))


if __name__ == "__main__":
    main()
