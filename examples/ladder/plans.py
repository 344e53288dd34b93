"""What to train: the mixtures, the sizes, and the named plans."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

import numpy as np

from examples.ladder.generators import TASKS
from examples.ladder.shapes import WIDTHS, Shape

CHOSEN: tuple[str, ...] = tuple(TASKS)  # the tasks of the ladder; the pilot tries every candidate
SMALL_WIDTHS, LARGE_WIDTH = (64, 96, 128), 192
MIXTURES, SEEDS, LARGE_SEEDS = 12, 6, 3
FLOOR = 0.015  # no mixture leaves a task out altogether


@dataclass(frozen=True)
class Spec:
    """One model to train."""

    d: int
    mixture: str
    seed: int
    keep: bool  # whether its checkpoint is kept

    @property
    def key(self) -> str:
        return f"{Shape(self.d).name}-{self.mixture}-s{self.seed}"

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def mixtures(tasks: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Shares of documents by task: the even main mixture, one tilt to each kind, and random draws."""
    even = np.ones(len(tasks))
    proportions = {"main": even}
    for label, kinds in (
        ("arithmetic", {"arithmetic"}),
        ("strings", {"string"}),
        ("links", {"lookup", "composition"}),
    ):
        proportions[label] = np.array([4.0 if TASKS[task].kind in kinds else 1.0 for task in tasks])
    rng = np.random.default_rng(20_004)
    for number in range(MIXTURES - len(proportions)):
        proportions[f"random-{number + 1}"] = rng.dirichlet(1.2 * even) * len(tasks)
    shares = {}
    for label, weights in proportions.items():
        share = FLOOR + (1 - FLOOR * len(tasks)) * weights / weights.sum()
        shares[label] = {task: round(float(s), 6) for task, s in zip(tasks, share, strict=True)}
    return shares


def stream_key(spec: Spec) -> list[int]:
    """The seed of a model's document stream: seed, size and mixture, so no two models share one."""
    digest = hashlib.sha256(spec.mixture.encode()).digest()
    return [spec.seed, spec.d, int.from_bytes(digest[:4], "big")]


def main_specs(widths: tuple[int, ...] = WIDTHS) -> list[Spec]:
    return [Spec(d, "main", 0, True) for d in sorted(widths, reverse=True)]


def group_specs() -> list[Spec]:
    """Mixtures and seeds beyond the main models: score tables only, large sizes first."""
    models = []
    for d in (LARGE_WIDTH, *sorted(SMALL_WIDTHS, reverse=True)):
        models += [Spec(d, label, 0, False) for label in mixtures(CHOSEN) if label != "main"]
        last = LARGE_SEEDS if d == LARGE_WIDTH else SEEDS
        models += [Spec(d, "main", seed, False) for seed in range(1, last)]
    return models


def specs(plan: str, widths: tuple[int, ...] | None) -> list[Spec]:
    if plan == "cpu":
        return main_specs(widths or WIDTHS[:2])
    models = []
    if plan in ("pilot", "main", "full"):
        models += main_specs(widths or WIDTHS)
    if plan in ("groups", "full"):
        models += [spec for spec in group_specs() if widths is None or spec.d in widths]
    return models


def stacks(models: list[Spec], most: int) -> list[list[Spec]]:
    """Same-size models train together, at most `most` at once; a kept model trains alone, to lose nothing."""
    result = [[spec] for spec in models if spec.keep]
    for d in dict.fromkeys(spec.d for spec in models):
        rest = [spec for spec in models if spec.d == d and not spec.keep]
        parts = -(-len(rest) // most) if rest else 0
        result += [list(part) for part in (rest[i::parts] for i in range(parts))]
    return result
