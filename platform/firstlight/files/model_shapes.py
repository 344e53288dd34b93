"""Which tensors a config.json promises: names and shapes of the decoder architectures that Firstlight knows.

The conventions of Llama, Mistral, Qwen2 (biases on q, k, v), Qwen3 (norms on q and k), Mixtral and
Qwen3-MoE. Names are those of the transformers library, without a multimodal prefix.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Shape = tuple[int, ...]
KNOWN_TYPES = ("llama", "mistral", "qwen2", "qwen3", "mixtral", "qwen3_moe")
_MAX_DIMENSION = 2**31


class ConfigError(ValueError):
    """config.json lacks a number or holds one that cannot be; the message names the key."""


def whole(config: dict[str, Any], key: str, default: int | None = None) -> int:
    """A positive whole number of the config.

    Raises ConfigError: missing without a default, not a whole number, or out of 1..2^31.
    """
    value = config.get(key)
    if value is None:
        value = default
    if value is None:
        raise ConfigError(f"config.json has no {key}")
    if type(value) is not int or not 0 < value <= _MAX_DIMENSION:
        raise ConfigError(f"config.json: {key} is {value!r}, expected a positive whole number")
    return value


def head_sizes(config: dict[str, Any]) -> tuple[int, int, int]:
    """(attention heads, key/value heads, head dimension); an explicit head_dim wins over hidden_size / heads.

    Raises ConfigError: numbers that do not go together.
    """
    heads = whole(config, "num_attention_heads")
    kv_heads = whole(config, "num_key_value_heads", heads)
    hidden = whole(config, "hidden_size")
    if config.get("head_dim") is None and hidden % heads:
        raise ConfigError(
            f"config.json: hidden_size {hidden} is not a multiple of num_attention_heads {heads}"
        )
    if heads % kv_heads:
        raise ConfigError(
            f"config.json: num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}"
        )
    return heads, kv_heads, whole(config, "head_dim", hidden // heads)


def expected_tensors(config: dict[str, Any], *, tied: bool) -> dict[str, Shape]:
    """Names and shapes of all tensors of a checkpoint of a known model type.

    config: the (text) config; `model_type` is one of KNOWN_TYPES.
    tied: whether the head shares the embedding and so has no tensor of its own.

    Raises ConfigError: a number is missing or impossible.
    """
    hidden, vocab = whole(config, "hidden_size"), whole(config, "vocab_size")
    layers = whole(config, "num_hidden_layers")
    if layers > 10_000:
        raise ConfigError(f"config.json: num_hidden_layers is {layers}, expected at most 10000")
    tensors: dict[str, Shape] = {"model.embed_tokens.weight": (vocab, hidden), "model.norm.weight": (hidden,)}
    if not tied:
        tensors["lm_head.weight"] = (vocab, hidden)
    for layer in range(layers):
        for name, shape in (*_attention(config), *_feed_forward(config, layer)):
            tensors[f"model.layers.{layer}.{name}"] = shape
    return tensors


def _attention(config: dict[str, Any]) -> Iterator[tuple[str, Shape]]:
    kind, hidden = config["model_type"], whole(config, "hidden_size")
    heads, kv_heads, head_dim = head_sizes(config)
    rows = {"q": heads * head_dim, "k": kv_heads * head_dim, "v": kv_heads * head_dim}
    yield "input_layernorm.weight", (hidden,)
    yield "post_attention_layernorm.weight", (hidden,)
    for part, count in rows.items():
        yield f"self_attn.{part}_proj.weight", (count, hidden)
    yield "self_attn.o_proj.weight", (hidden, heads * head_dim)
    biased = bool(config.get("attention_bias", False)) and kind in ("llama", "qwen3", "qwen3_moe")
    if biased or kind == "qwen2":
        for part, count in rows.items():
            yield f"self_attn.{part}_proj.bias", (count,)
    if biased:
        yield "self_attn.o_proj.bias", (hidden,)
    if kind in ("qwen3", "qwen3_moe"):
        yield "self_attn.q_norm.weight", (head_dim,)
        yield "self_attn.k_norm.weight", (head_dim,)


def _feed_forward(config: dict[str, Any], layer: int) -> Iterator[tuple[str, Shape]]:
    kind, hidden = config["model_type"], whole(config, "hidden_size")
    if kind == "mixtral":
        experts, inner = whole(config, "num_local_experts"), whole(config, "intermediate_size")
        yield "block_sparse_moe.gate.weight", (experts, hidden)
        for expert in range(experts):
            yield f"block_sparse_moe.experts.{expert}.w1.weight", (inner, hidden)
            yield f"block_sparse_moe.experts.{expert}.w2.weight", (hidden, inner)
            yield f"block_sparse_moe.experts.{expert}.w3.weight", (inner, hidden)
    elif kind == "qwen3_moe" and _is_sparse(config, layer):
        experts, inner = whole(config, "num_experts"), whole(config, "moe_intermediate_size")
        yield "mlp.gate.weight", (experts, hidden)
        for expert in range(experts):
            yield from _dense(f"mlp.experts.{expert}.", hidden, inner)
    else:
        inner = whole(config, "intermediate_size")
        yield from _dense("mlp.", hidden, inner)
        if kind == "llama" and config.get("mlp_bias"):
            yield "mlp.gate_proj.bias", (inner,)
            yield "mlp.up_proj.bias", (inner,)
            yield "mlp.down_proj.bias", (hidden,)


def _dense(prefix: str, hidden: int, inner: int) -> Iterator[tuple[str, Shape]]:
    yield f"{prefix}gate_proj.weight", (inner, hidden)
    yield f"{prefix}up_proj.weight", (inner, hidden)
    yield f"{prefix}down_proj.weight", (hidden, inner)


def _is_sparse(config: dict[str, Any], layer: int) -> bool:
    step = whole(config, "decoder_sparse_step", 1)
    dense = config.get("mlp_only_layers")
    return not (isinstance(dense, list) and layer in dense) and (layer + 1) % step == 0
