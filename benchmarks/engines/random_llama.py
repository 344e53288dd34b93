"""Llama-shaped checkpoints of random weights and a tokenizer of single characters, for speed and memory alone."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

#: name -> (hidden, layers, heads, inner, vocabulary)
SIZES = {
    "tiny": (64, 2, 2, 192, 2000),
    "36m": (512, 12, 8, 1280, 32000),
    "0.5b": (1344, 24, 21, 3360, 32000),
    "1.1b": (2048, 16, 32, 8192, 32000),
}
# one character a token, from two blocks of the BMP without gaps
_FIRST = [*range(0x3400, 0x9FFF), *range(0xAC00, 0xD7A3)]


def character(token: int) -> str:
    """The text of a token."""
    return chr(_FIRST[token])


def prompt(tokens: list[int]) -> str:
    """A prompt that encodes to the tokens."""
    return "".join(map(character, tokens))


def write_random_llama(
    folder: Path, size: str, *, dtype: str = "bfloat16", context: int = 2048, seed: int = 0
) -> Path:
    """Write a checkpoint with tied embeddings unless it is there already."""
    if (folder / "tokenizer.json").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    hidden, layers, heads, inner, vocab = SIZES[size]
    generator = torch.Generator().manual_seed(seed)

    def matrix(rows: int, columns: int) -> torch.Tensor:
        values = torch.empty(rows, columns, dtype=torch.float32).normal_(
            std=columns**-0.5, generator=generator
        )
        return values.to(getattr(torch, dtype))

    tensors = {"model.embed_tokens.weight": matrix(vocab, hidden)}
    for layer in range(layers):
        at = f"model.layers.{layer}."
        for part in "qkvo":
            tensors[f"{at}self_attn.{part}_proj.weight"] = matrix(hidden, hidden)
        tensors[f"{at}mlp.gate_proj.weight"] = matrix(inner, hidden)
        tensors[f"{at}mlp.up_proj.weight"] = matrix(inner, hidden)
        tensors[f"{at}mlp.down_proj.weight"] = matrix(hidden, inner)
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{at}{name}.weight"] = torch.ones(hidden, dtype=getattr(torch, dtype))
    tensors["model.norm.weight"] = torch.ones(hidden, dtype=getattr(torch, dtype))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "head_dim": hidden // heads,
        "intermediate_size": inner,
        "vocab_size": vocab,
        "max_position_embeddings": context,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "torch_dtype": dtype,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer(vocab)))
    return folder


def _tokenizer(vocab: int) -> dict[str, object]:
    if vocab > len(_FIRST):
        raise ValueError(f"vocab is {vocab}, expected at most {len(_FIRST)}")
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {character(token): token for token in range(vocab)},
        "merges": [],
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": model,
    }
