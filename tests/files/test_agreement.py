"""Where config.json and the tensors disagree, both values are named; copies are no contradiction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firstlight.files.model_folder import ModelFolderError, read_model_folder
from tests.tiny_model import write_safetensors, write_tiny_llama
from workers.engines import EngineRefusal, open_engine

D, VOCAB = 64, 64


def rewrite(folder: Path, tensors: dict[str, np.ndarray | None], **config: Any) -> Path:
    """Change tensors of a folder (None takes one away) and keys of its config.json, of which None is null."""
    read = open_safetensors(folder)
    for name, tensor in tensors.items():
        read.pop(name, None)
        if tensor is not None:
            read[name] = tensor
    write_safetensors(folder / "model.safetensors", read)
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    return folder


def open_safetensors(folder: Path) -> dict[str, np.ndarray]:
    entries = read_model_folder(folder).tensors.items()
    return {
        name: np.fromfile(e.file, "<f4", count=e.size, offset=e.offset).reshape(e.shape)
        for name, e in entries
    }


def embedding(folder: Path) -> np.ndarray:
    return open_safetensors(folder)["model.embed_tokens.weight"]


def test_a_tied_head_that_is_a_copy_of_the_embedding_changes_nothing(tmp_path: Path) -> None:
    plain, copied = write_tiny_llama(tmp_path / "plain"), write_tiny_llama(tmp_path / "copied")
    rewrite(copied, {"lm_head.weight": embedding(copied)})
    one, two = read_model_folder(plain), read_model_folder(copied)
    assert one.tied
    assert two.tied
    assert one.n_params_total == two.n_params_total
    pairs = [("1+1=", "2"), ("a", "bc")]
    assert open_engine("reference", plain).score(pairs) == open_engine("reference", copied).score(pairs)


@pytest.mark.parametrize("kind", ["llama", "odd"])
def test_a_tied_head_that_differs_from_the_embedding_is_refused(tmp_path: Path, kind: str) -> None:
    folder = write_tiny_llama(tmp_path)
    other = embedding(folder)
    other[-1, -1] += 1
    rewrite(folder, {"lm_head.weight": other}, model_type=kind)
    words = r"tie_word_embeddings true, and model\.safetensors has a lm_head\.weight .*other than model\.embed_tokens"
    with pytest.raises(ModelFolderError, match=words):
        read_model_folder(folder)
    short = rewrite(write_tiny_llama(tmp_path), {"lm_head.weight": other[:-1]}, model_type=kind)
    with pytest.raises(ModelFolderError, match=r"F32 \[63, 64\]\) other than .*F32 \[64, 64\]"):
        read_model_folder(short)


def test_a_head_that_config_json_promises_is_missing(tmp_path: Path) -> None:
    folder = write_tiny_llama(tmp_path, config={"tie_word_embeddings": False})
    with pytest.raises(
        ModelFolderError, match=r"tie_word_embeddings false, and tensor lm_head\.weight .*missing"
    ):
        read_model_folder(folder)


@pytest.mark.parametrize(("tied", "head"), [(None, True), (None, False)])
def test_where_config_json_does_not_say_the_tensors_do(tmp_path: Path, tied: None, head: bool) -> None:
    folder = write_tiny_llama(tmp_path, tied=not head, config={"tie_word_embeddings": tied})
    assert read_model_folder(folder).tied is not head


@pytest.mark.parametrize("told", ["false", 0, 1, []])
def test_tying_is_true_or_false(tmp_path: Path, told: Any) -> None:
    folder = write_tiny_llama(tmp_path, config={"tie_word_embeddings": told})
    with pytest.raises(ModelFolderError, match=r"tie_word_embeddings is .*, expected true or false"):
        read_model_folder(folder)


def test_a_bias_of_the_head_is_not_left_out_unseen(tmp_path: Path) -> None:
    folder = write_tiny_llama(tmp_path, tied=False)
    rewrite(folder, {"lm_head.bias": np.zeros(VOCAB, np.float32)})
    with pytest.raises(
        ModelFolderError, match=r"lm_head\.bias of shape \[64\] is not one that config\.json promises"
    ):
        read_model_folder(folder)


@pytest.mark.parametrize("kind", ["llama", "odd"])
def test_the_vocabulary_of_config_json_is_the_embeddings(tmp_path: Path, kind: str) -> None:
    folder = write_tiny_llama(tmp_path, config={"vocab_size": 70, "model_type": kind})
    with pytest.raises(ModelFolderError, match=r"70.*\[64, 64\]"):
        read_model_folder(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_key_value_heads": 1}, r"k_proj\.weight: config\.json promises .*\[32, 64\].* has \[64, 64\]"),
        ({"head_dim": 16}, r"q_proj\.weight: config\.json promises .*\[32, 64\].* has \[64, 64\]"),
        ({"num_attention_heads": 4, "num_key_value_heads": 4}, r"promises .*\[128, 64\].* has \[64, 64\]"),
        ({"hidden_size": 32}, r"promises .*\[64, 32\].* has \[64, 64\]"),
    ],
)
def test_heads_and_sizes_of_config_json_are_the_tensors(
    tmp_path: Path, changes: dict[str, int], words: str
) -> None:
    with pytest.raises(ModelFolderError, match=words):
        read_model_folder(write_tiny_llama(tmp_path, config=changes))


def test_model_type_and_architecture_name_one_network(tmp_path: Path) -> None:
    folder = write_tiny_llama(tmp_path, config={"architectures": ["MistralForCausalLM"]})
    with pytest.raises(EngineRefusal, match=r"model_type 'llama' and architectures MistralForCausalLM"):
        open_engine("reference", folder)


def test_rows_of_the_embedding_beyond_the_tokenizer_are_normal(tmp_path: Path) -> None:
    folder = write_tiny_llama(tmp_path, vocab=80)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] = {t: n for t, n in tokenizer["model"]["vocab"].items() if n < 60}
    tokenizer["added_tokens"] = [token for token in tokenizer["added_tokens"] if token["id"] < 60]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert open_engine("reference", folder).score([("1+1=", "2")])[0].tokens == 1


def test_a_token_beyond_the_embedding_is_refused_with_its_id(tmp_path: Path) -> None:
    folder = write_tiny_llama(tmp_path, vocab=64)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocab = tokenizer["model"]["vocab"]
    vocab["#"] = 99
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(EngineRefusal, match="a token of id 99, the model only ids below 64"):
        open_engine("reference", folder)
