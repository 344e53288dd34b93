"""The forward pass of a Llama-shaped network in NumPy.

Activations are *feature-major*: (blocks, features, columns). A column is a row of the batch while decoding
and a position of the sequence in a prefill, so both share this code, and every element-wise step, rotary
positions included, runs over contiguous columns. The `product` of matrices is the caller's: `products.multiply` while
decoding, so that the place of a draw does not matter; `numpy.matmul` in a prefill, whose columns never change places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from workers.engines.reference.products import Product
from workers.engines.reference.weights import Array, Layer, Sizes, Weights


@dataclass(frozen=True, eq=False)
class Prefix:
    """Keys and values of sequences, by layer (sequences, kv_heads, head_dim, length), and last states.

    tokens: (sequences, length).
    """

    tokens: np.ndarray
    keys: list[Array]
    values: list[Array]
    hidden: Array


def rotary_table(sizes: Sizes, positions: int) -> tuple[Array, Array]:
    """(cos, sin), each (head_dim / 2, positions), rounded as the transformers library rounds them."""
    exponents = np.arange(0, sizes.head_dim, 2, dtype=np.float32) / np.float32(sizes.head_dim)
    frequencies = np.float32(1.0) / np.power(np.float32(sizes.rope_theta), exponents)
    angles = frequencies[:, None] * np.arange(positions, dtype=np.float32)
    return np.cos(angles), np.sin(angles)


def rotate(heads: Array, cos: Array, sin: Array) -> None:
    """Rotary positions, in place: heads (..., head_dim, columns), cos, sin (head_dim / 2, columns or 1)."""
    half = heads.shape[-2] // 2
    first, second = heads[..., :half, :], heads[..., half:, :]
    turned = first * sin
    first *= cos
    first -= second * sin
    second *= cos
    second += turned


def normalise(x: Array, eps: float, axis_size: int, out: Array | None = None) -> Array:
    """x / rms(x) over the features, (blocks, features, columns); the weight is in the next matrix."""
    scale = np.einsum("nfc,nfc->nc", x, x)
    scale /= np.float32(axis_size)
    scale += np.float32(eps)
    np.sqrt(scale, out=scale)
    return np.divide(x, scale[:, None], out=out)


def _normalise_heads(heads: Array, weight: Array, eps: float) -> None:
    """The norm of q or k that Qwen3 has, in place: heads (blocks, heads, head_dim, columns)."""
    scale = np.einsum("nhdc,nhdc->nhc", heads, heads) / np.float32(heads.shape[2])
    heads /= np.sqrt(scale + np.float32(eps))[:, :, None]
    heads *= weight


def project(
    layer: Layer,
    sizes: Sizes,
    h: Array,
    cos: Array,
    sin: Array,
    product: Product = np.matmul,
    out: Any = None,
) -> tuple[Array, Array, Array]:
    """Queries, keys and values: (blocks, kv_heads, head_dim, columns), queries with groups after kv_heads."""
    blocks, _, columns = h.shape
    qkv = product(layer.qkv, h, out)
    if layer.qkv_bias is not None:
        qkv += layer.qkv_bias
    by_head = qkv.reshape(blocks, sizes.heads + 2 * sizes.kv_heads, sizes.head_dim, columns)
    q, k, v = np.split(by_head, [sizes.heads, sizes.heads + sizes.kv_heads], axis=1)
    if layer.q_norm is not None and layer.k_norm is not None:
        _normalise_heads(q, layer.q_norm, sizes.eps)
        _normalise_heads(k, layer.k_norm, sizes.eps)
    rotate(by_head[:, : sizes.heads + sizes.kv_heads], cos, sin)
    return q.reshape(blocks, sizes.kv_heads, sizes.groups, sizes.head_dim, columns), k, v


def add_attention(
    layer: Layer, x: Array, mixed: Array, product: Product = np.matmul, out: Any = None
) -> None:
    """x += out_proj(mixed), in place; mixed is (blocks, heads * head_dim, columns)."""
    x += product(layer.out, mixed, out)
    if layer.out_bias is not None:
        x += layer.out_bias


def add_feed_forward(
    layer: Layer,
    sizes: Sizes,
    x: Array,
    product: Product = np.matmul,
    out: Any = None,
    exp: Any = None,
    h: Any = None,
) -> None:
    """x += down(act(gate) * up), in place; `out`, `exp` and `h` are buffers."""
    normed = normalise(x, sizes.eps, sizes.hidden, h)
    gate_up = product(layer.gate_up, normed, out)
    gate, up = gate_up[:, : sizes.inner], gate_up[:, sizes.inner :]
    if sizes.activation in ("silu", "swish"):
        # gate and up carry turned signs, see weights.py; exp may overflow to infinity, and gate / infinity
        # is 0
        exp = np.exp(gate, out=exp)
        exp += np.float32(1.0)
        gate /= exp
    else:
        _gelu(gate)
    gate *= up
    x += product(layer.down, gate, normed)


def _gelu(gate: Array) -> None:
    """The tanh form of GELU, in place."""
    inner = np.float32((2 / np.pi) ** 0.5) * (gate + np.float32(0.044715) * gate * gate * gate)
    gate *= np.float32(0.5) * (np.float32(1.0) + np.tanh(inner))


def head_logits(weights: Weights, x: Array, product: Product = np.matmul, out: Any = None) -> Array:
    """(blocks, vocabulary, columns)."""
    return product(weights.head, normalise(x, weights.sizes.eps, weights.sizes.hidden), out)


def prefill(weights: Weights, tokens: np.ndarray) -> Prefix:
    """Run whole sequences of one length, causally.

    Every matrix product is (out, in) @ (in, length) for one sequence, so a sequence's result does not
    depend on those that run beside it.

    tokens: (sequences, length).
    """
    sizes = weights.sizes
    count, length = tokens.shape
    x = np.ascontiguousarray(weights.embedding[tokens].transpose(0, 2, 1))
    cos, sin = rotary_table(sizes, length)
    future = np.tril(np.ones((length, length), dtype=bool), -1)  # [key, query]: key after query
    keys, values = [], []
    with np.errstate(over="ignore"):
        for layer in weights.layers:
            q, k, v = project(layer, sizes, normalise(x, sizes.eps, sizes.hidden), cos, sin)
            scores = np.matmul(k.swapaxes(-1, -2)[:, :, None], q)
            scores[..., future] = -np.inf
            scores -= scores.max(axis=-2, keepdims=True)
            np.exp(scores, out=scores)
            mixed = np.matmul(v[:, :, None], scores)
            mixed /= scores.sum(axis=-2, keepdims=True)
            add_attention(layer, x, mixed.reshape(count, sizes.heads * sizes.head_dim, length))
            add_feed_forward(layer, sizes, x)
            keys.append(k)
            values.append(v)
    return Prefix(tokens, keys, values, x)
