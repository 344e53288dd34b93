"""Loads a Llama-shaped checkpoint into float32 arrays, folded for the forward pass, or refuses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from firstlight.registry.model_folder import ModelFolder
from firstlight.registry.model_shapes import ConfigError, head_sizes, whole
from firstlight.registry.safetensors_files import TensorEntry
from numpy.typing import NDArray

from workers.engines.base import EngineRefusal

Array = NDArray[np.float32]
ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
ACTIVATIONS = ("silu", "swish", "gelu_new", "gelu_pytorch_tanh")
_NUMPY_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


@dataclass(frozen=True)
class Sizes:
    """The numbers of a config that the forward pass needs."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    inner: int
    vocab: int
    eps: float
    rope_theta: float
    activation: str
    context: int

    @property
    def groups(self) -> int:
        """Query heads that share one key/value head."""
        return self.heads // self.kv_heads


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer, matrices as (out, in), with norm weights and 1/sqrt(head_dim) folded in."""

    qkv: Array
    qkv_bias: Array | None
    q_norm: Array | None
    k_norm: Array | None
    out: Array
    out_bias: Array | None
    gate_up: Array
    down: Array


@dataclass(frozen=True, eq=False)
class Weights:
    """A model: embedding, head (both (vocabulary, hidden), the last norm folded into the head) and layers."""

    sizes: Sizes
    embedding: Array
    layers: tuple[Layer, ...]
    head: Array


def load_weights(folder: ModelFolder) -> Weights:
    """Read all tensors of the checkpoint.

    :raises EngineRefusal: an architecture or an option that the reference engine does not run
    """
    sizes = read_sizes(folder)
    tensors = folder.tensors

    def read(name: str) -> NDArray[np.float64]:
        return read_tensor(tensors[name], name).astype(np.float64)

    def maybe(name: str) -> NDArray[np.float64] | None:
        return read(name) if name in tensors else None

    embedding = read_tensor(tensors["model.embed_tokens.weight"], "model.embed_tokens.weight")
    tied = folder.config.get("tie_word_embeddings")
    if tied is None:
        tied = "lm_head.weight" not in tensors
    head = embedding.astype(np.float64) if tied else read("lm_head.weight")
    layers = tuple(_layer(f"model.layers.{index}.", sizes, read, maybe) for index in range(sizes.layers))
    return Weights(sizes, embedding, layers, _f32(head * read("model.norm.weight")))


def _layer(prefix: str, sizes: Sizes, read: Any, maybe: Any) -> Layer:
    # Products with norm weights are taken in float64 and rounded once.
    attention = f"{prefix}self_attn."
    before, after = read(f"{prefix}input_layernorm.weight"), read(f"{prefix}post_attention_layernorm.weight")
    q, k, v = (read(f"{attention}{part}_proj.weight") * before for part in "qkv")
    bias = [maybe(f"{attention}{part}_proj.bias") for part in "qkv"]
    q_norm, k_norm = maybe(f"{attention}q_norm.weight"), maybe(f"{attention}k_norm.weight")
    scale = sizes.head_dim**-0.5
    if q_norm is None:
        q = q * scale
        bias[0] = None if bias[0] is None else bias[0] * scale
    else:
        q_norm = q_norm * scale  # a norm follows q, so the scale must come after it
    gate, up = read(f"{prefix}mlp.gate_proj.weight") * after, read(f"{prefix}mlp.up_proj.weight") * after
    if sizes.activation in ("silu", "swish"):
        # silu(g) u = (-g)(-u) / (1 + exp(-g)): with both signs turned here, the forward pass needs no
        # negation
        gate, up = -gate, -up
    out_bias = maybe(f"{attention}o_proj.bias")
    return Layer(
        qkv=_f32(np.concatenate([q, k, v])),
        qkv_bias=None if bias[0] is None else _f32(np.concatenate(bias))[:, None],
        q_norm=None if q_norm is None else _f32(q_norm)[:, None],
        k_norm=None if k_norm is None else _f32(k_norm)[:, None],
        out=_f32(read(f"{attention}o_proj.weight")),
        out_bias=None if out_bias is None else _f32(out_bias)[:, None],
        gate_up=_f32(np.concatenate([gate, up])),
        down=_f32(read(f"{prefix}mlp.down_proj.weight")),
    )


def _f32(values: NDArray[np.float64]) -> Array:
    return np.ascontiguousarray(values, dtype=np.float32)


def read_tensor(entry: TensorEntry, name: str) -> Array:
    """One tensor as float32.

    :raises EngineRefusal: a type that is not a plain float
    """
    raw_type = "<u2" if entry.dtype == "BF16" else _NUMPY_DTYPES.get(entry.dtype)
    if raw_type is None:
        raise EngineRefusal(
            f"tensor {name} is {entry.dtype}; the reference engine reads F64, F32, F16 and BF16"
        )
    raw = np.memmap(entry.file, dtype=raw_type, mode="r", offset=entry.offset, shape=entry.shape)
    if entry.dtype == "BF16":  # bfloat16 is the upper half of a float32
        return (np.asarray(raw).astype(np.uint32) << np.uint32(16)).view(np.float32)
    return np.array(raw, dtype=np.float32)


def read_sizes(folder: ModelFolder) -> Sizes:
    """The sizes of the network, after refusing every option that would change the result unseen.

    :raises EngineRefusal: one line that names the option
    """
    config = folder.config
    if folder.architecture not in ARCHITECTURES:
        raise EngineRefusal(
            f"{folder.path}: the reference engine runs {', '.join(ARCHITECTURES)}, "
            f"not {folder.architecture or 'a model without architectures'}"
        )
    if folder.counted_from != "config+tensors":
        raise EngineRefusal(
            f"{folder.path}: model_type {folder.model_type!r} does not fit {folder.architecture}"
        )
    if config.get("quantization_config"):
        raise EngineRefusal(f"{folder.path}: quantised weights; save the checkpoint in float32 or bfloat16")
    if config.get("mlp_bias"):
        raise EngineRefusal(f"{folder.path}: mlp_bias is set, which the reference engine does not run")
    activation = config.get("hidden_act", "silu")
    if activation not in ACTIVATIONS:
        raise EngineRefusal(
            f"{folder.path}: hidden_act {activation!r} is not one of {', '.join(ACTIVATIONS)}"
        )
    _refuse_window(folder)
    eps = config.get("rms_norm_eps", 1e-6)
    if type(eps) not in (int, float) or not eps >= 0:
        raise EngineRefusal(f"{folder.path}: rms_norm_eps is {eps!r}, expected a number")
    try:
        heads, kv_heads, head_dim = head_sizes(config)
        if head_dim % 2:
            raise EngineRefusal(
                f"{folder.path}: head_dim {head_dim} is odd, which rotary positions do not allow"
            )
        return Sizes(
            hidden=whole(config, "hidden_size"),
            layers=whole(config, "num_hidden_layers"),
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            inner=whole(config, "intermediate_size"),
            vocab=folder.vocab_size,
            eps=float(eps),
            rope_theta=_rope_theta(folder),
            activation=activation,
            context=whole(config, "max_position_embeddings"),
        )
    except ConfigError as error:
        raise EngineRefusal(f"{folder.path}: {error}") from error


def _refuse_window(folder: ModelFolder) -> None:
    config = folder.config
    kinds = config.get("layer_types") or []
    if not isinstance(kinds, list) or any(kind != "full_attention" for kind in kinds):
        raise EngineRefusal(f"{folder.path}: layer_types {str(kinds)[:60]}; only full_attention is run")
    window = config.get("sliding_window")
    in_use = config.get("use_sliding_window", folder.model_type == "mistral")
    if window is not None and in_use and not (type(window) is int and window >= (folder.context_length or 0)):
        raise EngineRefusal(f"{folder.path}: a sliding window of {window} tokens, which is not run")


def _rope_theta(folder: ModelFolder) -> float:
    """Older configs hold rope_theta and rope_scaling, newer ones both in rope_parameters."""
    config = folder.config
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(rope, dict):
        raise EngineRefusal(f"{folder.path}: rope_parameters is {rope!r}, expected an object")
    kind = rope.get("rope_type", rope.get("type", "default"))
    nested = any(isinstance(value, dict) for value in rope.values())
    partial = rope.get("partial_rotary_factor", config.get("partial_rotary_factor", 1.0))
    if kind != "default" or nested or partial not in (None, 1, 1.0):
        raise EngineRefusal(f"{folder.path}: rope scaling {rope!r}; only default rotary positions are run")
    theta = rope.get("rope_theta", config.get("rope_theta", 10000.0))
    if type(theta) not in (int, float) or not theta > 0:
        raise EngineRefusal(f"{folder.path}: rope_theta is {theta!r}, expected a positive number")
    return float(theta)
