"""Relevance and consistency on real matrices, raw and two-way.

    python benchmarks/proxy/real_relevance.py [--seed 0] [--json] [--quick] [--data ../shared/data]

1. opencompass_readme_matrix with t_eval as target: OpenCompass scores of base models, T-eval of chat models, joined by
   an explicit list of pairs (T-eval's names do not say which model was run, so the list is a reading of ours).
2. obs_scaling: eight standard benchmarks of up to 148 base models, with gaps, for the two emergent BIG-bench targets
   that are not at 0 for most models, and GSM8K as a target among the benchmarks themselves.
3. datablations_seed_variance: variance ratios on real seeds and recipes, from printed means and deviations.

For 1 and 2: the relevance table, Algorithm 1 for every metric at m' 5 to 17 and k 3, 5, 10 (where they fit), raw and
two-way, and the ablations of the two-way step (target included; normalised within each subset).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from proxy import ScoreMatrix, join_scores, read_scores, study_relevance
from proxy._text import shown, text_table
from proxy.choices import METRICS
from proxy.relevance import TwoWayNormaliser, choose_metric, correlations
from proxy.selection import phi_of, variance_ratio

BENCHMARKS = ["MMLU", "ARC-C", "HellaSwag", "Winograd", "TruthfulQA", "GSM8K", "XWinograd", "HumanEval"]
#: T-eval's name for each OpenCompass base model that has one; Vicuna shares a base with Llama 2 and stays out.
PAIRS = {
    "llama-2-7b-turbomind": "LLaMA2-7B",
    "llama-2-13b-turbomind": "LLaMA2-13B",
    "llama-2-70b-turbomind": "LLaMA2-70B",
    "qwen-7b-turbomind": "Qwen-7B",
    "qwen-14b-turbomind": "Qwen-14B",
    "qwen-72b-turbomind": "Qwen-72B",
    "mistral-7b-v0.1-hf": "Mistral-7B",
}
EMERGENT = {
    "word unscrambling": "word_unscrambling_2_exact_match",
    "3-digit addition": "arithmetic_3da_2_acc",
}


def worlds(data: Path) -> dict[str, tuple[ScoreMatrix, str]]:
    """Name -> matrix and target."""
    tables: dict[str, tuple[ScoreMatrix, str]] = {}
    base = read_scores(data / "opencompass_readme_matrix" / "base_models_headline.csv")
    t_eval = read_scores(data / "t_eval" / "scores_en.csv", tasks=["overall"])
    tables["T-eval, 7 pairs"] = join_scores(base, t_eval, mapping=PAIRS).matrix, "overall"
    with_vicuna = read_scores(
        data / "t_eval" / "teval_x_opencompass_base_join.csv", model_columns=("teval_model",)
    )
    tables["T-eval, with Vicuna"] = with_vicuna, "teval_overall"
    standard = read_scores(data / "obs_scaling" / "base_llm_benchmark_eval.csv", tasks=BENCHMARKS)
    emergent = read_scores(data / "obs_scaling" / "base_llm_emergent_capability_eval.csv")
    for name, target in EMERGENT.items():
        tables[name] = join_scores(standard, emergent.select(tasks=[target])).matrix, target
    tables["GSM8K"] = standard, "GSM8K"
    complete = np.isfinite(standard.scores).all(axis=1)
    models = [model for model, whole in zip(standard.models, complete, strict=True) if whole]
    tables["GSM8K, no gaps"] = standard.select(models=models), "GSM8K"
    return tables


def study(matrix: ScoreMatrix, target: str, seed: int, rounds: int, permutations: int) -> dict[str, Any]:
    """Relevance table, consistency sweep and two-way ablations of one world."""
    relevance = study_relevance(matrix, target, rounds=rounds, permutations=permutations, seed=seed)
    table = relevance.as_dict()
    used = matrix.select(models=relevance.models, tasks=list(relevance.values()))
    x, y = used.oriented(), matrix.select(models=relevance.models, tasks=[target]).oriented()[:, 0]
    normaliser = TwoWayNormaliser().fit(x, y)
    views = {"raw": (x, y), "two_way": (normaliser.transform(x), normaliser.transform_target(x, y))}
    sweep = []
    for name, (a, b) in views.items():
        for subset in (5, 8, 10, 12, 17):
            for top in (3, 5, 10):
                if subset < len(b) and top < a.shape[1]:
                    one = choose_metric(a, b, subset=subset, top=top, rounds=rounds, seed=seed)
                    sweep.append({"normalisation": name, **one.as_dict()})
    within = choose_metric(x, y, rounds=min(rounds, 200), seed=seed, renormalise=True)
    included = TwoWayNormaliser(target="included").fit(x, y)
    ablation = correlations(included.transform(x, y), included.transform_target(x, y), ("kendall",))[
        "kendall"
    ]
    return {
        "relevance": table,
        "consistency": sweep,
        "normalised_within_subsets": within.as_dict(),
        "kendall_target_included": dict(zip(used.tasks, ablation.tolist(), strict=True)),
        "signs_flipped": sum(
            row["raw"]["kendall"] * row["two_way"]["kendall"] < 0
            for row in table["tasks"]
            if "two_way" in row
        ),
    }


def real_seeds(data: Path) -> list[dict[str, Any]]:
    """Variance over the recipes of 2.8B models against the variance over 5 seeds, pooled over two recipes."""
    with open(
        data / "datablations_seed_variance" / "recipe_seed_scores.csv", encoding="utf-8", newline=""
    ) as file:
        rows = list(csv.DictReader(file))
    out = []
    for task in dict.fromkeys(row["task"] for row in rows if not row["task"].startswith("Average")):
        # One family of recipes: 0 to 50% of code in two corpora. The filtered corpora were scored in another run.
        own = [r for r in rows if r["task"] == task and r["notebook"].endswith("python.ipynb")]
        means = {(r["corpus"], r["recipe"]): float(r["mean"]) for r in own}
        seeds = {(r["corpus"], float(r["std_ddof0"])) for r in own if r["n_seeds"] == "5"}
        if len(means) < 2 or not seeds:
            continue
        noise = float(np.mean([std**2 * 5 / 4 for _, std in seeds]))
        values = np.array(list(means.values()))
        ratio = variance_ratio(
            float(values.var(ddof=1)),
            len(values),
            noise,
            4 * len(seeds) + 1,
            dispersion=float(np.ptp(values)),
        )
        out.append(
            {
                "task": task,
                **ratio.as_dict(),
                **{f"phi_{n}": phi_of(n, ratio.capped) for n in ("ratio", "sigmoid")},
            }
        )
    return sorted(out, key=lambda row: -(row["ratio"] or np.inf))


def show(name: str, report: dict[str, Any]) -> None:
    """One world as tables."""
    table = report["relevance"]
    print(f"\n== {name}: {table['models']} models; Algorithm 1 chose {table['metric']} on raw scores")
    rows = []
    for row in table["tasks"]:
        raw, two = row["raw"], row.get("two_way", {})
        cells = [shown(of.get(metric), ".2f") for of in (raw, two) for metric in METRICS]
        cells += [
            f"[{shown(raw['low'], '.2f')}, {shown(raw['high'], '.2f')}]",
            shown(raw["p_adjusted"], ".2g"),
            shown(two.get("p_adjusted"), ".2g"),
            shown(raw["left_out_low"], ".2f"),
            shown(raw["partial"], ".2f"),
            str(row["models"]),
        ]
        rows.append([row["task"], *cells])
    header = [
        "task",
        "P",
        "S",
        "K",
        "2w P",
        "2w S",
        "2w K",
        "interval",
        "p adj",
        "2w p adj",
        "less one",
        "partial",
        "n",
    ]
    print(text_table(header, rows))
    rows = []
    for one in report["consistency"]:
        cells = [f"{one['metrics'][m]['baseline']:.3f}/{one['metrics'][m]['sampling']:.3f}" for m in METRICS]
        chosen = one["metric"] + ("" if one["strict"] else " (sum)") + ("" if one["decisive"] else " ?")
        rows.append(
            [
                f"{one['normalisation']} m' {one['subset']} k {one['top']}",
                *cells,
                f"{one['chance']:.2f}",
                chosen,
            ]
        )
    print(text_table(["BC/SC", *METRICS, "blind", "chosen"], rows))
    print(f"signs flipped by the two-way step: {report['signs_flipped']} of {len(table['tasks'])}")
    included = ", ".join(f"{task} {value:.2f}" for task, value in report["kendall_target_included"].items())
    print(f"two-way Kendall with the target among the tasks of the sample step: {included}")
    for flag in table["flags"]:
        if flag["kind"] != "gaps":
            print(f"{flag['kind']}: {flag['name']}: {flag['detail']}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and permutations")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "data")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data} is absent: give the folder of the real matrices by --data")
    rounds, permutations = (100, 199) if arguments.quick else (1000, 1999)
    report = {
        "seed": arguments.seed,
        "worlds": {
            name: study(matrix, target, arguments.seed, rounds, permutations)
            for name, (matrix, target) in worlds(arguments.data).items()
        },
        "real_seeds": real_seeds(arguments.data),
    }
    if arguments.json:
        print(json.dumps(report, allow_nan=False))
        return
    for name, one in report["worlds"].items():
        show(name, one)
    print("\n== Variance ratios on real recipes and seeds (2.8B)")
    rows = [[r["task"], shown(r["ratio"], ".3g"), f"[{shown(r['low'], '.2g')}, {shown(r['high'], '.3g')}]",
             shown(r["p_value"], ".2g"), shown(r["signal_to_noise"], ".3g"), shown(r["phi_ratio"], ".2f"),
             shown(r["phi_sigmoid"], ".2f"), f"{r['n_data']}/{r['n_noise']}"]
            for r in report["real_seeds"]]  # fmt: skip
    print(text_table(["task", "ratio", "90% interval", "p", "signal/noise", "R/(1+R)", "sigmoid", "n"], rows))


if __name__ == "__main__":
    main()
