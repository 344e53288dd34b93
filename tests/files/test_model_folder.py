"""Checkpoint folders: parameter counts of each architecture, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firstlight.files.model_folder import ModelFolderError, read_model_folder
from firstlight.files.model_shapes import expected_tensors
from tests.tiny_model import write_safetensors, write_tiny_llama

D, INNER, VOCAB = 64, 170, 64
# two layers: q, k, v and o; gate, up and down; two norms; and the last norm
LLAMA = 2 * (4 * D * D + 3 * D * INNER + 2 * D) + D


@pytest.mark.parametrize(
    ("options", "n_params", "outside"),
    [
        ({}, LLAMA, VOCAB * D),
        ({"tied": False}, LLAMA, 2 * VOCAB * D),
        ({"kv_heads": 1}, LLAMA - 2 * 2 * D * D // 2, VOCAB * D),
        ({"head_dim": 48}, LLAMA + 2 * 4 * D * (96 - 64), VOCAB * D),
        ({"kind": "mistral"}, LLAMA, VOCAB * D),
        ({"kind": "qwen2"}, LLAMA + 2 * 3 * D, VOCAB * D),
        ({"kind": "qwen3"}, LLAMA + 2 * 2 * 32, VOCAB * D),
        ({"dtype": "bfloat16"}, LLAMA, VOCAB * D),
    ],
)
def test_parameters_are_counted(tmp_path: Path, options: dict, n_params: int, outside: int) -> None:
    folder = read_model_folder(write_tiny_llama(tmp_path, **options))
    assert (folder.n_params, folder.n_params_active) == (n_params, n_params)
    assert folder.n_params_total == n_params + outside
    assert folder.counted_from == "config+tensors"
    assert folder.dtype == options.get("dtype", "float32")
    assert (folder.context_length, folder.vocab_size) == (256, VOCAB)


def save(folder: Path, config: dict[str, Any], tensors: dict[str, tuple[int, ...]]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    arrays = {name: np.zeros(shape, np.float32) for name, shape in tensors.items()}
    write_safetensors(folder / "model.safetensors", arrays)
    return folder


BASE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 32,
    "intermediate_size": 24,
    "tie_word_embeddings": False,
}
ATTENTION = 2 * (2 * 16 * 16 + 2 * 16 * 8 + 2 * 16) + 16


def test_a_mixture_of_experts_counts_all_and_active(tmp_path: Path) -> None:
    config = {**BASE, "model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2}
    folder = read_model_folder(save(tmp_path, config, expected_tensors(config, tied=False)))
    outside, expert = ATTENTION + 2 * 4 * 16, 3 * 16 * 24
    assert folder.n_params == outside + 2 * 4 * expert
    assert folder.n_params_active == outside + 2 * 2 * expert
    assert folder.n_params_total == folder.n_params + 2 * 32 * 16
    assert folder.shape()["num_local_experts"] == 4


def test_a_nested_text_config_counts_the_language_model_only(tmp_path: Path) -> None:
    text = {**BASE, "model_type": "llama"}
    tensors = {f"language_model.{name}": shape for name, shape in expected_tensors(text, tied=False).items()}
    tensors["vision_tower.patch.weight"] = (10, 10)
    config = {"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"], "text_config": text}
    folder = read_model_folder(save(tmp_path, config, tensors))
    assert folder.n_params == ATTENTION + 2 * 3 * 16 * 24
    assert folder.n_params_total == folder.n_params + 2 * 32 * 16 + 100
    assert folder.architecture == "LlavaForConditionalGeneration"


def test_an_unknown_architecture_is_counted_from_its_tensors(tmp_path: Path) -> None:
    tensors = {"transformer.wte.weight": (32, 8), "transformer.h.0.weight": (8, 8), "lm_head.weight": (32, 8)}
    folder = read_model_folder(save(tmp_path, {"model_type": "odd", "vocab_size": 32}, tensors))
    assert (folder.n_params, folder.counted_from) == (64, "tensors")
    assert folder.context_length is None


def test_shards_are_read_through_their_index(tmp_path: Path) -> None:
    config = {**BASE, "model_type": "llama"}
    shapes = list(expected_tensors(config, tied=False).items())
    save(tmp_path, config, {})
    (tmp_path / "model.safetensors").unlink()
    names = {}
    for number, part in enumerate((shapes[:5], shapes[5:])):
        file = f"model-{number}.safetensors"
        write_safetensors(tmp_path / file, {name: np.zeros(shape, np.float32) for name, shape in part})
        names.update(dict.fromkeys(dict(part), file))
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}))
    folder = read_model_folder(tmp_path)
    assert folder.n_params == ATTENTION + 2 * 3 * 16 * 24
    assert [file.name for file in folder.weight_files] == ["model-0.safetensors", "model-1.safetensors"]
    index.write_text(json.dumps({"weight_map": {"a": "../x.safetensors"}}))
    with pytest.raises(ModelFolderError, match=r"expected a \.safetensors file of this folder"):
        read_model_folder(tmp_path)
    index.write_text(json.dumps({"weight_map": {"a": "gone.safetensors"}}))
    with pytest.raises(ModelFolderError, match=r"gone\.safetensors is missing"):
        read_model_folder(tmp_path)


def test_the_digest_follows_every_file(tmp_path: Path) -> None:
    digests = {read_model_folder(write_tiny_llama(tmp_path / str(seed), seed=seed)).digest for seed in (0, 1)}
    again = read_model_folder(write_tiny_llama(tmp_path / "again", seed=0))
    assert again.digest in digests
    assert len(digests) == 2
    (tmp_path / "again" / "tokenizer.json").write_text("{}")
    assert read_model_folder(tmp_path / "again").digest not in digests


def test_a_truncated_file_names_bytes_expected_and_found(tmp_path: Path) -> None:
    file = write_tiny_llama(tmp_path) / "model.safetensors"
    whole = file.read_bytes()
    for length in (0, 5, 100, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(ModelFolderError, match=rf"model.safetensors is truncated: .*found {length:,}"):
            read_model_folder(tmp_path)
    file.write_bytes(whole + b"x")
    with pytest.raises(ModelFolderError, match=rf"too long: expected {len(whole):,} bytes"):
        read_model_folder(tmp_path)


def test_tensors_unlike_the_config_are_named_with_both_shapes(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path, config={"intermediate_size": 171})
    with pytest.raises(
        ModelFolderError, match=r"mlp.gate_proj.weight: .* \[171, 64\], model.safetensors has \[170, 64\]"
    ):
        read_model_folder(tmp_path)
    write_tiny_llama(tmp_path, config={"num_hidden_layers": 1})
    with pytest.raises(
        ModelFolderError, match=r"model\.layers\.1\.input_layernorm\.weight .* is not one that"
    ):
        read_model_folder(tmp_path)
    write_tiny_llama(tmp_path, config={"tie_word_embeddings": False})
    with pytest.raises(ModelFolderError, match=r"lm_head\.weight .* is missing"):
        read_model_folder(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b'{"a": NaN}', "NaN"),
        (b'{"vocab_size": 64', "is not JSON"),
        (b'{"model_type": "llama"}', "no hidden_size"),
        (b'{"model_type": "llama", "hidden_size": -4}', "hidden_size is -4"),
        (b'{"model_type": "llama", "hidden_size": "4"}', "hidden_size is '4'"),
        (b'{"model_type": "odd"}', "no vocab_size"),
        (b" " * 4_000_001, "too large"),
    ],
)
def test_a_broken_config_is_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    write_tiny_llama(tmp_path)
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ModelFolderError) as caught:
        read_model_folder(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_pieces_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="no such folder"):
        read_model_folder(tmp_path / "gone")
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelFolderError, match="is a file"):
        read_model_folder(tmp_path / "file")
    with pytest.raises(ModelFolderError, match=r"no config\.json"):
        read_model_folder(tmp_path)
    write_tiny_llama(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelFolderError, match="no safetensors file"):
        read_model_folder(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelFolderError, match="pickled weights"):
        read_model_folder(tmp_path)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}, "needs 16 bytes, found 8"),
        ({"dtype": "Q4", "shape": [4], "data_offsets": [0, 16]}, "unknown type 'Q4'"),
        ({"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}, "broken shape"),
        ({"dtype": "F32", "shape": [4], "data_offsets": [16, 0]}, "broken shape"),
        ({"dtype": "F32", "shape": [4], "data_offsets": [8, 24]}, "begins at byte"),
        ({"dtype": ["F32"], "shape": [4], "data_offsets": [0, 16]}, "unknown type"),
        (7, "is not described by an object"),
    ],
)
def test_a_broken_header_is_refused(tmp_path: Path, entry: Any, message: str) -> None:
    write_tiny_llama(tmp_path)
    raw = json.dumps({"w": entry}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(raw).to_bytes(8, "little") + raw + b"\0" * 16)
    with pytest.raises(ModelFolderError) as caught:
        read_model_folder(tmp_path)
    assert message in str(caught.value)
