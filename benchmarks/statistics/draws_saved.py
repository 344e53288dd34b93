"""Draws that the rules save for a mean over problems of known pass probabilities: a part of `replay_pythia.py`."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from passuntil import DatasetPrecision
from passuntil.counts import estimates
from passuntil.rules import Rounds
from passuntil.rules.planning import expected_draws

#: Draws of a problem in the record.
CAP = 10_000
RELATIVE = (0.1, 0.03, 0.01)
#: Draws that the mean over the problems is worth beside a problem's own at the smaller model: (count, count).
BELIEF = (50.0, 0.5)

Floats = NDArray[np.float64]


def stop_at_r(
    p: Floats, r: int, cap: int, repeats: int, generator: np.random.Generator
) -> tuple[float, float]:
    """(draws, standard error of the mean) of stopping at the r-th pass, by simulation of K."""
    with np.errstate(divide="ignore"):
        gaps = generator.negative_binomial(r, np.where(p > 0, p, 1.0), (repeats, p.size)) + r
    stopped = np.where((p > 0) & (gaps <= cap), gaps, 0)
    # At the cap fewer than r passes came: binomial, given that.
    passes = np.full(stopped.shape, r)
    short = stopped == 0
    at_cap = generator.binomial(cap, np.broadcast_to(p, stopped.shape)[short])
    for _ in range(200):
        again = at_cap >= r
        if not again.any():
            break
        at_cap[again] = generator.binomial(cap, np.broadcast_to(p, stopped.shape)[short][again])
    passes[short] = np.minimum(at_cap, r - 1)
    draws = np.where(stopped > 0, stopped, cap)
    values = estimates.unbiased(draws, passes, stopped, r, 0, cap)
    error = values.mean(axis=1) - p.mean()
    return float(draws.sum(axis=1).mean()), math.sqrt(float((error**2).mean()))


def with_precision(
    p: Floats,
    relative: float,
    repeats: int,
    generator: np.random.Generator,
    likes: list[tuple[tuple[int, int], ...]] | None = None,
) -> tuple[dict[str, Any], list[tuple[tuple[int, int], ...]]]:
    """Draws, root mean square error, reported standard error and coverage of `DatasetPrecision`.

    likes: the counts of the next smaller model in each repetition; returned are those of this one.
    """
    draws, errors, reported, held, wide = [], [], [], 0, 0
    totals = []
    for k in range(repeats):
        rule = DatasetPrecision(relative, relative=True, pilot=32, cap=10**6, like=likes[k] if likes else ())
        counts, round_draws, round_passes = Rounds.none(p.size), [], []
        while not (answer := rule.allocate(counts, wave=10**9)).done:
            round_draws.append(answer.draws)
            round_passes.append(generator.binomial(answer.draws, p))
            counts = Rounds(np.array(round_draws), np.array(round_passes))
        estimate = rule.estimate(counts)
        draws.append(estimate.draws)
        errors.append(estimate.mean - p.mean())
        reported.append(estimate.se_draws)
        held += estimate.low <= p.mean() <= estimate.high
        wide += p.mean() in estimate.sequence
        totals.append(tuple(zip(*(column.tolist() for column in counts.totals), strict=True)))
    summary = {
        "relative_target": relative,
        "draws": float(np.mean(draws)),
        "rmse": math.sqrt(float(np.mean(np.square(errors)))),
        "se": math.sqrt(float(np.mean(np.square(reported)))),
        "bias": float(np.mean(errors)) / float(p.mean()),
        "coverage": held / repeats,
        "coverage_sequence": wide / repeats,
    }
    return summary, totals


def for_the_mean(
    p: Floats, repeats: int, generator: np.random.Generator, smaller: dict[float, Any]
) -> dict[str, Any]:
    """Draws of the rules at equal standard error of the mean; `smaller` goes from model to model."""
    m, v = p.size, p * (1 - p)
    oracle = m * float(v.sum()) / float(np.sqrt(v).sum()) ** 2
    r2_draws, r2_se = stop_at_r(p, 2, 10**5, 20 * repeats, generator)
    rows = []
    of_record = math.sqrt(float(v.sum()) / CAP) / m / float(p.mean())
    runs = [("pilot", relative) for relative in (*RELATIVE, of_record)]
    runs += [("like", relative) for relative in RELATIVE]
    for name, relative in runs:
        likes = smaller.get(relative) if name == "like" else None
        row, totals = with_precision(p, relative, repeats, generator, likes)
        row["planned_from"] = name
        if name == "like":
            smaller[relative] = totals
        fixed = float(v.sum()) / m / row["se"] ** 2
        # r = 2 is a single point; at another error it would be run (its error / that error)^2 times.
        row |= {
            "fixed_draws": fixed,
            "saved_against_fixed": fixed / row["draws"],
            "saved_against_r2": r2_draws * (r2_se / row["se"]) ** 2 / row["draws"],
        }
        rows.append(row)
    fixed_r2 = float(v.sum()) / m / r2_se**2
    others = []
    for r, floor in ((10, 1024), (5, 0), (10, 0)):
        cap = 10**4
        if floor:
            draws = float(expected_draws(p, r=r, floor=floor, cap=cap).sum())
            # Beyond a floor that frequent passers fill, the floor's error is all there is to speak of.
            error = (
                math.sqrt(float((v / np.maximum(expected_draws(p, r=r, floor=floor, cap=cap), 1)).sum())) / m
            )
        else:
            draws, error = stop_at_r(p, r, cap, 20 * repeats, generator)
        fixed = float(v.sum()) / m / error**2
        others.append(
            {
                "rule": f"r={r} floor={floor} cap={cap}",
                "draws": draws,
                "se": error,
                "saved_against_fixed": fixed / draws,
                "saved_against_r2": r2_draws * (r2_se / error) ** 2 / draws,
            }
        )
    return {
        "mean": float(p.mean()),
        "oracle_saving_against_fixed": oracle,
        "r2": {"draws": r2_draws, "se": r2_se, "fixed_n_saves_against_it": r2_draws / fixed_r2},
        "dataset_precision": rows,
        "until_passes": others,
    }


def like_the_smaller_one(p: Floats, smaller: Floats) -> float:
    """Saving against fixed n where the smaller model's pass rates alone decide the allocation."""
    own, mean = BELIEF
    believed = (own * smaller + mean * p.mean()) / (own + mean)
    share, v = np.sqrt(believed * (1 - believed)), p * (1 - p)
    return float(p.size * v.sum() / ((v / share).sum() * share.sum()))


def for_the_series(means: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Draws of all models together, each with the same relative standard error."""
    totals = []
    for name, relative in ((name, relative) for name in ("pilot", "like") for relative in RELATIVE):
        rows = [
            row
            for mean in means.values()
            for row in mean["dataset_precision"]
            if (row["planned_from"], row["relative_target"]) == (name, relative)
        ]
        draws, fixed = (sum(row[key] for row in rows) for key in ("draws", "fixed_draws"))
        r2 = sum(row["saved_against_r2"] * row["draws"] for row in rows)
        totals.append(
            {
                "planned_from": name,
                "relative_target": relative,
                "draws": draws,
                "saved_against_fixed": fixed / draws,
                "saved_against_r2": r2 / draws,
            }
        )
    return totals
