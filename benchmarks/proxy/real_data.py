"""The real data sets as ranking problems: candidates at a small scale, a panel, and truths at the large scale.

A problem never holds its truth among what a selector may see: the panel consists of other models, or of the
same kind of models at other scales. Scores are turned so that higher is better. Every loader takes a seed; only those
that draw something use it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("FIRSTLIGHT_SHARED_DATA", ROOT.parent / "shared" / "data"))
LADDER = ROOT / "examples" / "ladder" / "scores"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """One target to be ranked by. group: problems of one group share their candidates. pool: problems of one pool have
    truths for the same models, so chance deals them out together.

    scores: candidates x proxies. panel, panel_target: other models with the target known. noise: deviation of
    each proxy over seeds, or each score's standard error (NaN unknown). own: the target's small-scale score,
    own_noise its deviation. loss: held-out loss of the candidates (lower is better). forecast: PassUntil's.
    """

    data: str
    group: str
    target: str
    models: tuple[str, ...]
    tasks: tuple[str, ...]
    scores: Floats
    panel: Floats
    panel_target: Floats
    truth: Floats
    noise: Floats | None = None
    own: Floats | None = None
    own_noise: float = float("nan")
    loss: Floats | None = None
    forecast: Floats | None = None
    forecast_noise: float = float("nan")
    robustness: Floats | None = None
    pool: str = ""


def _split(table: pd.DataFrame, target: str) -> tuple[pd.DataFrame, pd.Series]:
    return table.drop(columns=target), table[target]


LADDER_TARGETS = ("recall", "running", "reverse_shift", "permute", "hop")
LADDER_SIZES = ("ladder-142k", "ladder-425k", "ladder-943k")


def ladder_mixtures(seed: int = 0) -> Iterator[Problem]:
    """12 mixtures at three small sizes; truth: the score at 3.0M. The target is seen as a benchmark sees it.

    Own score: passes among 48 questions asked once (drawn with `seed` from the exact pass probability). Forecast:
    -log(-log P) over log N, lines of one exponent for all mixtures through the sizes up to this one, so that
    mixtures are ordered by their mean over these sizes.
    """
    generator = np.random.default_rng(seed)
    mixtures, seeds, ladder = (
        pd.read_csv(LADDER / f"{name}.csv") for name in ("mixtures", "seeds", "ladder")
    )
    losses = pd.read_csv(LADDER / "losses.csv").groupby("model").loss.mean()
    main = ladder[ladder["size"] != "ladder-3.0m"].pivot(index="model", columns="task", values="score")
    wide = {
        size: one.pivot(index="mixture", columns="task", values="score")
        for size, one in mixtures.groupby("size")
    }
    names = {size: one.groupby("mixture").model.first() for size, one in mixtures.groupby("size")}
    noise = {
        size: one.pivot(index="seed", columns="task", values="score") for size, one in seeds.groupby("size")
    }
    for place, size in enumerate(LADDER_SIZES):
        table = wide[size]
        for target in LADDER_TARGETS:
            x, exact = _split(table, target)
            panel, panel_target = _split(main, target)
            used = LADDER_SIZES[: place + 1]
            bent = np.array([np.log(-np.log(wide[s][target].clip(1e-12, 1 - 1e-12))) for s in used])
            spread = np.array(
                [np.log(-np.log(noise[s][target].clip(1e-12, 1 - 1e-12))).std(ddof=1) for s in used]
            )
            hat = np.full(len(used), 1 / len(used))
            shift = noise[size].std(ddof=1)
            yield Problem(
                "ladder_mixtures", size, target, tuple(table.index), tuple(x.columns), x.to_numpy(),
                panel.to_numpy(), panel_target.to_numpy(), wide["ladder-3.0m"][target].to_numpy(),
                noise=shift[x.columns].to_numpy(),
                own=generator.binomial(48, exact.to_numpy()) / 48,
                own_noise=float(np.sqrt(shift[target] ** 2 + (exact * (1 - exact)).mean() / 48)),
                loss=losses[names[size][table.index]].to_numpy(),
                forecast=-(hat @ bent),
                forecast_noise=float(np.sqrt(hat**2 @ spread**2)),
                robustness=(x.var() / shift[x.columns] ** 2).to_numpy(),
            )  # fmt: skip


OLMO_LABELS = ("0.5xC", "1xC", "1xC-rerun", "2xC", "5xC", "10xC")
OLMO_TASKS = {
    f"{name}_rc_5shot_{kind}": name.split("_test")[0].split("_val")[0]
    for name, kind in [
        *((f"mmlu_{part}_test", "len_norm") for part in ("stem", "humanities", "social_sciences", "other")),
        *((f"{name}_test", "len_norm") for name in ("arc_easy", "arc_challenge", "openbookqa")),
        *((f"{name}_val", "len_norm") for name in ("hellaswag", "csqa", "piqa", "socialiqa", "winogrande")),
        ("boolq_val", "acc"),
    ]
}


def olmo_ladder(seed: int = 0) -> Iterator[Problem]:
    """Six token budgets (one trained twice) at 190M, 370M and 760M; truth: the same budget at 3B, each task in turn."""
    table = pd.read_csv(DATA / "olmo_ladder" / "ladder_last_step.csv").set_index("run")
    loss = table["eval/c4_en-validation/CrossEntropyLoss"]
    scores = table[[f"eval/downstream/{name}" for name in OLMO_TASKS]]
    scores.columns = list(OLMO_TASKS.values())
    sizes = ("190M", "370M", "760M", "1B", "3B")
    twice = np.array([scores.loc[f"{size}-1xC"] - scores.loc[f"{size}-1xC-rerun"] for size in sizes[:4]])
    noise = pd.Series(np.sqrt((twice**2).mean(axis=0) / 2), index=scores.columns)
    truths = scores.loc[[f"3B-{label}" for label in OLMO_LABELS]]
    for size in sizes[:3]:
        runs = [f"{size}-{label}" for label in OLMO_LABELS]
        panel = scores.loc[
            [f"{other}-{label}" for other in sizes[:4] if other != size for label in OLMO_LABELS]
        ]
        for target in scores.columns:
            x, own = _split(scores.loc[runs], target)
            rest, panel_target = _split(panel, target)
            yield Problem(
                "olmo_ladder", size, target, OLMO_LABELS, tuple(x.columns), x.to_numpy(), rest.to_numpy(),
                panel_target.to_numpy(), truths[target].to_numpy(), noise=noise[x.columns].to_numpy(),
                own=own.to_numpy(), own_noise=float(noise[target]), loss=loss[runs].to_numpy(),
                robustness=(x.var() / noise[x.columns] ** 2).to_numpy(),
            )  # fmt: skip


def overtrain_scaling(seed: int = 0) -> Iterator[Problem]:
    """Three recipes at 79M, 154M and 412M, 20 tokens a parameter; truth: the same recipe at 6.9B.

    Targets: tasks whose mean at 6.9B lies at least .05 above chance. Noise: questions only (no seeds are known).
    """
    folder = DATA / "overtrain_scaling_gadre"
    table = pd.read_csv(folder / "models_losses_and_evals.csv.gz")
    meta = pd.read_csv(folder / "eval_metadata.csv").set_index("Eval Task")
    table = table[table.has_eval.astype(bool)].set_index("name")
    tasks = [c for c in table.columns if c.startswith("acc/") and c[4:] in meta.index]
    scores = table[tasks].rename(columns=lambda name: name[4:])
    chance = meta["Random baseline"].reindex(scores.columns) / 100
    asked = meta["#datapoints"].reindex(scores.columns).astype(float)
    recipes = ("c4_original", "rpj", "rw_original")
    truths = scores.loc[[f"{recipe}-open_lm_7b-1.0" for recipe in recipes]]
    targets = [t for t in scores.columns if truths[t].mean() > chance[t] + 0.05]
    for size in ("d=512_l=8_h=4", "d=576_l=24_h=8", "d=1024_l=24_h=8"):
        runs = [f"{recipe}-{size}-1.0" for recipe in recipes]
        panel = scores[(table.params < 5e8) & ~scores.index.isin(runs)]
        keep = panel.std() > 0
        for target in targets:
            x, own = _split(scores.loc[runs, keep], target)
            rest, panel_target = _split(panel.loc[:, keep], target)
            error = np.sqrt((x * (1 - x)).clip(lower=0).mean() / asked[x.columns])
            mean = float(own.mean())
            yield Problem(
                "overtrain_scaling", size, target, recipes, tuple(x.columns), x.to_numpy(), rest.to_numpy(),
                panel_target.to_numpy(), truths[target].to_numpy(), noise=error.to_numpy(), own=own.to_numpy(),
                own_noise=float(np.sqrt(max(mean * (1 - mean), 0) / asked[target])),
                loss=table.loc[runs, "loss/openlm"].to_numpy(),
                robustness=(x.var() / (error**2).replace(0, np.nan)).to_numpy(),
            )  # fmt: skip


def regmix(seed: int = 0) -> Iterator[Problem]:
    """256 mixtures at 1M; truth: a domain's loss at 60M, each of 13 in turn. Panel: 512 other mixtures at 1M."""
    folder = DATA / "regmix"
    small, large, panel = (
        -pd.read_csv(folder / f"{name}.csv").set_index("index").rename(columns=lambda c: c[16:-9])
        for name in ("test_pile_loss_1m", "test_pile_loss_60m", "train_pile_loss_1m")
    )
    large = large.loc[small.index]
    for target in small.columns:
        x, own = _split(small, target)
        rest, panel_target = _split(panel, target)
        yield Problem(
            "regmix", "1M", target, tuple(map(str, small.index)), tuple(x.columns), x.to_numpy(),
            rest.to_numpy(), panel_target.to_numpy(), large[target].to_numpy(), own=own.to_numpy(),
            loss=-small.mean(axis=1).to_numpy(),
        )  # fmt: skip


def gemstones(seed: int = 0, splits: int = 20) -> Iterator[Problem]:
    """22 shapes after 40 billion tokens; truth: the finished model. Panel: half of the shapes, finished.

    Each of `splits` random halves ranks the other half's early checkpoints. Noise: standard errors of the scores.
    """
    folder = DATA / "gemstones"
    scores, errors = (
        pd.read_parquet(folder / f"{name}.parquet").astype(float)
        for name in ("light_eval_df", "light_eval_df_err")
    )
    shapes = np.array(sorted({name.split("-")[1] for name in scores.index}))
    early = scores.loc[[f"Gemstone-{shape}-step_00009540" for shape in shapes]].set_axis(shapes)
    early_error = errors.loc[[f"Gemstone-{shape}-step_00009540" for shape in shapes]].set_axis(shapes)
    final = scores.loc[[f"Gemstone-{shape}-main" for shape in shapes]].set_axis(shapes)
    losses = pd.read_csv(folder / "train_loss_by_tokens.csv.gz")
    losses = losses[(losses.lr_setting == "base_lr") & (losses.step == 9540)]
    loss = losses.set_index(losses.run_name.str.extract(r"-(\d+x\d+)_", expand=False)).final_loss
    generator = np.random.default_rng(seed)
    for number in range(splits):
        order = generator.permutation(shapes)
        known, asked = order[: shapes.size // 2], order[shapes.size // 2 :]
        for target in scores.columns:
            x, own = _split(early.loc[asked], target)
            rest, panel_target = _split(final.loc[known], target)
            error = early_error.loc[asked, x.columns]
            own_loss = loss.reindex(asked).to_numpy()
            yield Problem(
                "gemstones", f"split {number}", target, tuple(asked), tuple(x.columns), x.to_numpy(),
                rest.to_numpy(), panel_target.to_numpy(), final.loc[asked, target].to_numpy(),
                noise=np.sqrt((error**2).mean()).to_numpy(), own=own.to_numpy(),
                own_noise=float(np.sqrt((early_error.loc[asked, target] ** 2).mean())),
                loss=own_loss if np.isfinite(own_loss).all() else None,
                robustness=(x.var() / (error**2).mean()).to_numpy(),
            )  # fmt: skip


def datablations(seed: int = 0) -> Iterator[Problem]:
    """Recipes over one corpus ranked by what the other corpus' recipes teach; robustness from 5 real seeds.

    2.8B throughout, so there is no small-scale score of the target: each of 19 tasks is the target in turn, and the
    others stand for it. Truth is the target's own (single-seed) score.
    """
    table = pd.read_csv(DATA / "datablations_seed_variance" / "recipe_seed_scores.csv")
    table = table[~table.task.str.startswith("Average")]
    wide = table.pivot_table(index=["corpus", "recipe"], columns="task", values="mean")
    seeds = table[table.n_seeds > 1].groupby(["corpus", "task"]).std_ddof0.first() * np.sqrt(5 / 4)
    wide = wide[[c for c in wide.columns if wide[c].notna().all()]]
    for corpus, other in (("C4", "OSCAR"), ("OSCAR", "C4")):
        known, asked = wide.loc[other], wide.loc[corpus]
        for target in wide.columns:
            x, truth = _split(asked, target)
            rest, panel_target = _split(known, target)
            deviation = seeds[corpus].reindex(x.columns)
            yield Problem(
                "datablations", corpus, target, tuple(asked.index), tuple(x.columns), x.to_numpy(),
                rest.to_numpy(), panel_target.to_numpy(), truth.to_numpy(), noise=deviation.to_numpy(),
                robustness=(x.var() / (deviation**2).replace(0, np.nan)).to_numpy(), pool=corpus,
            )  # fmt: skip


DEVELOPED_ON: dict[str, Callable[[int], Iterator[Problem]]] = {
    "ladder_mixtures": ladder_mixtures,
    "olmo_ladder": olmo_ladder,
    "overtrain_scaling": overtrain_scaling,
}
#: Loaded for the first time after the recommendation was fixed.
HELD_OUT: dict[str, Callable[[int], Iterator[Problem]]] = {
    "regmix": regmix,
    "gemstones": gemstones,
    "datablations": datablations,
}
