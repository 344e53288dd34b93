"""The reference engine: draws and exact likelihoods of a Llama-shaped checkpoint, with NumPy alone."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from firstlight.registry.model_folder import ModelFolder, ModelFolderError, read_model_folder
from firstlight.registry.strict_json import StrictJsonError, strict_loads
from numpy.typing import NDArray

from workers.engines.base import DrawRequest, EngineRefusal, Score, Wave, check_context, check_request
from workers.engines.reference.blas import one_blas_thread
from workers.engines.reference.decoder import BLOCK, Decoder
from workers.engines.reference.likelihood import score_pairs
from workers.engines.reference.network import Prefix, prefill
from workers.engines.reference.philox import stream_key, uniforms
from workers.engines.reference.sampling import sample
from workers.engines.reference.text import TextCodec, first_stop
from workers.engines.reference.weights import Weights, load_weights

VERSION = "1"  # raised when a change of the code may change draws
MAX_GENERATION_CONFIG_BYTES = 1_000_000
_CACHE_BYTES = 1 << 28
_POSITIONS_AT_ONCE = 16


class ReferenceEngine:
    """Opens a checkpoint folder.

    :param path: folder with config.json, tokenizer.json and safetensors files
    :param rows: draws decoded side by side at most; changes speed and memory, never a draw
    :raises EngineRefusal: the folder is broken, or its architecture or an option of it is not run
    """

    name = "reference"

    def __init__(self, path: str | Path, *, rows: int = 256) -> None:
        if rows < 1:
            raise EngineRefusal(f"rows is {rows}, expected at least 1")
        try:
            folder = read_model_folder(path)
        except ModelFolderError as error:
            raise EngineRefusal(str(error)) from error
        self.weights: Weights = load_weights(folder)
        sizes = self.weights.sizes
        self.codec = TextCodec(folder.path / "tokenizer.json", sizes.vocab, _eos_ids(folder))
        self.context_length = sizes.context
        self.fingerprint = f"reference {VERSION}, numpy {np.__version__}, {folder.digest}, float32"
        self._rows = rows

    def draw(self, requests: Sequence[DrawRequest]) -> list[Wave]:
        """One wave a request; every text depends on (seed, instance, draw number) and the checkpoint only.

        :raises EngineRefusal: a request that cannot be, before anything is drawn
        """
        prompts = []
        for request in requests:
            check_request(request)
            try:
                ids = self.codec.encode_prompt(request.prompt)
            except EngineRefusal as error:
                raise EngineRefusal(f"instance {request.instance!r}: {error}") from error
            check_context(f"instance {request.instance!r}", len(ids), request.max_tokens, self.context_length)
            prompts.append(ids)
        with one_blas_thread():
            return [self._wave(request, ids) for request, ids in zip(requests, prompts, strict=True)]

    def score(self, pairs: Sequence[tuple[str, str]], stop: Sequence[str] = ()) -> list[Score]:
        """Exact likelihoods; see `likelihood.score_pairs`."""
        with one_blas_thread():
            return score_pairs(self.weights, self.codec, pairs, tuple(stop))

    def close(self) -> None:
        """Nothing is held but memory."""

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
            text = self._codec.decode(self._tokens[row, : position + 1].tolist())
            place = first_stop(text, self._request.stop)
            if place >= 0:
                done[block, column] = True
                self.finish[row] = "stop"
                self._cut[row] = text[:place]
        return done

    def _texts(self) -> list[str]:
        kept = self.lengths - self._ended_by_eos
        texts = self._codec.decode_many(
            [row[:length].tolist() for row, length in zip(self._tokens, kept, strict=True)]
        )
        return [self._cut.get(row, text) for row, text in enumerate(texts)]


def _eos_ids(folder: ModelFolder) -> frozenset[int]:
    """End-of-sequence ids: generation_config.json's, else config.json's; one number or a list."""
    file = folder.path / "generation_config.json"
    found = None
    if file.is_file():
        try:
            if file.stat().st_size > MAX_GENERATION_CONFIG_BYTES:
                raise EngineRefusal(f"{file}: too large for a generation_config.json")
            content = strict_loads(file.read_bytes())
        except (StrictJsonError, OSError) as error:
            raise EngineRefusal(f"{file} {error}") from error
        found = content.get("eos_token_id") if isinstance(content, dict) else None
    if found is None:
        found = folder.config.get("eos_token_id")
    ids = [] if found is None else found if isinstance(found, list) else [found]
    for token in ids:
        if type(token) is not int or not 0 <= token < folder.vocab_size:
            raise EngineRefusal(
                f"{folder.path}: eos_token_id {json.dumps(token)} is not an id below {folder.vocab_size}"
            )
    return frozenset(ids)
