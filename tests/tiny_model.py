"""Writes tiny Llama-shaped checkpoints of random weights, with a character tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

CHARACTERS = "\n +-=0123456789abcdefghijklmnopqrstuvwxyz.,:;?!()*/<>[]_#"
SPECIALS = ("<eos>", "<bos>", "<pad>", "<unk>")
EOS = 0
_SAFETENSORS = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}


def write_tiny_llama(
    folder: Path,
    *,
    d: int = 64,
    layers: int = 2,
    heads: int = 2,
    kv_heads: int | None = None,
    head_dim: int | None = None,
    inner: int | None = None,
    vocab: int = 64,
    seed: int = 0,
    dtype: str = "float32",
    tied: bool = True,
    kind: str = "llama",
    context: int = 256,
    scale: float = 1.0,
    merges: tuple[str, ...] = (),
    config: dict[str, Any] | None = None,
) -> Path:
    """Write a checkpoint and return its folder.

    vocab: at least 60; tokens beyond the characters are named ``<spare7>`` and so on.
    kind: ``llama``, ``mistral``, ``qwen2`` (biases on q, k, v) or ``qwen3`` (norms on q and k).
    merges: tokens of two characters each, as in ``("12", "=\\n")``.
    scale: larger weights make the distributions of tokens less even.
    config: keys that override those of config.json, after the tensors are made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kv_heads, head_dim, inner = kv_heads or heads, head_dim or d // heads, inner or d * 8 // 3
    rng = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (rng.standard_normal((rows, columns)) * scale * columns**-0.5).astype(np.float32)

    def norm(size: int) -> np.ndarray:
        return (1 + 0.1 * rng.standard_normal(size)).astype(np.float32)

    tensors = {"model.embed_tokens.weight": matrix(vocab, d)}
    for layer in range(layers):
        at = f"model.layers.{layer}."
        tensors[f"{at}input_layernorm.weight"] = norm(d)
        for part, count in (("q", heads), ("k", kv_heads), ("v", kv_heads)):
            tensors[f"{at}self_attn.{part}_proj.weight"] = matrix(count * head_dim, d)
            if kind == "qwen2":
                tensors[f"{at}self_attn.{part}_proj.bias"] = matrix(1, count * head_dim)[0]
            if kind == "qwen3" and part != "v":
                tensors[f"{at}self_attn.{part}_norm.weight"] = norm(head_dim)
        tensors[f"{at}self_attn.o_proj.weight"] = matrix(d, heads * head_dim)
        tensors[f"{at}post_attention_layernorm.weight"] = norm(d)
        tensors[f"{at}mlp.gate_proj.weight"] = matrix(inner, d)
        tensors[f"{at}mlp.up_proj.weight"] = matrix(inner, d)
        tensors[f"{at}mlp.down_proj.weight"] = matrix(d, inner)
    tensors["model.norm.weight"] = norm(d)
    if not tied:
        tensors["lm_head.weight"] = matrix(vocab, d)
    write_safetensors(folder / "model.safetensors", tensors, dtype=dtype)
    architecture = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3"}[kind]
    content = {
        "architectures": [f"{architecture}ForCausalLM"],
        "model_type": kind,
        "hidden_size": d,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "intermediate_size": inner,
        "vocab_size": vocab,
        "max_position_embeddings": context,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": tied,
        "eos_token_id": EOS,
        "bos_token_id": None,
        "torch_dtype": dtype,
        "sliding_window": None,
        **(config or {}),
    }
    (folder / "config.json").write_text(json.dumps(content, indent=2))
    (folder / "tokenizer.json").write_text(json.dumps(char_tokenizer(vocab, merges)))
    return folder


def char_tokenizer(vocab: int = 64, merges: tuple[str, ...] = ()) -> dict[str, Any]:
    """A tokenizer.json of characters and a few pairs of them: BPE, decoded by joining, no unknown token."""
    tokens = [*SPECIALS, *CHARACTERS, *merges]
    tokens += [f"<spare{index}>" for index in range(len(tokens), vocab)]
    if len(tokens) > vocab:
        raise ValueError(f"vocab is {vocab}, expected at least {len(tokens)}")
    special = [index for index, token in enumerate(tokens) if len(token) > 1 and token not in merges]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": index, "content": tokens[index], **flags} for index in special],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": [list(pair) for pair in merges],
        },
    }


def write_safetensors(file: Path, tensors: dict[str, np.ndarray], *, dtype: str = "float32") -> None:
    """Write float tensors by hand, in ``float32``, ``float16`` or ``bfloat16`` (cut, not rounded)."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    blobs: list[bytes] = []
    offset = 0
    for name, tensor in tensors.items():
        if dtype == "bfloat16":
            blob = (np.ascontiguousarray(tensor, np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
        else:
            blob = tensor.astype("<f2" if dtype == "float16" else "<f4").tobytes()
        offsets = [offset, offset + len(blob)]
        header[name] = {"dtype": _SAFETENSORS[dtype], "shape": list(tensor.shape), "data_offsets": offsets}
        blobs.append(blob)
        offset += len(blob)
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    file.write_bytes(len(encoded).to_bytes(8, "little") + encoded + b"".join(blobs))
