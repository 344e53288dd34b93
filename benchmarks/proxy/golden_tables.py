"""What of the paper's tables follows from its other tables.

    python benchmarks/proxy/golden_tables.py [--seed 0] [--json] [--quick]

Table 10: discordant pairs of each method with the truth, recounted. Tables 6 and 8: the one weight vector (sizes not
below 0, sum 1) that comes closest to all seven printed proxy scores, by linear programming, and what it predicts for a
row that it was not fitted to. Table 5: sample variances recomputed from table 4; where they disagree with the printed
ones, that is stated. Nothing here is random; the seed is recorded for form.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.proxy import paper_tables as paper
from proxy._text import text_table
from proxy.ranking.truth import compare_with_truth
from proxy.selection import group_ratio

Floats = NDArray[np.float64]


def inversions() -> list[dict[str, Any]]:
    """Table 10, recounted."""
    rows = []
    for name, (values, sign, printed) in paper.METHODS.items():
        comparison = compare_with_truth(sign * np.array(values), np.array(paper.T_EVAL))
        rows.append(
            {
                "method": name,
                "inversions": int(comparison.inversions),
                "printed": printed,
                "kendall_tau": comparison.kendall_tau,
                "p_value": comparison.p_value,
            }
        )
    return rows


def closest_weights(scores: Floats, printed: Floats) -> tuple[Floats, float]:
    """Weights of least largest residual: min e with |scores w - printed| <= e, w >= 0, sum 1."""
    rows, tasks = scores.shape
    edge = -np.ones((rows, 1))
    solution = linprog(
        np.r_[np.zeros(tasks), 1.0],
        A_ub=np.block([[scores, edge], [-scores, edge]]),
        b_ub=np.r_[printed, -printed],
        A_eq=np.r_[np.ones(tasks), 0.0][None, :],
        b_eq=[1.0],
    )
    return np.asarray(solution.x[:-1]), float(solution.x[-1])


def weights() -> dict[str, Any]:
    """Tables 6 and 8 from one weight vector."""
    scores = np.array([row for row, _ in paper.CHECKPOINTS.values()])
    printed = np.array([value for _, value in paper.CHECKPOINTS.values()])
    shares, largest = closest_weights(scores, printed)
    left_out = []
    for row in range(len(printed)):
        rest = np.arange(len(printed)) != row
        fitted, _ = closest_weights(scores[rest], printed[rest])
        left_out.append(float(scores[row] @ fitted - printed[row]))
    return {
        "weights": dict(zip(paper.TASKS, shares.tolist(), strict=True)),
        "largest_residual": largest,
        "rows": {
            name: {"printed": float(p), "recomputed": float(r)}
            for name, p, r in zip(paper.CHECKPOINTS, printed, scores @ shares, strict=True)
        },
        "largest_error_left_out": float(np.abs(left_out).max()),
    }


def variances() -> list[dict[str, Any]]:
    """Table 5 recomputed from table 4."""
    rows = []
    for task in paper.TASKS:
        measured = group_ratio(paper.DATA_GROUP[task], paper.NOISE_GROUP[task])
        noise, data, ratio = paper.PRINTED_VARIANCES[task]
        rows.append(
            {
                "task": task,
                "var_noise": measured.var_noise,
                "var_noise_printed": noise,
                "var_data": measured.var_data,
                "var_data_printed": data,
                "ratio": measured.ratio,
                "ratio_printed": ratio,
                "low": measured.low,
                "high": measured.high,
                "p_value": measured.p_value,
                "signal_to_noise": measured.signal_to_noise,
                "agrees": {
                    "var_noise": abs(measured.var_noise - noise) <= 0.005,
                    "var_data": abs(measured.var_data - data) <= 0.005,
                    "ratio": abs(measured.ratio - ratio) <= 0.005,
                },
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="as without: it takes a second")
    arguments = parser.parse_args()
    report = {
        "seed": arguments.seed,
        "table_10": inversions(),
        "tables_6_8": weights(),
        "table_5": variances(),
    }
    if arguments.json:
        print(json.dumps(report))
        return
    print("Table 10: discordant pairs of 10")
    rows = [[r["method"], str(r["inversions"]), str(r["printed"]), f"{r['kendall_tau']:.1f}", f"{r['p_value']:.3f}"]
            for r in report["table_10"]]  # fmt: skip
    print(text_table(["method", "recounted", "printed", "tau", "exact p"], rows))
    one = report["tables_6_8"]
    print(
        "\nTables 6 and 8: one weight vector,", ", ".join(f"{t} {w:.4f}" for t, w in one["weights"].items())
    )
    rows = [[name, f"{r['printed']:.2f}", f"{r['recomputed']:.4f}"] for name, r in one["rows"].items()]
    print(text_table(["checkpoint", "printed", "recomputed"], rows))
    print(
        f"largest residual {one['largest_residual']:.4f}, for a row left out {one['largest_error_left_out']:.4f}"
    )
    print("\nTable 5 against table 4 (sample variances, ddof 1)")
    rows = [
        [
            r["task"],
            *(f"{r[name]:.3f} / {r[f'{name}_printed']:.2f}" for name in ("var_noise", "var_data", "ratio")),
            f"[{r['low']:.2g}, {r['high']:.3g}]",
            f"{r['p_value']:.3f}",
            ", ".join(name for name, holds in r["agrees"].items() if holds) or "nothing",
        ]
        for r in report["table_5"]
    ]
    print(text_table(["task", "noise", "data", "ratio", "90% interval", "p", "agrees in"], rows))


if __name__ == "__main__":
    main()
