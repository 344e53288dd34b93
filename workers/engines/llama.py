"""What engines of our own know of a Llama-shaped checkpoint: its sizes, its tensors, and what must be refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firstlight.files.model_folder import ModelFolder, text_config
from firstlight.files.model_shapes import ConfigError, head_sizes, whole
from firstlight.files.safetensors_files import TensorEntry
from workers.engines.base import EngineRefusal

Array = NDArray[np.float32]
#: Their model types.
ARCHITECTURES = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "mistral",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
}
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


def read_tensor(entry: TensorEntry, name: str) -> Array:
    """One tensor as float32.

    Raises EngineRefusal: a type that is not a plain float.
    """
    raw_type = "<u2" if entry.dtype == "BF16" else _NUMPY_DTYPES.get(entry.dtype)
    if raw_type is None:
        raise EngineRefusal(f"tensor {name} is {entry.dtype}; an engine reads F64, F32, F16 and BF16")
    raw = np.memmap(entry.file, dtype=raw_type, mode="r", offset=entry.offset, shape=entry.shape)
    if entry.dtype == "BF16":  # bfloat16 is the upper half of a float32
        return (np.asarray(raw).astype(np.uint32) << np.uint32(16)).view(np.float32)
    return np.array(raw, dtype=np.float32)


def read_sizes(folder: ModelFolder) -> Sizes:
    """The sizes of the network, after refusing every option that would change the result unseen.

    Raises EngineRefusal, in one line that names the option.
    """
    config = text_config(folder.config)
    if folder.architecture not in ARCHITECTURES:
        raise EngineRefusal(
            f"{folder.path}: our own engines run {', '.join(ARCHITECTURES)}, "
            f"not {folder.architecture or 'a model without architectures'}"
        )
    if folder.model_type != ARCHITECTURES[folder.architecture]:
        raise EngineRefusal(
            f"{folder.path}: config.json says model_type {folder.model_type!r} and architectures "
            f"{folder.architecture}, whose type is {ARCHITECTURES[folder.architecture]!r}; correct one of them"
        )
    if config.get("quantization_config"):
        raise EngineRefusal(f"{folder.path}: quantised weights; save the checkpoint in float32 or bfloat16")
    if config.get("mlp_bias"):
        raise EngineRefusal(f"{folder.path}: mlp_bias is set, which is not run")
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
    config = text_config(folder.config)
    kinds = config.get("layer_types") or []
    if not isinstance(kinds, list) or any(kind != "full_attention" for kind in kinds):
        raise EngineRefusal(f"{folder.path}: layer_types {str(kinds)[:60]}; only full_attention is run")
    window = config.get("sliding_window")
    in_use = config.get("use_sliding_window", folder.model_type == "mistral")
    if window is not None and in_use and not (type(window) is int and window >= (folder.context_length or 0)):
        raise EngineRefusal(f"{folder.path}: a sliding window of {window} tokens, which is not run")


def _rope_theta(folder: ModelFolder) -> float:
    """Older configs hold rope_theta and rope_scaling, newer ones both in rope_parameters."""
    config = text_config(folder.config)
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
