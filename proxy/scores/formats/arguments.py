"""What a model was loaded with: which arguments make it another model, and which only run it otherwise."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from proxy.scores.formats.record import model_name

#: Arguments of lm-evaluation-harness, lighteval and Inspect, by what they say of a model.
_FILES = ("gguf_file", "filename", "model_file")
_ADAPTERS = (
    "peft",
    "adapter_weights",
    "adapter",
    "adapter_path",
    "lora_local_path",
    "lora",
    "delta",
    "delta_weights",
)
_METHODS = (
    "quantization",
    "quantisation",
    "quant_method",
    "load_in_4bit",
    "load_in_8bit",
    "autogptq",
    "gptqmodel",
)
_DTYPES = ("dtype", "torch_dtype", "precision")
_DTYPE_NAMES = {
    "half": "float16",
    "fp16": "float16",
    "bf16": "bfloat16",
    "float": "float32",
    "fp32": "float32",
}
#: Arguments that name the model, or that only say where and how fast it runs.
_RUNNING = {
    "attn_implementation", "auth_token", "backend", "base_url", "batch_size", "batch_sizes", "cache_dir",
    "config_path", "data_parallel_size", "device", "device_map", "device_map_option", "disable_log_stats",
    "distributed_executor_backend", "enable_prefix_caching", "enforce_eager", "gpu_memory_utilisation",
    "gpu_memory_utilization", "logits_cache", "low_cpu_mem_usage", "max_batch_size",
    "max_concurrent_requests", "max_cpu_memory", "max_gen_toks", "max_length", "max_memory_per_gpu",
    "max_model_len", "max_model_length", "max_num_batched_tokens", "max_num_seqs", "max_retries", "model",
    "model_name", "model_parallel", "model_path", "num_concurrent", "offload_folder", "parallelize",
    "pipeline_parallel_size", "pretrained", "revision", "seed", "subfolder", "swap_space",
    "tensor_parallel_size", "timeout", "token", "tokenized_requests", "tokenizer_backend",
    "tokenizer_path", "trust_remote_code", "use_accelerate", "use_fast_tokenizer", "verify_certificate",
}  # fmt: skip
_NO = ("", "none", "null", "false", "0")


def named_model(
    name: str, arguments: Mapping[str, Any], *, complete: bool = False, ignored: Collection[str] = ()
) -> tuple[str, dict[str, str]]:
    """Name a model by what it was loaded with.

    Parameters
    ----------
    name : str
        The name that the program calls it by.
    arguments : mapping
        Argument -> value, as the file has them.
    complete : bool, optional
        All arguments are there: those that are not have the program's defaults. Then every argument that does not only
        say how the model runs makes it another one where two differ.
    ignored : collection of str, optional
        Further arguments that do not make it another model.

    Returns
    -------
    name : str
        The name with the revision, the subfolder, the file, the adapter and the quantisation.
    parts : dict of str to str
        What makes it another model where two differ, for `Record.model_parts`; an empty text is the default.

    Examples
    --------
    >>> named_model("lab/base", {"peft": "/ckpt/a", "load_in_4bit": True, "dtype": "torch.float16"})
    ('lab/base@4bit+/ckpt/a', {'dtype': 'float16'})
    >>> named_model("lab/base", {"enable_thinking": "True", "batch_size": 8}, complete=True)
    ('lab/base', {'dtype': '', 'arguments': 'enable_thinking=True'})
    """
    adapters = [str(arguments[key]) for key in _ADAPTERS if _given(arguments.get(key))]
    full = model_name(
        name,
        revision=_first(arguments, ("revision",)),
        subfolder=_first(arguments, ("subfolder",)),
        file=_first(arguments, _FILES),
        adapter="+".join(adapters),
        quantisation=_quantisation(arguments),
    )
    dtype = str(_first(arguments, _DTYPES) or "auto").removeprefix("torch.")
    dtype = _DTYPE_NAMES.get(dtype, dtype)
    parts = {"dtype": "" if dtype == "auto" else dtype} if complete or dtype != "auto" else {}
    if complete:
        skipped = {*_RUNNING, *_FILES, *_ADAPTERS, *_METHODS, *_DTYPES, "quantization_config", *ignored}
        parts["arguments"] = listed_arguments(arguments, skipped)
    return full, parts


def listed_arguments(arguments: Mapping[str, Any], ignored: Collection[str] = ()) -> str:
    """List arguments as one part of a name, of which only what differs is shown.

    Parameters
    ----------
    arguments : mapping
        Argument -> value.
    ignored : collection of str, optional
        Arguments to leave out; those without a value are left out, too.

    Returns
    -------
    str
        Sorted, and parted by semicolons.

    Examples
    --------
    >>> listed_arguments({"subject": "law", "cot": False, "seed": None})
    'cot=False;subject=law'
    """
    texts = {
        key: value
        if isinstance(value, str)
        else json.dumps(value)
        if isinstance(value, dict | list)
        else str(value)
        for key, value in arguments.items()
        if key not in ignored and value is not None
    }
    return ";".join(f"{key}={text.replace(';', ',')}" for key, text in sorted(texts.items()))


def _quantisation(arguments: Mapping[str, Any]) -> str | None:
    """How the weights were shortened, in a word."""
    config = arguments.get("quantization_config")
    for source in (arguments, config if isinstance(config, Mapping) else {}):
        for key in _METHODS:
            value = source.get(key)
            if _given(value):
                short = {
                    "load_in_4bit": "4bit",
                    "load_in_8bit": "8bit",
                    "autogptq": "gptq",
                    "gptqmodel": "gptq",
                }
                return short.get(key, str(value))
    return None


def _given(value: Any) -> bool:
    """Whether an argument has a value that says something."""
    return value is not None and str(value).casefold() not in _NO


def _first(arguments: Mapping[str, Any], keys: Collection[str]) -> Any:
    """The first of some arguments that is given."""
    return next((arguments[key] for key in keys if _given(arguments.get(key))), None)
