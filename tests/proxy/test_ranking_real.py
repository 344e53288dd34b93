"""Real configurations: the benchmark's problems, and the claims of docs/proxy-ranking.md that a short run can check."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from proxy.ranking.truth import decision_accuracies
from proxy.weights import PaperSelector, recommend

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks" / "proxy"


@pytest.fixture(scope="module")
def rankings() -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location("real_rankings", BENCHMARKS / "real_rankings.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["real_rankings"] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


def test_on_the_ladder_s_mixtures_the_target_s_own_signal_beats_every_proxy(rankings: ModuleType) -> None:
    problems = list(rankings.DEVELOPED_ON["ladder_mixtures"](0))
    assert (len(problems), problems[0].truth.size) == (15, 12)
    result = rankings.one_set("ladder_mixtures", problems, seed=0)
    figures = {name: row["decision_accuracy"] for name, row in result["methods"].items()}
    assert figures["recommended"] > max(
        figures[name] for name in ("paper", "uniform", "loss", "target_small")
    )
    assert result["permutation_p"] < 0.01


@pytest.mark.parametrize("name", ["olmo_ladder", "overtrain_scaling", "regmix", "gemstones", "datablations"])
def test_the_recommended_selector_is_not_behind_the_paper_s_formula(rankings: ModuleType, name: str) -> None:
    if not rankings.DATA.is_dir():
        pytest.skip("the shared data sets are not beside this checkout (shared/data)")
    ahead = []
    for problem in {**rankings.DEVELOPED_ON, **rankings.HELD_OUT}[name](0):
        if not rankings.usable(problem):
            continue
        own = problem.own
        fit = recommend(
            problem.panel, problem.panel_target, problem.scores, noise=problem.noise, own=own,
            own_noise=problem.own_noise,
        )  # fmt: skip
        paper = PaperSelector(robustness=problem.robustness).fit(problem.panel, problem.panel_target)
        columns = np.column_stack([fit.predict(problem.scores, own), paper.predict(problem.scores)])
        ahead.append(-np.diff(decision_accuracies(columns, problem.truth))[0])
    assert np.mean(ahead) > -0.02
