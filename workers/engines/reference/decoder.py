"""Decodes many draws of one prompt in lock-step, bit for bit the same however they are cut into waves.

Why the result of a draw does not depend on the others. Draws stand in blocks of BLOCK columns, always full (empty
places carry a dead row), so every product has a shape that the number of draws cannot change, and `products.multiply`
takes care that the place of a draw does not matter either. The rest is element-wise or adds along an axis other than
the columns. tests/workers/engines/test_repeatability.py holds it, to the last bit, on the machine that it runs on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workers.engines.reference.network import (
    Prefix,
    add_attention,
    add_feed_forward,
    head_logits,
    normalise,
    project,
    rotary_table,
)
from workers.engines.reference.products import BLOCK, multiply
from workers.engines.reference.weights import Array, Weights

_FIRST_CAPACITY = 16


class Decoder:
    """The state of the draws that still run: their places, keys and values, and the buffers of a step.

    rows: (blocks, BLOCK), which draw of the wave stands at each place, -1 for an empty place.
    """

    def __init__(self, weights: Weights, prefix: Prefix, draws: int, max_tokens: int) -> None:
        sizes = weights.sizes
        self.weights = weights
        self.prompt_length = prefix.hidden.shape[-1]
        self.step_number = 0
        self.max_tokens = max_tokens
        # the prompt's keys and values stand once for all draws
        self.prompt_keys = [np.ascontiguousarray(k[0].swapaxes(-1, -2))[:, None] for k in prefix.keys]
        self.prompt_values = [np.ascontiguousarray(v[0])[:, None] for v in prefix.values]
        self.cos, self.sin = rotary_table(sizes, self.prompt_length + max_tokens)
        blocks = -(-draws // BLOCK)
        self.rows = np.full((blocks, BLOCK), -1, np.int64)
        self.rows.reshape(-1)[:draws] = np.arange(draws)
        self.first_logits = head_logits(weights, prefix.hidden[:1, :, -1:])
        self.keys = self._cache(blocks, min(max_tokens, _FIRST_CAPACITY))
        self.values = np.empty_like(self.keys)

        def buffer(features: int) -> Array:
            return np.empty((blocks, features, BLOCK), np.float32)

        self._x, self._h, self._exp = buffer(sizes.hidden), buffer(sizes.hidden), buffer(sizes.inner)
        self._qkv = buffer((sizes.heads + 2 * sizes.kv_heads) * sizes.head_dim)
        self._gate_up, self._logits = buffer(2 * sizes.inner), buffer(sizes.vocab)
        self._mixed, self._own = buffer(sizes.heads * sizes.head_dim), buffer(sizes.heads * sizes.head_dim)
        self._scores = np.empty(0, np.float32)

    @property
    def blocks(self) -> int:
        """Blocks that still run."""
        return len(self.rows)

    def logits(self, tokens: NDArray[np.int64] | None) -> Array:
        """Logits of the next token, (blocks, vocabulary, BLOCK), valid until the next call.

        tokens: (blocks, BLOCK), the tokens drawn last; None for the first token after the prompt.
        """
        logits = self._logits[: self.blocks]
        if tokens is None:
            logits[...] = self.first_logits
            return logits
        with np.errstate(over="ignore"):
            return self._step(tokens, logits)

    def _step(self, tokens: NDArray[np.int64], logits: Array) -> Array:
        sizes, n = self.weights.sizes, self.blocks
        own = self.step_number
        if own == self.keys.shape[3]:
            self._grow()
        position = self.prompt_length + own
        cos, sin = self.cos[:, position, None], self.sin[:, position, None]
        x, h = self._x[:n], self._h[:n]
        x[...] = self.weights.embedding[tokens].transpose(0, 2, 1)
        for index, layer in enumerate(self.weights.layers):
            normalise(x, sizes.eps, sizes.hidden, h)
            q, k, v = project(layer, sizes, h, cos, sin, multiply, self._qkv[:n])
            self.keys[index, :n, :, own], self.values[index, :n, :, own] = k, v
            add_attention(layer, x, self._attend(index, q, own + 1), multiply, h)
            add_feed_forward(layer, sizes, x, multiply, self._gate_up[:n], self._exp[:n], h)
        self.step_number += 1
        return head_logits(self.weights, x, multiply, logits)

    def _attend(self, index: int, q: Array, own: int) -> Array:
        """Attention of the queries to the prompt and to each draw's own `own` tokens."""
        n, kv_heads, groups, head_dim, _ = q.shape
        prompt = self.prompt_length
        shape = (n, kv_heads, groups, prompt + own, BLOCK)
        size = int(np.prod(shape))
        if self._scores.size < size:
            self._scores = np.empty(int(size * 1.5), np.float32)
        scores = self._scores[:size].reshape(shape)
        keys, values = self.keys[index, :n, :, :own], self.values[index, :n, :, :own]
        multiply(self.prompt_keys[index], q, scores[:, :, :, :prompt])
        np.einsum("nhgdc,nhtdc->nhgtc", q, keys, out=scores[:, :, :, prompt:])
        scores -= scores.max(axis=3, keepdims=True)
        np.exp(scores, out=scores)
        mixed = self._mixed[:n].reshape(n, kv_heads, groups, head_dim, BLOCK)
        from_own = self._own[:n].reshape(mixed.shape)
        multiply(self.prompt_values[index], scores[:, :, :, :prompt], mixed)
        np.einsum("nhgtc,nhtdc->nhgdc", scores[:, :, :, prompt:], values, out=from_own)
        mixed += from_own
        mixed /= scores.sum(axis=3, keepdims=True)
        return mixed.reshape(n, -1, BLOCK)

    def drop(self, done: NDArray[np.bool_], tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take finished draws out, and close blocks that are no longer needed.

        Few columns move: the draws of the emptiest block go to empty places of the others, and the last
        block takes its place.

        done: (blocks, BLOCK), the places whose draw has ended.
        Returns `tokens`, moved along.
        """
        self.rows[done] = -1
        while self.blocks and np.count_nonzero(self.rows >= 0) <= (self.blocks - 1) * BLOCK:
            alive = self.rows >= 0
            source = int(alive.sum(axis=1).argmin())
            columns = np.flatnonzero(alive[source])
            alive[source] = True  # its own empty places are no targets
            to_block, to_column = (axis[: len(columns)] for axis in np.nonzero(~alive))
            self._move(source, columns, to_block, to_column, tokens)
            last = self.blocks - 1
            if source != last:
                used = self.step_number
                for cache in (self.keys, self.values):
                    cache[:, source, :, :used] = cache[:, last, :, :used]
                tokens[source], self.rows[source] = tokens[last], self.rows[last]
            self.rows, tokens = self.rows[:last], tokens[:last]
        return tokens

    def _move(
        self,
        source: int,
        columns: NDArray[np.intp],
        to_block: NDArray[np.intp],
        to_column: NDArray[np.intp],
        tokens: NDArray[np.int64],
    ) -> None:
        used = self.step_number
        for cache in (self.keys, self.values):
            for layer in cache:
                layer[to_block, :, :used, :, to_column] = layer[source, :, :used, :, columns]
        tokens[to_block, to_column] = tokens[source, columns]
        self.rows[to_block, to_column] = self.rows[source, columns]

    def _cache(self, blocks: int, capacity: int) -> Array:
        sizes = self.weights.sizes
        return np.empty((sizes.layers, blocks, sizes.kv_heads, capacity, sizes.head_dim, BLOCK), np.float32)

    def _grow(self) -> None:
        used, blocks = self.step_number, self.blocks
        capacity = min(2 * used, self.max_tokens)
        for name in ("keys", "values"):
            grown = self._cache(blocks, capacity)
            grown[:, :, :, :used] = getattr(self, name)[:, :blocks, :, :used]
            setattr(self, name, grown)
