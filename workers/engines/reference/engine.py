"""The reference engine: draws and exact likelihoods of a Llama-shaped checkpoint, with NumPy alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from firstlight.files.model_folder import ModelFolderError, read_model_folder
from workers.engines.base import DrawRequest, EngineRefusal, Score, Wave
from workers.engines.heap import trim
from workers.engines.reference.blas import blas_name, one_blas_thread
from workers.engines.reference.decoder import Decoder
from workers.engines.reference.network import Prefix, prefill
from workers.engines.reference.philox import stream_key, uniforms
from workers.engines.reference.products import BLOCK, strip_width
from workers.engines.reference.sampling import sample
from workers.engines.reference.scores import token_scores
from workers.engines.reference.weights import Weights, load_weights
from workers.engines.scoring import score_pairs
from workers.engines.streams import CallStream
from workers.engines.text import TextCodec, eos_ids, first_stop, prompt_tokens

VERSION = "2"  # raised when a change of the code may change draws; 2: texts behind the prompt
_CACHE_BYTES = 1 << 28
_POSITIONS_AT_ONCE = 16


class ReferenceEngine:
    """Opens a checkpoint folder.

    path: folder with config.json, tokenizer.json and safetensors files.
    rows: draws decoded side by side at most; changes speed and memory, never a draw.
    Raises EngineRefusal: the folder is broken, or its architecture or an option of it is not run.
    """

    name = "reference"
    repeatable = True
    grain = BLOCK  # empty places of a block are computed too

    def __init__(self, path: str | Path, *, rows: int = 256) -> None:
        if rows < 1:
            raise EngineRefusal(f"rows is {rows}, expected at least 1")
        try:
            folder = read_model_folder(path)
        except ModelFolderError as error:
            raise EngineRefusal(str(error)) from error
        self.weights: Weights = load_weights(folder)
        sizes = self.weights.sizes
        self.codec = TextCodec(folder.path / "tokenizer.json", sizes.vocab, eos_ids(folder))
        self.context_length = sizes.context
        strips = min(strip_width(*shape) for shape in self.weights.shapes())
        blas = f"{blas_name()} by {strips}"
        self.fingerprint = f"reference {VERSION}, numpy {np.__version__}, {blas}, {folder.digest}, float32"
        self.capacity = rows
        self._rows = rows

    def draw(self, requests: Sequence[DrawRequest]) -> list[Wave]:
        """One wave a request; every text depends on (seed, instance, draw number) and the checkpoint only.

        Raises EngineRefusal: a request that cannot be, before anything is drawn.
        """
        prompts = [self._prompt(request) for request in requests]
        with one_blas_thread():
            return [self._wave(request, ids) for request, ids in zip(requests, prompts, strict=True)]

    def stream(self) -> CallStream:
        """Calls of a few seconds each."""
        return CallStream(self.draw, self._prompt)

    def score(
        self, pairs: Sequence[tuple[str, str]], stop: Sequence[str] = (), max_tokens: int | None = None
    ) -> list[Score]:
        """Exact likelihoods; see `scoring.score_pairs`."""
        network = partial(token_scores, self.weights)
        with one_blas_thread():
            return score_pairs(network, self.codec, self.context_length, pairs, tuple(stop), max_tokens)

    def close(self) -> None:
        """Drop the weights. More than once does no harm."""
        if hasattr(self, "weights"):
            del self.weights
            trim()

    def _prompt(self, request: DrawRequest) -> list[int]:
        """The prompt's tokens, or EngineRefusal where the request cannot be."""
        return prompt_tokens(self.codec, request, self.context_length)

    def _wave(self, request: DrawRequest, prompt: list[int]) -> Wave:
        began = time.perf_counter()
        prefix = prefill(self.weights, np.array([prompt]))
        sizes = self.weights.sizes
        row_bytes = 8 * sizes.layers * sizes.kv_heads * sizes.head_dim * request.max_tokens
        rows = max(BLOCK, min(self._rows, _CACHE_BYTES // row_bytes // BLOCK * BLOCK))
        texts: list[str] = []
        finish: list[str] = []
        tokens = np.empty(request.draws, np.int64)
        for start in range(0, request.draws, rows):
            count = min(rows, request.draws - start)
            part = _Part(self, request, prefix, request.first_draw + start, count)
            texts += part.texts
            finish += part.finish
            tokens[start : start + count] = part.lengths
        seconds = time.perf_counter() - began
        return Wave(request.instance, request.first_draw, texts, tokens, finish, seconds)


class _Part:
    """Some draws of a request, decoded side by side until each has ended."""

    def __init__(
        self, engine: ReferenceEngine, request: DrawRequest, prefix: Prefix, first: int, count: int
    ) -> None:
        self._codec, self._request, self._first = engine.codec, request, first
        self._prompt: list[int] = prefix.tokens[0].tolist()
        self.lengths = np.zeros(count, np.int64)
        self.finish = ["length"] * count
        self._cut: dict[int, str] = {}
        self._tokens = np.empty((count, request.max_tokens), np.int32)
        self._is_eos = np.zeros(engine.weights.sizes.vocab, bool)
        self._is_eos[list(engine.codec.eos)] = True
        self._look = engine.codec.may_complete(request.stop) if request.stop else np.zeros_like(self._is_eos)
        self._ended_by_eos = np.zeros(count, np.int64)
        self._run(Decoder(engine.weights, prefix, count, request.max_tokens))
        self.texts = self._texts()

    def _run(self, decoder: Decoder) -> None:
        request = self._request
        key = stream_key(request.seed, request.instance)
        draws = np.arange(self._first, self._first + len(self.lengths))
        tokens: NDArray[np.int64] | None = None
        random = np.empty((0, len(draws)))
        for position in range(request.max_tokens):
            within = position % _POSITIONS_AT_ONCE
            if within == 0 and request.temperature > 0:
                ahead = min(_POSITIONS_AT_ONCE, request.max_tokens - position)
                random = uniforms(key, draws, position + np.arange(ahead)[:, None])
            # an empty place holds -1 and so borrows the last draw's number; what it draws is never looked at
            uniform = (
                random[within][decoder.rows] if request.temperature > 0 else np.zeros(decoder.rows.shape)
            )
            tokens = sample(decoder.logits(tokens), uniform, request.temperature, request.top_p)
            done = self._record(decoder.rows, tokens, position)
            if position + 1 < request.max_tokens and done.any():
                tokens = decoder.drop(done, tokens)
                if not decoder.blocks:
                    return

    def _record(self, rows: NDArray[np.int64], tokens: NDArray[np.int64], position: int) -> NDArray[np.bool_]:
        """Note the tokens drawn at a position; (blocks, BLOCK), which draws have ended."""
        alive = rows >= 0
        self._tokens[rows[alive], position] = tokens[alive]
        self.lengths[rows[alive]] = position + 1
        done = alive & self._is_eos[tokens]
        for row in rows[done]:
            self.finish[row] = "stop"
            self._ended_by_eos[row] = 1
        look = alive & ~done & self._look[tokens]
        for block, column in zip(*np.nonzero(look), strict=True):
            row = int(rows[block, column])
            text = self._codec.decode(self._tokens[row, : position + 1].tolist(), self._prompt)
            place = first_stop(text, self._request.stop)
            if place >= 0:
                done[block, column] = True
                self.finish[row] = "stop"
                self._cut[row] = text[:place]
        return done

    def _texts(self) -> list[str]:
        kept = self.lengths - self._ended_by_eos
        texts = self._codec.decode_many(
            [row[:length].tolist() for row, length in zip(self._tokens, kept, strict=True)], self._prompt
        )
        return [self._cut.get(row, text) for row, text in enumerate(texts)]
