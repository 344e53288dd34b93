"""Selectors and the recommended join where the truth is known and panel and candidates differ in what varies.

    python benchmarks/proxy/selector_simulation.py [--seed 0] [--json] [--quick]

A model has a general ability, skills, and a part of its own in every task; a task loads on the ability and on one
skill. The panel may vary in general ability (sizes) where candidates of one size do not, or where their skills
compete for the same data. Candidates are measured with seed noise. The target's own score has noise, too, and the
truth at the large scale keeps most of what is its own. Held-out loss follows the mean of the tasks, or nothing. Every
figure is a mean decision accuracy over studies; the last rows are the mean over the worlds, and the standard error of
the difference to `recommended`.

Beside the selectors stand ablations of the recommended one: "panel believed" takes the panel's relevance for the
candidates' (as before transfer was asked of the proxies), "no loss", and composites that are always pooled or always
the regression's, where the nested choice takes the one with more cross-validated decisions right.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from numpy.typing import NDArray

import proxy.weights.recommended
from proxy.ranking.truth import decision_accuracies
from proxy.weights import PaperSelector, PooledSelector, ShrinkageSelector, recommend, reliabilities
from proxy.weights.base import standardised
from proxy.weights.transfer import Relevance

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """panel_ability, ability: variance of the general ability. keeps: share of the target's own part (a deviation) that
    the large scale keeps. loss_quality: correlation of the loss with the mean of the tasks' common parts."""

    candidates: int = 12
    panel: int = 12
    tasks: int = 10
    panel_ability: float = 1.0
    ability: float = 1.0
    skills: int = 3
    skill: float = 1.0
    compete: bool = False
    irrelevant: float = 0.0
    noise: float = 0.7
    own_noise: float = 0.7
    keeps: float = 0.9
    loss_quality: float = 0.8


WORLDS = {
    "one ability": World(skills=1, skill=0.0),
    "skills": World(),
    "sizes, equal candidates": World(panel_ability=9, ability=0),
    "sizes, competing candidates": World(panel_ability=9, ability=0, compete=True),
    "sizes, some ability": World(panel_ability=9, ability=0.5),
    "sizes, much ability": World(panel_ability=9, ability=4),
    "noisy tasks": World(noise=2.0, own_noise=1.5, loss_quality=0.95),
    "half irrelevant": World(panel=20, irrelevant=0.5),
    "target at chance": World(panel_ability=2, own_noise=20.0),
    "clean target": World(panel_ability=4, own_noise=0.1),
    "misleading loss": World(panel_ability=4, loss_quality=0.0),
    "three candidates": World(candidates=3, panel=20, panel_ability=4),
    "six candidates": World(candidates=6, panel=15, panel_ability=4, ability=2),
    "sixty candidates": World(candidates=60, panel=60, tasks=15, panel_ability=2),
}


def study(world: World, rng: np.random.Generator) -> dict[str, Any]:
    """One panel, one set of candidates, and the truth."""
    count = world.tasks + 1
    on_ability, on_skill = rng.uniform(0.4, 1.0, count), rng.uniform(0.2, 1.0, count)
    which, own_part = rng.integers(0, world.skills, count), rng.uniform(0.25, 0.75, count)
    off = rng.random(world.tasks) < world.irrelevant
    on_ability[:-1][off] = on_skill[:-1][off] = 0.0
    noise = world.noise * rng.uniform(0.4, 1.6, world.tasks)

    def models(many: int, ability: float, compete: bool) -> tuple[Floats, Floats]:
        skills = world.skill * rng.standard_normal((many, world.skills))
        if compete:
            skills -= skills.mean(axis=1, keepdims=True)
        common = np.sqrt(ability) * rng.standard_normal((many, 1)) * on_ability + skills[:, which] * on_skill
        return common, own_part * rng.standard_normal((many, count))

    panel = np.add(*models(world.panel, world.panel_ability, False))
    panel[:, :-1] += noise * rng.standard_normal((world.panel, world.tasks))
    common, own = models(world.candidates, world.ability, world.compete)
    small = common + own
    level = standardised(common[:, :-1].mean(axis=1, keepdims=True))[:, 0]
    quality = world.loss_quality
    return {
        "panel": panel[:, :-1],
        "panel_target": panel[:, -1],
        "scores": small[:, :-1] + noise * rng.standard_normal((world.candidates, world.tasks)),
        "noise": noise,
        "own": small[:, -1] + world.own_noise * rng.standard_normal(world.candidates),
        "own_noise": world.own_noise,
        "loss": -quality * level - np.sqrt(1 - quality**2) * rng.standard_normal(world.candidates),
        "truth": common[:, -1] + world.keeps * own[:, -1]
        + np.sqrt(1 - world.keeps**2) * own_part[-1] * rng.standard_normal(world.candidates),
    }  # fmt: skip


def scored(given: dict[str, Any]) -> dict[str, Floats]:
    """Scores of the candidates by every method."""
    x, own, loss = given["scores"], given["own"], given["loss"]
    fixed = {key: given[key] for key in ("noise", "own", "own_noise")}
    h = reliabilities(x, given["noise"])

    def joined(only: str | None = None, **changes: Any) -> Floats:
        names = proxy.weights.recommended.CHOSEN_AMONG if only is None else (only,)
        with patch.object(proxy.weights.recommended, "CHOSEN_AMONG", names):
            fit = recommend(given["panel"], given["panel_target"], x, **{**fixed, "loss": loss, **changes})
        return fit.predict(x, own, changes.get("loss", loss))

    scores = {
        "recommended": joined(),
        "panel believed": joined(shift=Relevance(0.0, 1 / 8)),
        "no loss": joined(loss=None),
        "always pooled": joined("pooled"),
        "always shrinkage": joined("shrinkage"),
        "uniform": standardised(x).mean(axis=1),
        "own": own,
        "loss": -loss,
    }
    proxies_only = {
        "pooled": PooledSelector(),
        "shrinkage": ShrinkageSelector(),
        "paper": PaperSelector(),
        "paper, raw relevance": PaperSelector(normalise=False),
    }
    for name, selector in proxies_only.items():
        scores[name] = selector.fit(given["panel"], given["panel_target"], reliability=h).predict(x)
    fit = recommend(given["panel"], given["panel_target"], x, noise=given["noise"])
    return {**scores, "nested, proxies only": fit.predict(x)}


def main() -> int:
    """Run every world and print a table, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    started, studies, rows = time.monotonic(), 10 if arguments.quick else 100, {}
    for number, (name, world) in enumerate(WORLDS.items()):
        rng = np.random.default_rng([arguments.seed, number])
        each = []
        for _ in range(studies):
            given = study(world, rng)
            scores = scored(given)
            columns = np.round(np.column_stack(list(scores.values())), 12)
            each.append(decision_accuracies(columns, given["truth"]))
        rows[name] = np.array(each)
    methods = list(scores)
    differences = np.stack([values - values[:, :1] for values in rows.values()])
    error = np.sqrt((differences.var(axis=1, ddof=1) / studies).mean(axis=0) / len(rows))
    mean = np.mean([values.mean(axis=0) for values in rows.values()], axis=0)
    report = {
        "worlds": {
            name: dict(zip(methods, v.mean(axis=0).tolist(), strict=True)) for name, v in rows.items()
        },
        "mean": dict(zip(methods, mean.tolist(), strict=True)),
        "error_of_difference": dict(zip(methods, error.tolist(), strict=True)),
        "studies": studies,
        "seed": arguments.seed,
        "seconds": time.monotonic() - started,
    }
    if arguments.json:
        print(json.dumps(report, allow_nan=False))
        return 0
    for place, method in enumerate(methods):
        print(f"{place:>2} {method}")
    print(f"{'':<28}" + "".join(f"{place:>7}" for place in range(len(methods))))
    for name, values in rows.items():
        print(f"{name:<28}" + "".join(f"{value:>7.3f}" for value in values.mean(axis=0)))
    print(f"{'mean':<28}" + "".join(f"{value:>7.3f}" for value in mean))
    print(f"{'error of the difference':<28}" + "".join(f"{value:>7.4f}" for value in error))
    print(f"{report['seconds']:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
