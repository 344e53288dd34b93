"""What the reference engine draws, where it stops, and what it refuses in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny_model import write_tiny_llama
from workers.engines import DrawRequest, EngineGarbage, EngineRefusal, check_wave, open_engine
from workers.engines.reference.blas import blas_name
from workers.engines.reference.products import strip_width
from workers.engines.text import first_stop


def request(**changes: Any) -> DrawRequest:
    values = {
        "instance": "i",
        "prompt": "12+34=",
        "first_draw": 0,
        "draws": 200,
        "seed": 0,
        "stop": (),
        "max_tokens": 30,
    }
    return DrawRequest(**{**values, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("model"))


def test_a_text_ends_before_the_first_stop_string(folder: Path) -> None:
    engine = open_engine("reference", folder)
    free = engine.draw([request()])[0]
    for stop in (("\n",), ("a", "9"), ("a1", "b"), ("zz",)):
        wave = engine.draw([request(stop=stop)])[0]
        check_wave(request(stop=stop), wave)
        for text, whole, tokens, finish in zip(wave.texts, free.texts, wave.tokens, wave.finish, strict=True):
            place = first_stop(whole, stop)
            assert text == (whole if place < 0 else whole[:place])
            if place >= 0:
                assert finish == "stop"
                assert 1 <= tokens <= 30


def test_an_end_of_sequence_token_ends_a_text_and_is_not_part_of_it(folder: Path) -> None:
    wave = open_engine("reference", folder).draw([request()])[0]
    ended = [text for text, finish in zip(wave.texts, wave.finish, strict=True) if finish == "stop"]
    assert 5 < len(ended) < 200
    assert not any("<eos>" in text for text in wave.texts)
    assert all(t == 30 for t, finish in zip(wave.tokens, wave.finish, strict=True) if finish == "length")


def test_several_end_tokens_of_the_generation_config_are_heeded(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path)
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 2]}))
    wave = open_engine("reference", tmp_path).draw([request()])[0]
    assert not any("<pad>" in text or "<eos>" in text for text in wave.texts)


def test_waves_come_in_the_order_of_the_requests(folder: Path) -> None:
    engine = open_engine("reference", folder)
    requests = [
        request(instance=name, prompt=p, first_draw=f, draws=9)
        for name, p, f in [("b", "1=", 4), ("a", "22=", 0)]
    ]
    waves = engine.draw(requests)
    assert [(w.instance, w.first_draw, len(w.texts)) for w in waves] == [("b", 4, 9), ("a", 0, 9)]
    assert waves[1].texts == engine.draw(requests[1:])[0].texts


def test_rows_side_by_side_change_no_draw(folder: Path) -> None:
    texts = [
        open_engine("reference", folder, rows=rows).draw([request()])[0].texts for rows in (64, 130, 1000)
    ]
    assert texts[0] == texts[1] == texts[2]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_weights_are_read(tmp_path: Path, dtype: str) -> None:
    engine = open_engine("reference", write_tiny_llama(tmp_path, dtype=dtype))
    assert np.isfinite(engine.score([("1=", "2")])[0].nll)


def test_a_stop_string_of_several_tokens_adds_its_probability_to_the_terminator(folder: Path) -> None:
    engine = open_engine("reference", folder)
    [alone], [both] = engine.score([("1=", "2")]), engine.score([("1=", "2")], stop=("ab",))
    [spelled] = engine.score([("1=2", "ab")])
    expected = -np.logaddexp(-alone.nll_terminator, -spelled.nll_answer)
    assert both.nll_terminator == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": ""}, "the prompt is empty"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"draws": 0}, "0 draws"),
        ({"max_tokens": 251}, "6 prompt tokens and 251 new ones exceed the context of 256"),
        ({"prompt": "é="}, "has 'é' at character 0, which the tokenizer does not know"),
        ({"stop": ("",)}, "empty stop string"),
    ],
)
def test_impossible_requests_are_refused_in_one_line(folder: Path, changes: dict, message: str) -> None:
    with pytest.raises(EngineRefusal, match=message) as caught:
        open_engine("reference", folder).draw([request(**changes)])
    assert "\n" not in str(caught.value)


def test_impossible_pairs_are_refused(folder: Path) -> None:
    engine = open_engine("reference", folder)
    with pytest.raises(EngineRefusal, match=r"^the answer 'a\\nb' holds a stop string") as refused:
        engine.score([("1", "2"), ("1", "a\nb")], stop=("\n",))
    assert refused.value.pair == 1
    with pytest.raises(EngineRefusal, match=r"^the answer has 'é'") as refused:
        engine.score([("1", "é")])
    assert refused.value.pair == 0
    with pytest.raises(EngineRefusal, match="exceed the context of 256"):
        engine.score([("1" * 255, "22")])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "rope scaling"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1.0}}, "rope scaling"),
        ({"quantization_config": {"bits": 4}}, "quantised"),
        ({"architectures": ["GPT2LMHeadModel"]}, "not GPT2LMHeadModel"),
        ({"hidden_act": "relu"}, "hidden_act 'relu'"),
        ({"layer_types": ["sliding_attention", "full_attention"]}, "layer_types"),
        (
            {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": 32},
            "sliding window of 32",
        ),
        ({"eos_token_id": 99}, "eos_token_id 99"),
        ({"num_hidden_layers": 3}, "model.layers.2.input_layernorm.weight"),
    ],
)
def test_checkpoints_that_would_run_wrongly_are_refused(tmp_path: Path, config: dict, message: str) -> None:
    with pytest.raises(EngineRefusal, match=message) as caught:
        open_engine("reference", write_tiny_llama(tmp_path, config=config))
    assert "\n" not in str(caught.value)


def test_a_missing_tokenizer_an_unknown_kind_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(EngineRefusal, match=r"no tokenizer\.json"):
        open_engine("reference", tmp_path)
    with pytest.raises(EngineRefusal, match=r"unknown engine 'referense'; known: .*reference"):
        open_engine("referense", tmp_path)
    with pytest.raises(EngineRefusal, match="no such folder"):
        open_engine("reference", tmp_path / "gone")


def test_weights_that_are_not_finite_give_garbage_not_failures(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path)
    engine: Any = open_engine("reference", tmp_path)
    engine.weights.layers[0].down[0, 0] = np.nan
    with pytest.raises(EngineGarbage, match="not finite"):
        engine.draw([request()])
    with pytest.raises(EngineGarbage, match="not finite"):
        engine.score([("1", "2")])


def test_the_fingerprint_names_engine_kernel_weights_and_dtype(folder: Path) -> None:
    engine: Any = open_engine("reference", folder)
    fingerprint = engine.fingerprint
    width = min(strip_width(*shape) for shape in engine.weights.shapes())
    assert f", {blas_name()} by {width}, " in fingerprint
    assert len(fingerprint) <= 200  # what a batch keeps of it
    assert fingerprint.startswith("reference 2, numpy ")
    assert "sha256:" in fingerprint
    assert fingerprint.endswith("float32")
