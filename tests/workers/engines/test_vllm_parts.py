"""What the vLLM engine decides without vLLM: seeds, stop tokens, and whether a checkpoint fits the device."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from firstlight.files.model_folder import ModelFolder, read_model_folder
from tests.tiny_model import write_tiny_llama
from tests.workers.engines.contract import MERGES, request
from workers.engines import EngineOutOfMemory, EngineRefusal, open_engine
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
    assert min(seeds) >= 0
    assert max(draw_seeds(request(first_draw=10**12, draws=1))) < 2**63


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> TextCodec:
    folder = read_model_folder(write_tiny_llama(tmp_path_factory.mktemp("model"), vocab=72, merges=MERGES))
    return TextCodec(folder.path / "tokenizer.json", folder.vocab_size, eos_ids(folder))


def token(codec: TextCodec, text: str) -> int:
    (token_id,) = codec.encode_prompt(text)
    return token_id


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    path = tmp_path_factory.mktemp("model")
    return read_model_folder(write_tiny_llama(path, d=256, layers=4, heads=4, kv_heads=2, context=4096))


def test_the_plan_counts_weights_and_cache_in_the_dtype_that_is_run(folder: ModelFolder) -> None:
    wide, narrow = plan_memory(folder, "float32", 4096), plan_memory(folder, "bfloat16", 4096)
    assert wide.weights == 4 * folder.n_params_total == 2 * narrow.weights
    assert wide.kv_token == 2 * 4 * 2 * 64 * 4 == 2 * narrow.kv_token
    assert wide.least == wide.weights + 4096 * wide.kv_token


def test_what_does_not_fit_a_gpu_is_refused_before_anything_is_allocated(folder: ModelFolder) -> None:
    plan = plan_memory(folder, "float32", 4096)
    plan.check_share(0.9, total=80 * GIB, free=79 * GIB)
    plan.check_share(1.0, total=plan.least, free=plan.least)
    with pytest.raises(EngineRefusal, match=r"a context of 4096 tokens need .* raise the share"):
        plan.check_share(0.99, total=plan.least, free=plan.least)
    with pytest.raises(EngineOutOfMemory, match=r"is 16\.00 GiB, but only 10\.00 GiB are free"):
        plan.check_share(0.2, total=80 * GIB, free=10 * GIB)


def test_a_cpu_gives_a_cache_that_its_sequences_can_use(folder: ModelFolder) -> None:
    plan = plan_memory(folder, "float32", 64)
    assert plan.cache_bytes(8, free=GIB) == 8 * 64 * plan.kv_token
    assert plan.cache_bytes(10**6, free=4 * GIB) == GIB
    with pytest.raises(EngineOutOfMemory, match=r"GiB are free; shorten the context"):
        plan.cache_bytes(8, free=plan.weights)


def test_engines_that_share_a_gpu_count_their_cache_and_stay_within_their_share(folder: ModelFolder) -> None:
    plan = plan_memory(folder, "bfloat16", 4096)
    options = {"total": 80 * GIB, "sequences": 2048, "batched_tokens": 16384}
    cache = plan.cache_beside_others(0.22, **options)
    assert 0.5 * 0.22 * 80 * GIB < cache < 0.22 * 80 * GIB - plan.weights
    assert plan.cache_beside_others(0.11, **options) == pytest.approx(cache - 0.11 * 80 * GIB, abs=2)
    few = plan.cache_beside_others(0.22, total=80 * GIB, sequences=4, batched_tokens=16384)
    assert few == 4 * 4096 * plan.kv_token  # no more than its sequences can use
    with pytest.raises(EngineRefusal, match="to work in"):
        plan.cache_beside_others(0.02, **options)


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed")
def test_where_vllm_is_not_installed_its_engine_is_refused_in_one_line(folder: ModelFolder) -> None:
    with pytest.raises(EngineRefusal, match="vLLM is not installed here"):
        open_engine("vllm", folder.path)
