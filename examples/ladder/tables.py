"""Score tables from the raw results of models, and the summary a person tunes by."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

Raw = dict[str, Any]
SCORE_COLUMNS = ("model", "mixture", "size", "n_params", "tokens", "seed", "task", "score", "nll", "n")
INSTANCE_COLUMNS = (
    "model", "n_params", "tokens", "task", "instance", "logprob_answer", "logprob_terminator", "logprob",
)  # fmt: skip
LOSS_COLUMNS = (
    "model", "mixture", "size", "n_params", "tokens", "seed", "task", "loss", "answer_nll", "train_loss",
)  # fmt: skip
LOW, HIGH, ENOUGH = 1e-5, 0.7, 5


def read_raw(folder: Path) -> list[Raw]:
    """Raw results, by size, then mixture, then seed."""
    raws = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return sorted(raws, key=lambda r: (r["n_params"], r["mixture"] != "main", r["mixture"], r["seed"]))


def mean_pass(pairs: Sequence[Sequence[float]]) -> float:
    return fmean(math.exp(answer + end) for answer, end in pairs)


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    content = text.getvalue().encode()
    if path.suffix == ".gz":  # no time stamp inside, so that the same scores are the same bytes
        content = gzip.compress(content, mtime=0)
    path.write_bytes(content)


def _who(raw: Raw) -> tuple[object, ...]:
    return (raw["key"], raw["mixture"], raw["size"], raw["n_params"], raw["tokens"], raw["seed"])


def _scores(raws: Iterable[Raw]) -> Iterable[tuple[object, ...]]:
    for raw in raws:
        for task, pairs in raw["instances"].items():
            nll = -fmean(answer + end for answer, end in pairs)
            yield (*_who(raw), task, f"{mean_pass(pairs):.9g}", f"{nll:.9g}", len(pairs))


def _instances(raws: Iterable[Raw], name: str) -> Iterable[tuple[object, ...]]:
    for raw in raws:
        for task, pairs in raw["instances"].items():
            for number, (answer, end) in enumerate(pairs):
                place = (raw[name], raw["n_params"], raw["tokens"], task, f"{task}-{number:02d}")
                yield (*place, f"{answer:.9g}", f"{end:.9g}", f"{answer + end:.9g}")


def _losses(raws: Iterable[Raw]) -> Iterable[tuple[object, ...]]:
    for raw in raws:
        for task, held in raw["held_out"].items():
            nll = f"{held['answer_nll']:.9g}" if "answer_nll" in held else ""
            train = f"{raw['train_loss']:.9g}" if task == "all" else ""
            yield (*_who(raw), task, f"{held['loss']:.9g}", nll, train)


def ladder(raws: Iterable[Raw]) -> list[Raw]:
    return [raw for raw in raws if raw["mixture"] == "main" and raw["seed"] == 0]


def write_tables(raw_folder: Path, target: Path) -> list[Raw]:
    """All tables from all raw results; groups are told apart by the sizes that have more than one member."""
    raws = read_raw(raw_folder)
    mixed_sizes = {raw["size"] for raw in raws if raw["mixture"] != "main"}
    seeded_sizes = {raw["size"] for raw in raws if raw["seed"] > 0}
    mixed = [raw for raw in raws if raw["size"] in mixed_sizes and raw["seed"] == 0]
    seeded = [raw for raw in raws if raw["size"] in seeded_sizes and raw["mixture"] == "main"]
    _write(target / "instances.csv", INSTANCE_COLUMNS, _instances(ladder(raws), "size"))
    _write(target / "ladder.csv", SCORE_COLUMNS, _scores(ladder(raws)))
    _write(target / "losses.csv", LOSS_COLUMNS, _losses(raws))
    others = [raw for raw in raws if not (raw["mixture"] == "main" and raw["seed"] == 0)]
    if others:
        _write(target / "mixtures.csv", SCORE_COLUMNS, _scores(mixed))
        _write(target / "seeds.csv", SCORE_COLUMNS, _scores(seeded))
        _write(target / "instances-groups.csv.gz", INSTANCE_COLUMNS, _instances(others, "key"))
    weights = {raw["mixture"]: raw["weights"] for raw in raws}
    (target / "mixtures.json").write_text(json.dumps(weights, indent=1) + "\n", encoding="utf-8")
    return raws


def _log_odds(p: float) -> float:
    p = min(max(p, 1e-300), 1 - 1e-12)
    return math.log(p / (1 - p))


def summary(raws: list[Raw]) -> str:
    """Mean pass probability by task and size, and which tasks are in range or jump late."""
    models = ladder(raws)
    if not models:
        return "no model of the main mixture"
    lines = ["mean exact pass probability", f"{'task':<14}" + "".join(f"{m['size'][7:]:>9}" for m in models)]
    in_range, late = [], []
    for task in models[0]["instances"]:
        values = [mean_pass(m["instances"][task]) for m in models]
        inside = sum(LOW <= v <= HIGH for v in values)
        steps = [_log_odds(b) - _log_odds(a) for a, b in pairwise(values)]
        note = f"  in range {inside}"
        if inside >= ENOUGH:
            in_range.append(task)
        if steps:
            largest = max(range(len(steps)), key=steps.__getitem__)
            note += f", largest step {steps[largest]:.1f} to {models[largest + 1]['size'][7:]}"
            if largest >= len(steps) / 2 and steps[largest] > 2 * max(fmean(steps), 0.1):
                late.append(task)
        lines.append(f"{task:<14}" + "".join(f"{v:>9.2g}" for v in values) + note)
    lines.append(f"{'held-out loss':<14}" + "".join(f"{m['held_out']['all']['loss']:>9.4f}" for m in models))
    span = f"between {LOW:g} and {HIGH:g} at {ENOUGH} or more sizes"
    lines.append(f"{span} ({len(in_range)}): {', '.join(in_range)}")
    lines.append(f"late jumps ({len(late)}): {', '.join(late)}")
    return "\n".join(lines)
