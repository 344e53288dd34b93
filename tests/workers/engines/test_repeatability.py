"""A draw is the same bit for bit whatever is drawn beside it, on the machine that runs these tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tiny_model import write_tiny_llama
from workers.engines import DrawRequest, Wave, open_engine
from workers.engines.reference import ReferenceEngine
from workers.engines.reference.blas import one_blas_thread
from workers.engines.reference.decoder import Decoder
from workers.engines.reference.network import prefill
from workers.engines.reference.products import BLOCK

LADDER = Path(__file__).resolve().parents[3] / "examples" / "ladder" / "models" / "ladder-425k"
SHAPES = {
    "64": {"d": 64},
    "96, grouped keys": {"d": 96, "heads": 6, "kv_heads": 2},
    "128": {"d": 128, "heads": 4},
    "160": {"d": 160, "heads": 5},
    "192": {"d": 192, "heads": 6},
    "224": {"d": 224, "heads": 7},
    "qwen3, odd sizes": {"d": 72, "heads": 3, "kind": "qwen3", "head_dim": 20, "inner": 101, "vocab": 67},
}


@pytest.fixture(scope="module", params=SHAPES.values(), ids=SHAPES.keys())
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ReferenceEngine:
    return ReferenceEngine(write_tiny_llama(tmp_path_factory.mktemp("model"), scale=1.5, **request.param))


def request(first: int, draws: int, **changes: object) -> DrawRequest:
    values = {"seed": 3, "stop": ("\n",), "max_tokens": 20, **changes}
    return DrawRequest("i", "12+34=", first, draws, **values)  # type: ignore[arg-type]


def pieces(engine: ReferenceEngine, size: int, total: int, *, backwards: bool = False) -> list[str]:
    starts = list(range(0, total, size))
    waves: dict[int, Wave] = {}
    for start in reversed(starts) if backwards else starts:
        waves[start] = engine.draw([request(start, min(size, total - start))])[0]
    return [text for start in starts for text in waves[start].texts]


def test_draws_do_not_depend_on_how_they_are_cut(engine: ReferenceEngine) -> None:
    whole = engine.draw([request(0, 257)])[0]
    assert len(set(whole.texts)) > 100
    assert len(set(whole.tokens.tolist())) > 5  # draws ended at different times, so places were moved
    assert pieces(engine, 64, 257) == whole.texts
    assert pieces(engine, 7, 140, backwards=True) == whole.texts[:140]
    assert pieces(engine, 1, 24) == whole.texts[:24]
    assert engine.draw([request(100, 100)])[0].texts == whole.texts[100:200]


@pytest.mark.parametrize("prompt", ["12+34=", "7", "the quick brown fox, " * 9], ids=len)
def test_logits_are_equal_to_the_last_bit_at_every_place(engine: ReferenceEngine, prompt: str) -> None:
    check_places(engine, prompt)


def test_trained_weights_give_the_same_bits_at_every_place() -> None:
    check_places(ReferenceEngine(LADDER))


def check_places(engine: ReferenceEngine, prompt: str = "12+34=") -> None:
    weights = engine.weights
    prefix = prefill(weights, np.array([engine.codec.encode_prompt(prompt)]))
    rng = np.random.default_rng(0)
    steps = rng.integers(4, 50, size=(6, 3 * BLOCK))
    with one_blas_thread():
        wide = Decoder(weights, prefix, 3 * BLOCK, 8)
        expected = []
        for tokens in steps:
            logits = wide.logits(tokens.reshape(3, BLOCK))
            expected.append(logits.transpose(0, 2, 1).reshape(3 * BLOCK, -1).copy())
        # other places, other neighbours, dead places at the end
        order = rng.permutation(3 * BLOCK)[: BLOCK + 5]
        narrow = Decoder(weights, prefix, len(order), 8)
        for tokens, want in zip(steps, expected, strict=True):
            placed = np.zeros(2 * BLOCK, np.int64)
            placed[: len(order)] = tokens[order]
            logits = narrow.logits(placed.reshape(2, BLOCK)).transpose(0, 2, 1).reshape(2 * BLOCK, -1)
            assert np.array_equal(logits[: len(order)], want[order])


def test_draws_moved_to_other_places_go_on_with_the_same_bits(engine: ReferenceEngine) -> None:
    weights = engine.weights
    prefix = prefill(weights, np.array([engine.codec.encode_prompt("12+34=")]))
    rng = np.random.default_rng(1)
    steps = rng.integers(4, 50, size=(24, 4 * BLOCK))  # 24 steps: the cache grows on the way
    with one_blas_thread():
        still, moving = Decoder(weights, prefix, 4 * BLOCK, 24), Decoder(weights, prefix, 4 * BLOCK, 24)
        for tokens in steps:
            want = still.logits(tokens.reshape(4, BLOCK)).transpose(0, 2, 1).reshape(4 * BLOCK, -1)
            alive = moving.rows >= 0
            logits = moving.logits(np.where(alive, tokens[moving.rows], 0)).transpose(0, 2, 1)
            assert np.array_equal(logits[alive], want[moving.rows[alive]])
            done = alive & (rng.random(alive.shape) < 0.1)
            moved = moving.drop(done, tokens[moving.rows])
            assert np.array_equal(moved[moving.rows >= 0], tokens[moving.rows[moving.rows >= 0]])
        assert moving.blocks < 4


def test_the_number_of_blas_threads_changes_nothing(engine: ReferenceEngine) -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    texts = []
    for threads in (1, 2):
        with threadpoolctl.threadpool_limits(threads):
            texts.append(engine.draw([request(0, 70)])[0].texts)
    assert texts[0] == texts[1]


def test_likelihoods_do_not_depend_on_the_pairs_beside_them(engine: ReferenceEngine) -> None:
    pairs = [("12+34=", answer) for answer in ("46", "4", "47", "", "123", "99")]
    pairs += [("7", ""), ("8", ""), ("9", "")]  # a single token
    together = engine.score(pairs, stop=("\n",))
    assert together == [engine.score([pair], stop=("\n",))[0] for pair in pairs]
    assert together == engine.score(pairs[::-1], stop=("\n",))[::-1]


def test_seed_instance_and_draw_number_each_change_the_draws(tmp_path: Path) -> None:
    engine = open_engine("reference", write_tiny_llama(tmp_path))
    one = engine.draw([request(0, 20)])[0].texts
    assert engine.draw([request(0, 20)])[0].texts == one
    assert engine.draw([request(0, 20, seed=4)])[0].texts != one
    assert engine.draw([request(20, 20)])[0].texts != one
    other = engine.draw([DrawRequest("j", "12+34=", 0, 20, 3, ("\n",), 20)])[0].texts
    assert other != one
