"""The torch engine: a static batch of short draws from a dense Llama-shaped checkpoint, on CUDA or on the CPU."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from firstlight.files.model_folder import ModelFolderError, read_model_folder
from workers.engines.base import (
    DrawRequest,
    EngineOutOfMemory,
    EngineRefusal,
    Score,
    Wave,
)
from workers.engines.heap import trim
from workers.engines.llama import Sizes, read_sizes
from workers.engines.scoring import TokenJob, TokenScore, score_pairs
from workers.engines.streams import draw_through
from workers.engines.text import TextCodec, eos_ids, prompt_tokens
from workers.engines.torch import eager
from workers.engines.torch.burst import Burst
from workers.engines.torch.network import head_logits, padded, prefill
from workers.engines.torch.room import Room
from workers.engines.torch.space import TILE, rotary_table
from workers.engines.torch.weights import Weights, load_weights, weight_bytes

VERSION = "2"  # raised when a change of the code may change draws; 2: texts behind the prompt
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_TOKENS_AT_ONCE = 4096
_MARGIN = 600 << 20  # workspaces of the matrix products, graphs, fragments


class TorchEngine:
    """Opens a checkpoint folder.

    path: folder with config.json, tokenizer.json and safetensors files.
    device: ``cuda``, ``cuda:1``, ``cpu``; by itself the GPU where there is one.
    dtype: ``float32`` or ``bfloat16``; by itself bfloat16 on a GPU, float32 on the CPU.
    rows: draws side by side at most; by itself by the size of the model.
    lanes: groups of rows that run beside each other, so that the device never waits for the host; by itself 2
    on a GPU, 1 on the CPU.
    share: share of the device's memory that this engine may take, weights included.

    Raises EngineRefusal: the folder is broken, its architecture or an option is not run, no such device.
    Raises EngineOutOfMemory: weights and the fewest rows do not fit; raised before anything is allocated.
    """

    name = "torch"
    grain = 1

    def __init__(
        self,
        path: str | Path,
        *,
        device: str | None = None,
        dtype: str | None = None,
        rows: int | None = None,
        lanes: int | None = None,
        share: float = 0.9,
    ) -> None:
        try:
            folder = read_model_folder(path)
        except ModelFolderError as error:
            raise EngineRefusal(str(error)) from error
        self.sizes: Sizes = read_sizes(folder)
        self._device = _device(device)
        gpu = self._device.type == "cuda"
        dtype = dtype or ("bfloat16" if gpu else "float32")
        if dtype not in DTYPES:
            raise EngineRefusal(f"dtype is {dtype!r}, expected one of {', '.join(DTYPES)}")
        if not 0 < share <= 1:
            raise EngineRefusal(f"share is {share}, expected above 0 and at most 1")
        if rows is not None and rows < TILE:
            raise EngineRefusal(f"rows is {rows}, expected at least {TILE}")
        if lanes is not None and not 1 <= lanes <= 4:
            raise EngineRefusal(f"lanes is {lanes}, expected 1 to 4")
        self.codec = TextCodec(folder.path / "tokenizer.json", self.sizes.vocab, eos_ids(folder))
        self.context_length = self.sizes.context
        self.fingerprint = f"torch {VERSION}, {torch.__version__}, {folder.digest}, {dtype}"
        # A draw's random numbers are its own. In bfloat16 rounding, which depends on its neighbours, decides oftener.
        self.repeatable = dtype == "float32"
        self.capacity = (rows or _rows(folder.n_params, gpu)) // TILE * TILE
        itemsize = DTYPES[dtype].itemsize
        needed = weight_bytes(folder, self.sizes, itemsize)
        budget = self._budget(share) - needed
        if budget < 0:
            raise EngineOutOfMemory(
                f"{folder.path}: the weights take {needed >> 20} MiB in {dtype}, and "
                f"{(budget + needed) >> 20} are free for this engine; free memory or raise share"
            )
        if gpu:
            from workers.engines.torch import kernels

            torch.backends.cuda.matmul.allow_tf32 = False
        self.weights: Weights = load_weights(folder, self.sizes, self._device, DTYPES[dtype])
        self.room = Room(
            self.weights,
            self.sizes,
            self.codec,
            kernels if gpu else eager,
            check=self._prompt,
            capacity=self.capacity,
            lanes=lanes or (2 if gpu else 1),
            budget=budget,
        )
        self._rotary = rotary_table(self.sizes, self.sizes.context, self._device)

    def draw(self, requests: Sequence[DrawRequest]) -> list[Wave]:
        """One wave a request; every text depends on (seed, instance, draw number), the checkpoint and the dtype only,
        but for rounding that depends on the number of rows.

        Raises EngineRefusal: a request that cannot be, before anything is drawn.
        """
        return draw_through(self.stream(), requests)

    def stream(self) -> Burst:
        """Requests share the rows of one static batch."""
        return Burst(self.room)

    @torch.inference_mode()
    def score(
        self, pairs: Sequence[tuple[str, str]], stop: Sequence[str] = (), max_tokens: int | None = None
    ) -> list[Score]:
        """Exact likelihoods in the engine's precision; see `scoring.score_pairs`."""
        network = self._token_scores
        return score_pairs(network, self.codec, self.context_length, pairs, tuple(stop), max_tokens)

    def close(self) -> None:
        """Give the device's memory back."""
        if hasattr(self, "room"):
            self.room.clear()
            del self.weights, self.room, self._rotary
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        else:
            trim()

    def _prompt(self, request: DrawRequest) -> list[int]:
        """The prompt's tokens, or EngineRefusal where the request cannot be."""
        return prompt_tokens(self.codec, request, self.context_length)

    def _token_scores(self, jobs: Sequence[TokenJob], ends: Sequence[int]) -> list[TokenScore]:
        scores: dict[int, TokenScore] = {}
        order = sorted(range(len(jobs)), key=lambda place: len(jobs[place].ids))
        while order:
            longest = len(jobs[order[-1]].ids)
            part = order[-max(1, _TOKENS_AT_ONCE // longest) :]
            del order[-len(part) :]
            tokens = padded([jobs[place].ids for place in part], self._device)
            hidden = prefill(self.weights, self.sizes, tokens, self._rotary)
            for row, place in enumerate(part):
                job = jobs[place]
                states = hidden[row, job.start - 1 : len(job.ids)]
                log_probs = head_logits(self.weights, states).double().log_softmax(-1).cpu().numpy()
                targets = job.ids[job.start :]
                nll = float(-log_probs[np.arange(len(targets)), targets].sum())
                scores[place] = TokenScore(nll, log_probs[-1, list(ends)])
        return [scores[place] for place in range(len(jobs))]

    def _budget(self, share: float) -> int:
        """Bytes that this engine may take, weights included."""
        if self._device.type != "cuda":
            return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * share) // 4
        free, total = torch.cuda.mem_get_info(self._device)
        return min(int(total * share), free) - _MARGIN


def _device(name: str | None) -> torch.device:
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise EngineRefusal(f"device is {name!r}: {str(error).splitlines()[0]}") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise EngineRefusal(f"device is {name!r}, and torch sees no GPU here; take cpu")
    if device.type not in ("cuda", "cpu"):
        raise EngineRefusal(f"device is {name!r}; the torch engine runs on cuda and cpu")
    return device


def _rows(n_params: int, gpu: bool) -> int:
    """Draws side by side: enough to fill the matrix units, few enough that caches and activations stay small."""
    if not gpu:
        return 512
    return 32768 if n_params < 20e6 else 16384 if n_params < 100e6 else 8192
