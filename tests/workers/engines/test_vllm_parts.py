"""What the vLLM engine decides without vLLM: seeds, stop tokens, and whether a checkpoint fits the device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from firstlight.registry.model_folder import read_model_folder

from tests.tiny_model import write_tiny_llama
from tests.workers.engines.contract import MERGES, request
from workers.engines import EngineRefusal
from workers.engines.text import TextCodec, eos_ids
from workers.engines.vllm.memory import GIB, plan_memory
from workers.engines.vllm.stops import read_stops
from workers.engines.vllm.stream import draw_seeds


def test_a_draw_keeps_its_seed_however_draws_are_cut() -> None:
    whole = draw_seeds(request(draws=100))
    parts = [draw_seeds(request(draws=37)), draw_seeds(request(first_draw=37, draws=63))]
    assert list(whole) == [seed for part in parts for seed in part]


def test_no_two_draws_share_a_seed_and_all_fit_63_bits() -> None:
    requests = [
        request(seed=seed, instance=instance, draws=50)
        for seed in (0, 1, -1, 2**70)
        for instance in ("", "a", "1", "ä", "\ud800")
    ]
    seeds = [seed for each in requests for seed in draw_seeds(each)]
    assert len(set(seeds)) == len(seeds)
    # a generator on a CPU takes the low half only
    low = np.array(list(draw_seeds(request(draws=10_000)))) & 0xFFFFFFFF
    assert len(np.unique(low)) == 10_000
    assert 0 <= min(seeds)
    assert max(draw_seeds(request(first_draw=10**12, draws=1))) < 2**63


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> TextCodec:
    folder = read_model_folder(write_tiny_llama(tmp_path_factory.mktemp("model"), vocab=72, merges=MERGES))
    return TextCodec(folder.path / "tokenizer.json", folder.vocab_size, eos_ids(folder))


def token(codec: TextCodec, text: str) -> int:
    (found,) = codec.encode_prompt(text)
    return found


def test_a_single_character_is_found_by_tokens_alone(codec: TextCodec) -> None:
    ends = read_stops(codec, ("=",))
    assert ends.watch is None
    assert ends.ids == codec.eos | {token(codec, text) for text in ("=", "2=", "=\n")}


def test_a_longer_stop_string_is_watched_for_where_tokens_may_spell_it(codec: TextCodec) -> None:
    ends = read_stops(codec, ("12", "b"))
    assert token(codec, "12") in ends.ids
    assert {token(codec, text) for text in ("b", "ab", "b1")} <= ends.ids
    assert ends.watch is not None
    assert ends.watch[token(codec, "2")]  # may follow a 1
    assert ends.watch[token(codec, "2=")]
    assert not ends.watch[token(codec, "12")]  # has ended it already
    assert not ends.watch[token(codec, "1")]


def test_without_stop_strings_only_the_end_of_sequence_ends(codec: TextCodec) -> None:
    ends = read_stops(codec, ())
    assert (ends.ids, ends.watch) == (codec.eos, None)


def test_what_does_not_fit_the_device_is_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    folder = read_model_folder(write_tiny_llama(tmp_path, d=256, layers=4, heads=4, context=4096))
    options = {"context": 4096, "total": 80 * GIB, "free": 79 * GIB, "share": 0.9}
    plan = plan_memory(folder, "float32", **options)  # type: ignore[arg-type]
    assert plan.weights == 4 * folder.n_params_total
    assert plan.kv_token == 2 * 4 * 256 * 4
    assert plan_memory(folder, "bfloat16", **options).weights == plan.weights // 2  # type: ignore[arg-type]
    need = plan.weights + plan.kv_token * 4096
    with pytest.raises(EngineRefusal, match="a context of 4096 tokens"):
        plan_memory(folder, "float32", context=4096, total=need, free=need, share=0.99)
    assert plan_memory(folder, "float32", context=4096, total=need, free=need, share=1.0).budget == need
    with pytest.raises(EngineRefusal, match=r"only 10\.00 GiB are free"):
        plan_memory(folder, "float32", context=4096, total=80 * GIB, free=10 * GIB, share=0.2)
