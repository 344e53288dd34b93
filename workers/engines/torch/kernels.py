"""The steps between matrix products as Triton kernels; `eager` says the same in plain PyTorch.

A step of decoding moves, beside the matrix products, each row's own keys and values once and its activations
a few times. The kernels fuse what would otherwise pass through memory again: the norm becomes one number a row that is
applied behind the next product; biases, norms of heads, rotary positions, the cache and attention over
prompt and own tokens are one kernel; sampling reads the logits once, and the block that the draw falls into twice.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from workers.engines.llama import Sizes
from workers.engines.torch.space import TILE, Space
from workers.engines.torch.weights import Layer


def row_scale(x: Tensor, out: Tensor, eps: float) -> None:
    """1 / rms(x) of each row."""
    rows, hidden = x.shape
    block = triton.next_power_of_2(hidden)
    at_once = max(1, 4096 // block)
    _row_scale[(triton.cdiv(rows, at_once),)](x, out, rows, hidden, eps, AT_ONCE=at_once, BLOCK=block)


def gate(gate_up: Tensor, scale: Tensor, out: Tensor, activation: str) -> None:
    """act(gate) * up of the scaled rows."""
    rows, inner = out.shape
    block = min(1024, triton.next_power_of_2(inner))
    silu = activation in ("silu", "swish")
    _gate[(rows, triton.cdiv(inner, block))](gate_up, scale, out, inner, SILU=silu, BLOCK=block)


def uniform_table(key: Tensor, draws: Tensor, positions: int) -> Tensor:
    """Uniform numbers of draws; see `uniforms.uniform_table`."""
    out = torch.empty(len(draws), positions, dtype=torch.float64, device=draws.device)
    block = triton.next_power_of_2(positions)
    _uniforms[(len(draws),)](key, draws, out, positions, BLOCK=block, num_warps=1)
    return out


def attend(index: int, layer: Layer, sizes: Sizes, space: Space, rows: int, longest: int) -> None:
    """One new token of each row; see `eager.attend`. How long rows are is read on the device."""
    half = sizes.head_dim // 2
    groups = triton.next_power_of_2(sizes.groups)
    bias, norm = layer.qkv_bias is not None, layer.q_norm is not None
    unused = space.scale
    _attend[(rows // TILE, sizes.kv_heads)](
        space.qkv,
        space.scale,
        layer.qkv_bias if bias else unused,
        layer.q_norm if norm else unused,
        layer.k_norm if norm else unused,
        space.keys[index],
        space.values[index],
        space.prompt_keys[index],
        space.prompt_values[index],
        space.tile_prompt,
        space.prompt_length,
        space.length,
        space.alive,
        space.cos,
        space.sin,
        space.mixed,
        sizes.eps,
        space.shape.answer,
        space.shape.prompt,
        HEADS=sizes.heads,
        KV=sizes.kv_heads,
        SIZE=sizes.head_dim,
        HALF=half,
        HALF_PADDED=max(16, triton.next_power_of_2(half)),
        SIZE_PADDED=max(16, triton.next_power_of_2(sizes.head_dim)),
        GROUPS=sizes.groups,
        GROUPS_PADDED=groups,
        TILE_ROWS=TILE,
        PROMPT_BLOCK=32,
        OWN_BLOCK=4 if groups == 1 else max(1, 8 // groups),
        BIAS=bias,
        NORM=norm,
        PRECISION="ieee" if space.keys.dtype == torch.float32 else "tf32",
        num_warps=2 if groups == 1 else 4,
    )


def sample(
    logits: Tensor, scale: Tensor | None, sources: Tensor, rows: Tensor, space: Space, nucleus: bool
) -> None:
    """Draw the next token of each living row among `rows`; see `eager.sample`, which also serves top-p."""
    if nucleus:
        from workers.engines.torch import eager

        eager.sample(logits, scale, sources, rows, space, nucleus)
        return
    vocab = logits.shape[1]
    block = min(4096, triton.next_power_of_2(vocab))
    _sample[(len(rows),)](
        logits,
        space.scale if scale is None else scale,
        sources,
        rows,
        space.inverse_temperature,
        space.uniforms,
        space.ends,
        space.stop_set,
        space.limit,
        space.token,
        space.length,
        space.alive,
        space.out,
        vocab,
        space.shape.answer,
        SCALED=scale is not None,
        BLOCK=block,
        BLOCKS=triton.next_power_of_2(triton.cdiv(vocab, block)),
        num_warps=4 if block < 2048 else 8,
    )


@triton.jit
def _uniforms(key, draws, out, positions, BLOCK: tl.constexpr):
    """Philox4x32-10; integers as in `reference.philox`."""
    row = tl.program_id(0)
    place = tl.arange(0, BLOCK)
    draw = tl.load(draws + row)
    k0, k1 = tl.load(key + 2 * row).to(tl.uint32), tl.load(key + 2 * row + 1).to(tl.uint32)
    c0 = tl.zeros((BLOCK,), tl.uint32) + (draw & 0xFFFFFFFF).to(tl.uint32)
    c1 = tl.zeros((BLOCK,), tl.uint32) + (draw >> 32).to(tl.uint32)
    c2 = place.to(tl.uint32)
    c3 = tl.zeros((BLOCK,), tl.uint32)
    for _ in tl.static_range(10):
        left = c0.to(tl.uint64) * 0xD2511F53
        right = c2.to(tl.uint64) * 0xCD9E8D57
        c0 = (right >> 32).to(tl.uint32) ^ c1 ^ k0
        c1 = right.to(tl.uint32)
        c2 = (left >> 32).to(tl.uint32) ^ c3 ^ k1
        c3 = left.to(tl.uint32)
        k0 += 0x9E3779B9
        k1 += 0xBB67AE85
    bits = ((c0 >> 5).to(tl.uint64) << 26) | (c1 >> 6).to(tl.uint64)
    tl.store(
        out + row * positions + place, bits.to(tl.float64) * 1.1102230246251565e-16, mask=place < positions
    )


@triton.jit
def _row_scale(x, out, rows, hidden, eps, AT_ONCE: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0) * AT_ONCE + tl.arange(0, AT_ONCE)
    column = tl.arange(0, BLOCK)
    inside = (row < rows)[:, None] & (column < hidden)[None, :]
    values = tl.load(x + row[:, None].to(tl.int64) * hidden + column[None, :], mask=inside, other=0.0)
    values = values.to(tl.float32)
    scale = tl.rsqrt(tl.sum(values * values, 1) / hidden + eps)
    tl.store(out + row, scale, mask=row < rows)


@triton.jit
def _gate(gate_up, scale, out, inner, SILU: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < inner
    factor = tl.load(scale + row)
    gate = tl.load(gate_up + row * 2 * inner + column, mask=inside, other=0.0).to(tl.float32) * factor
    up = tl.load(gate_up + row * 2 * inner + inner + column, mask=inside, other=0.0).to(tl.float32) * factor
    if SILU:
        act = gate / (1.0 + tl.exp(-gate))
    else:
        arg = 0.7978845608028654 * (gate + 0.044715 * gate * gate * gate)
        act = gate * (1.0 - 1.0 / (1.0 + tl.exp(2.0 * arg)))  # gate (1 + tanh(arg)) / 2
    tl.store(out + row * inner + column, (act * up).to(out.dtype.element_ty), mask=inside)


@triton.jit
def _attend(
    qkv, scale, bias, q_norm, k_norm, keys, values, prompt_keys, prompt_values, tile_prompt, prompt_length,
    length, alive, cos, sin, mixed, eps, answer, prompt_room,
    HEADS: tl.constexpr, KV: tl.constexpr, SIZE: tl.constexpr, HALF: tl.constexpr,
    HALF_PADDED: tl.constexpr, SIZE_PADDED: tl.constexpr, GROUPS: tl.constexpr, GROUPS_PADDED: tl.constexpr,
    TILE_ROWS: tl.constexpr, PROMPT_BLOCK: tl.constexpr, OWN_BLOCK: tl.constexpr,
    BIAS: tl.constexpr, NORM: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """A program is a tile of rows of one prompt and one key/value head; its columns j are (row, query head)."""
    tile, kv_head = tl.program_id(0), tl.program_id(1)
    j = tl.arange(0, TILE_ROWS * GROUPS_PADDED)
    group = j % GROUPS_PADDED
    row = (tile * TILE_ROWS + j // GROUPS_PADDED).to(tl.int64)
    living = tl.load(alive + row)
    if tl.max(living, 0) == 0:
        return
    kind = keys.dtype.element_ty
    half, whole = tl.arange(0, HALF_PADDED), tl.arange(0, SIZE_PADDED)
    in_half, in_whole = (half < HALF)[None, :], (whole < SIZE)[None, :]
    factor = tl.load(scale + row)[:, None]
    own = tl.maximum(tl.load(length + row) - 1, 0)
    which = tl.load(tile_prompt + tile).to(tl.int64)
    known = tl.load(prompt_length + which)
    turn = (known + own)[:, None] * HALF + half[None, :]
    c = tl.load(cos + turn, mask=in_half, other=0.0)
    s = tl.load(sin + turn, mask=in_half, other=0.0)

    # queries, keys and values of the new token, halves apart for the rotation
    width = (HEADS + 2 * KV) * SIZE
    head = kv_head * GROUPS + group
    asked = in_half & (group < GROUPS)[:, None]
    q_at = head[:, None] * SIZE + half[None, :]
    k_at = (HEADS + kv_head) * SIZE + half[None, :]
    v_at = (HEADS + KV + kv_head) * SIZE + whole[None, :]
    base = qkv + row[:, None] * width
    q1 = tl.load(base + q_at, mask=asked, other=0.0).to(tl.float32) * factor
    q2 = tl.load(base + q_at + HALF, mask=asked, other=0.0).to(tl.float32) * factor
    k1 = tl.load(base + k_at, mask=in_half, other=0.0).to(tl.float32) * factor
    k2 = tl.load(base + k_at + HALF, mask=in_half, other=0.0).to(tl.float32) * factor
    v = tl.load(base + v_at, mask=in_whole, other=0.0).to(tl.float32) * factor
    if BIAS:
        q1 += tl.load(bias + q_at, mask=asked, other=0.0)
        q2 += tl.load(bias + q_at + HALF, mask=asked, other=0.0)
        k1 += tl.load(bias + k_at, mask=in_half, other=0.0)
        k2 += tl.load(bias + k_at + HALF, mask=in_half, other=0.0)
        v += tl.load(bias + v_at, mask=in_whole, other=0.0)
    if NORM:
        q_rms = tl.rsqrt((tl.sum(q1 * q1, 1) + tl.sum(q2 * q2, 1)) / SIZE + eps)[:, None]
        k_rms = tl.rsqrt((tl.sum(k1 * k1, 1) + tl.sum(k2 * k2, 1)) / SIZE + eps)[:, None]
        first, second = half[None, :], half[None, :] + HALF
        q1 *= q_rms * tl.load(q_norm + first, mask=in_half, other=0.0)
        q2 *= q_rms * tl.load(q_norm + second, mask=in_half, other=0.0)
        k1 *= k_rms * tl.load(k_norm + first, mask=in_half, other=0.0)
        k2 *= k_rms * tl.load(k_norm + second, mask=in_half, other=0.0)
    rq1, rq2 = q1 * c - q2 * s, q2 * c + q1 * s
    rk1, rk2 = (k1 * c - k2 * s).to(kind), (k2 * c + k1 * s).to(kind)
    rv = v.to(kind)

    # the cache; each key/value head of a row is written once
    writes = ((group == 0) & (living > 0))[:, None]
    line = ((row * KV + kv_head) * answer)[:, None]
    place = (line + own[:, None]) * SIZE
    tl.store(keys + place + half[None, :], rk1, mask=writes & in_half)
    tl.store(keys + place + HALF + half[None, :], rk2, mask=writes & in_half)
    tl.store(values + place + whole[None, :], rv, mask=writes & in_whole)

    # the prompt, shared by the tile: matrix products
    a1, a2 = rq1.to(kind), rq2.to(kind)
    top = tl.full((TILE_ROWS * GROUPS_PADDED,), float("-inf"), tl.float32)
    total = tl.zeros((TILE_ROWS * GROUPS_PADDED,), tl.float32)
    sums = tl.zeros((TILE_ROWS * GROUPS_PADDED, SIZE_PADDED), tl.float32)
    shelf = (which * KV + kv_head) * prompt_room
    for start in range(0, known, PROMPT_BLOCK):
        p = start + tl.arange(0, PROMPT_BLOCK)
        there = p < known
        column = (shelf + p)[None, :] * SIZE + half[:, None]
        inside = there[None, :] & (half < HALF)[:, None]
        b1 = tl.load(prompt_keys + column, mask=inside, other=0.0)
        b2 = tl.load(prompt_keys + column + HALF, mask=inside, other=0.0)
        score = tl.dot(a1, b1, input_precision=PRECISION) + tl.dot(a2, b2, input_precision=PRECISION)
        score = tl.where(there[None, :], score, float("-inf"))
        higher = tl.maximum(top, tl.max(score, 1))
        fade = tl.exp(top - higher)
        weight = tl.exp(score - higher[:, None])
        total = total * fade + tl.sum(weight, 1)
        b = tl.load(
            prompt_values + (shelf + p)[:, None] * SIZE + whole[None, :],
            mask=there[:, None] & in_whole, other=0.0,
        )  # fmt: skip
        sums = sums * fade[:, None] + tl.dot(weight.to(kind), b, input_precision=PRECISION)
        top = higher

    # the row's own earlier tokens: products of one row each, bound by reading the cache once
    for start in range(0, tl.max(own, 0), OWN_BLOCK):
        t = start + tl.arange(0, OWN_BLOCK)
        there = t[None, :] < own[:, None]
        cell = ((line + t[None, :]) * SIZE)[:, :, None]
        inside = there[:, :, None] & in_half[None, :, :]
        o1 = tl.load(keys + cell + half[None, None, :], mask=inside, other=0.0).to(tl.float32)
        o2 = tl.load(keys + cell + HALF + half[None, None, :], mask=inside, other=0.0).to(tl.float32)
        score = tl.sum(o1 * rq1[:, None, :] + o2 * rq2[:, None, :], 2)
        score = tl.where(there, score, float("-inf"))
        higher = tl.maximum(top, tl.max(score, 1))
        fade = tl.exp(top - higher)
        weight = tl.exp(score - higher[:, None])
        total = total * fade + tl.sum(weight, 1)
        o = tl.load(
            values + cell + whole[None, None, :], mask=there[:, :, None] & in_whole[None, :, :], other=0.0
        ).to(tl.float32)
        sums = sums * fade[:, None] + tl.sum(o * weight[:, :, None], 1)
        top = higher

    score = tl.sum(rk1.to(tl.float32) * rq1 + rk2.to(tl.float32) * rq2, 1)
    higher = tl.maximum(top, score)
    fade, weight = tl.exp(top - higher), tl.exp(score - higher)
    total = total * fade + weight
    sums = sums * fade[:, None] + rv.to(tl.float32) * weight[:, None]
    result = (sums / total[:, None]).to(kind)
    to = row[:, None] * (HEADS * SIZE) + head[:, None] * SIZE + whole[None, :]
    tl.store(mixed + to, result, mask=in_whole & (group < GROUPS)[:, None])


@triton.jit
def _sample(
    logits, scale, sources, rows, inverse_temperature, uniforms, ends, stop_set, limit, token, length, alive,
    out, vocab, answer, SCALED: tl.constexpr, BLOCK: tl.constexpr, BLOCKS: tl.constexpr,
):  # fmt: skip
    row = tl.load(rows + tl.program_id(0))
    if tl.load(alive + row) == 0:
        return
    source = tl.load(sources + tl.program_id(0))
    line = logits + source * vocab
    factor = 1.0
    if SCALED:
        factor = tl.load(scale + source)
    warm = tl.load(inverse_temperature + row)
    place = tl.load(length + row)
    column = tl.arange(0, BLOCK)

    # Each block's largest logit and its sum of weights relative to that; read once, so the logits are too.
    number = tl.arange(0, BLOCKS)
    tops = tl.full((BLOCKS,), float("-inf"), tl.float32)
    sums = tl.zeros((BLOCKS,), tl.float32)
    top = float("-inf")
    best = 0
    odd = 0
    for block in range(tl.cdiv(vocab, BLOCK)):
        at = block * BLOCK + column
        value = tl.load(line + at, mask=at < vocab, other=float("-inf")).to(tl.float32) * factor
        odd += tl.sum((value != value).to(tl.int32), 0)
        high = tl.max(value, 0)
        if high > top:
            best = block * BLOCK + tl.argmax(value, 0)
        top = tl.maximum(top, high)
        tops = tl.where(number == block, high, tops)
        sums = tl.where(number == block, tl.sum(tl.exp((value - high) * warm), 0), sums)

    chosen = best
    if warm > 0:
        weights = sums * tl.exp((tops - top) * warm)
        target = (tl.load(uniforms + row * answer + place) * tl.sum(weights, 0)).to(tl.float32)
        passed = tl.cumsum(weights, 0)
        # Sums and running sums may differ in the last bit: never beyond the last block, or token, that has a weight.
        block = tl.minimum(
            tl.sum((passed <= target).to(tl.int32), 0), tl.max(tl.where(weights > 0, number, 0), 0)
        )
        before = tl.sum(tl.where(number < block, weights, 0.0), 0)
        at = block * BLOCK + column
        value = tl.load(line + at, mask=at < vocab, other=float("-inf")).to(tl.float32) * factor
        weight = tl.exp((value - top) * warm)
        within = tl.sum((before + tl.cumsum(weight, 0) <= target).to(tl.int32), 0)
        chosen = block * BLOCK + tl.minimum(within, tl.max(tl.where(weight > 0, column, 0), 0))
    finite = (odd == 0) & (top < float("inf")) & (top > float("-inf"))
    chosen = tl.where(finite, chosen, -1)
    tl.store(out + row * answer + place, chosen)
    chosen = tl.maximum(chosen, 0)
    tl.store(token + row, chosen.to(tl.int64))
    tl.store(length + row, place + 1)
    end = tl.load(ends + tl.load(stop_set + row) * vocab + chosen)
    over = (end > 0) | (place + 1 >= tl.load(limit + row)) | (finite == 0)
    tl.store(alive + row, tl.where(over, 0, 1).to(tl.int8))
