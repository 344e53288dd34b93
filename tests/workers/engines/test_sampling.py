"""Draws follow the model's distribution: against exact likelihoods, and against brute force for top-p."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_model import CHARACTERS, write_tiny_llama
from workers.engines import DrawRequest, EngineGarbage, open_engine
from workers.engines.reference.sampling import sample

PROMPTS = [
    f"{a}+{b}="
    for a, b in [(1, 2), (3, 4), (55, 6), (7, 88), (9, 10), (11, 12), (13, 1), (0, 0), (2, 9), (4, 4)]
]
PLAIN = [character for character in CHARACTERS if character != "\n"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("model"), scale=1.6, seed=5)


def mean_squared_z(counts: np.ndarray, chances: np.ndarray, draws: int) -> float:
    return float(np.mean((counts - draws * chances) ** 2 / (draws * chances * (1 - chances))))


def test_frequencies_of_answers_are_their_exact_probabilities(folder: Path) -> None:
    engine = open_engine("reference", folder)
    draws, cells = 3000, []
    for prompt in PROMPTS:
        wave = engine.draw([DrawRequest(prompt, prompt, 0, draws, 1, (), 2)])[0]
        counts = Counter(wave.texts)
        firsts = engine.score([(prompt, c) for c in PLAIN])
        best = [PLAIN[i] for i in np.argsort([s.nll_answer for s in firsts])[:9]]
        pairs = [(prompt, a + b) for a in best for b in best]
        for (_, answer), score in zip(pairs, engine.score(pairs), strict=True):
            cells.append((counts[answer], np.exp(-score.nll_answer)))
    table = np.array(cells)
    assert len(table) >= 500
    assert 0.85 < mean_squared_z(table[:, 0], table[:, 1], draws) < 1.15


def test_frequencies_of_ended_answers_count_the_terminator(folder: Path) -> None:
    engine = open_engine("reference", folder)
    draws, stop, cells = 4000, ("\n", "="), []
    for prompt in PROMPTS[:6]:
        wave = engine.draw([DrawRequest(prompt, prompt, 0, draws, 2, stop, 2)])[0]
        counts = Counter(text for text, end in zip(wave.texts, wave.finish, strict=True) if end == "stop")
        answers = ["", *(c for c in PLAIN if c != "=")]
        for answer, score in zip(
            answers, engine.score([(prompt, a) for a in answers], stop=stop), strict=True
        ):
            cells.append((counts[answer], np.exp(-score.nll)))
    table = np.array(cells)
    assert len(table) > 300
    assert 0.8 < mean_squared_z(table[:, 0], table[:, 1], draws) < 1.2


def brute_force(logits: np.ndarray, temperature: float, top_p: float) -> np.ndarray:
    chances = np.exp(logits.astype(np.float64) / temperature)
    chances /= chances.sum()
    kept, held = np.zeros_like(chances), 0.0
    for token in sorted(range(len(chances)), key=lambda t: -chances[t]):
        kept[token] = chances[token]
        held += chances[token]
        if held >= top_p:
            break
    return kept / kept.sum()


@pytest.mark.parametrize(
    ("temperature", "top_p"), [(1.0, 1.0), (0.7, 1.0), (1.0, 0.8), (1.5, 0.6), (0.5, 0.95), (1.0, 1e-6)]
)
def test_temperature_and_top_p_agree_with_brute_force(temperature: float, top_p: float) -> None:
    rng = np.random.default_rng(3)
    logits = rng.standard_normal(50).astype(np.float32) * 2
    blocks, rows = 40, 64
    # evenly spread, so frequencies are exact to 1 / n
    uniform = (np.arange(blocks * rows) + 0.5) / (blocks * rows)
    wide = np.broadcast_to(logits[:, None], (blocks, 50, rows)).copy()
    tokens = sample(wide, rng.permutation(uniform).reshape(blocks, rows), temperature, top_p)
    frequencies = np.bincount(tokens.ravel(), minlength=50) / tokens.size
    expected = brute_force(logits, temperature, top_p)
    assert np.abs(frequencies - expected).max() <= 1.01 / tokens.size + 1e-12
    assert not frequencies[expected == 0].any()


def test_the_largest_uniform_number_draws_a_token_that_can_be() -> None:
    logits = np.full((1, 8, 64), -np.inf, np.float32)
    logits[:, 2:5] = 0.0
    for u in (0.0, 1 - 2.0**-53):
        tokens = sample(logits, np.full((1, 64), u), 1.0, 1.0)
        assert set(tokens.ravel()) == {2 if u == 0 else 4}


def test_temperature_zero_draws_the_likeliest_token(folder: Path) -> None:
    engine = open_engine("reference", folder)
    wave = engine.draw([DrawRequest("i", "1+1=", 0, 70, 0, (), 5, temperature=0.0)])[0]
    assert len(set(wave.texts)) == 1
    scores = engine.score([("1+1=", c) for c in PLAIN])
    assert wave.texts[0][0] == PLAIN[int(np.argmin([s.nll_answer for s in scores]))]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_garbage(value: float) -> None:
    logits = np.zeros((1, 8, 64), np.float32)
    logits[0, 3, 9] = value
    with pytest.raises(EngineGarbage, match="not finite"):
        sample(logits, np.zeros((1, 64)), 1.0, 1.0)
