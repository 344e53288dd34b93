"""The vLLM engine keeps the engines' contract, and what is its own (`make test-vllm`)."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("vllm")

from tests.tiny_model import write_tiny_llama
from tests.workers.engines.contract import PROMPTS, EngineContract, drain, draw, request
from workers.engines import Engine, EngineError, EngineOutOfMemory, EngineRefusal, open_engine


def scheduler(engine: Any) -> Any:
    """vLLM's own scheduler: what it still holds."""
    return engine._core._client.engine_core.scheduler


class TestVllmEngine(EngineContract):
    def open(self, folder: Path) -> Engine:
        return open_engine("vllm", folder, dtype="float32")

    def test_a_short_request_does_not_wait_for_a_long_one(self, engine: Engine) -> None:
        stream = engine.stream()
        stream.submit("long", request(instance="long", draws=50, max_tokens=200))
        stream.submit("short", request(instance="short", draws=50, max_tokens=2))
        assert [key for key, _ in stream.collect()] == ["short"]
        assert list(drain(stream)) == ["long"]

    def test_scores_and_other_streams_run_beside_a_stream(self, engine: Engine) -> None:
        alone = draw(engine, request(draws=60))[0]
        pairs = [(prompt, "7") for prompt in PROMPTS]
        exact = engine.score(pairs, ("\n",))
        first, second = engine.stream(), engine.stream()
        first.submit(0, request(draws=60))
        second.submit(0, request(draws=60, instance="other"))
        beside = engine.score(pairs, ("\n",))
        assert [s.nll for s in beside] == pytest.approx([s.nll for s in exact], abs=1e-5)
        assert len(drain(second)[0].texts) == 60
        # the same seeds, whatever runs beside them; only a draw on a knife's edge may turn out otherwise
        same = sum(a == b for a, b in zip(drain(first)[0].texts, alone.texts, strict=True))
        assert same >= 58

    def test_draws_keep_their_seeds_however_they_are_cut(self, engine: Engine) -> None:
        whole = draw(engine, request(draws=120))[0].texts
        cut = draw(engine, request(draws=7), *(request(first_draw=k, draws=1) for k in range(7, 12)))
        cut += draw(engine, request(first_draw=12, draws=108))
        again = [text for wave in cut for text in wave.texts]
        assert sum(a == b for a, b in zip(whole, again, strict=True)) >= 117

    def test_aborted_sequences_leave_vllm_at_once(self, engine: Engine) -> None:
        stream = engine.stream()
        for key in range(8):
            stream.submit(key, request(instance=str(key), draws=100, max_tokens=1 if key == 0 else 200))
        assert [key for key, _ in stream.collect()] == [0]
        assert scheduler(engine).get_num_unfinished_requests() > 500
        tokens = stream.abort(range(8))
        assert tokens >= 100  # what ran has cost something
        assert scheduler(engine).get_num_unfinished_requests() == 0
        began = time.perf_counter()
        stream.submit("next", request(draws=20, max_tokens=4))
        assert list(drain(stream)) == ["next"]
        assert time.perf_counter() - began < 2

    def test_seconds_are_shared_out_and_not_counted_twice(self, engine: Engine) -> None:
        began = time.perf_counter()
        waves = draw(engine, *(request(instance=str(k), draws=40) for k in range(6)))
        took = time.perf_counter() - began
        assert 0.3 * took < sum(wave.seconds for wave in waves) <= took

    def test_aborting_what_is_settled_does_not_bias_what_is_kept(self, engine: Engine) -> None:
        """As the scheduler works: whole waves are kept or dropped, never the draws that came first."""
        stream, kept = engine.stream(), Counter[str]()
        chances = [np.exp(-s.nll) for s in engine.score([("55+6=", c) for c in "0123456789"], ("\n",))]
        for key in range(24):
            stream.submit(
                key, request(prompt="55+6=", instance=str(key), draws=200, stop=("\n",), max_tokens=4)
            )
        stream.abort(range(1, 24, 3))
        waves = drain(stream)
        for wave in waves.values():
            kept.update(t for t, end in zip(wave.texts, wave.finish, strict=True) if end == "stop")
        draws = 200 * len(waves)
        counts = np.array([kept[c] for c in "0123456789"])
        z = (counts - draws * np.array(chances)) / np.sqrt(draws * np.array(chances))
        assert len(waves) == 16
        assert np.abs(z).max() < 4

    def test_out_of_memory_is_told_apart_and_the_engine_goes_on(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import torch

        def fail() -> Any:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore lines")

        stream = engine.stream()
        stream.submit(0, request(draws=30, max_tokens=100))
        with monkeypatch.context() as patch:
            patch.setattr(engine._core._client, "get_output", fail)  # type: ignore[attr-defined]
            with pytest.raises(EngineOutOfMemory, match=r"2\.00 GiB"):
                stream.collect()
        assert stream.collect() == []
        assert scheduler(engine).get_num_unfinished_requests() == 0
        assert len(draw(engine, request(draws=30))[0].texts) == 30

    def test_temperatures_that_vllm_would_change_are_refused(self, engine: Engine) -> None:
        with pytest.raises(EngineRefusal, match=r"temperature is 0\.001"):
            engine.draw([request(temperature=0.001)])

    def test_a_second_engine_in_the_process_is_refused_until_the_first_is_closed(
        self, engine: Engine, models: dict[str, Path]
    ) -> None:
        with pytest.raises(EngineError, match="close it"):
            self.open(models["merged"])
        assert len(draw(engine, request(draws=3))[0].texts) == 3

    @pytest.mark.parametrize(
        ("sizes", "options", "message"),
        [
            ({"heads": 4}, {}, "head_dim is 16"),
            ({}, {"dtype": "int8"}, "dtype is 'int8'"),
            ({}, {"share": 0.0}, "share is 0"),
            ({"config": {"eos_token_id": 999}}, {}, "eos_token_id 999"),
            ({"d": 80, "heads": 3, "head_dim": 32}, {}, r"hidden size \(80\) is not a multiple"),
        ],
    )
    def test_what_cannot_be_opened_is_refused_in_one_line(
        self, tmp_path: Path, sizes: dict[str, Any], options: dict[str, Any], message: str
    ) -> None:
        folder = write_tiny_llama(tmp_path / "model", **sizes)
        type(self)._close()
        with pytest.raises(EngineRefusal, match=message) as caught:
            open_engine("vllm", folder, **options)
        assert "\n" not in str(caught.value)
