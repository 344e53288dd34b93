"""The steps between matrix products in plain PyTorch: what the CPU runs, and the oracle of the Triton kernels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from workers.engines.llama import Sizes
from workers.engines.torch.space import TILE, Space
from workers.engines.torch.uniforms import uniform_table
from workers.engines.torch.weights import Layer

__all__ = ["attend", "gate", "row_scale", "sample", "uniform_table"]

_ROWS_AT_ONCE = 1024


def row_scale(x: Tensor, out: Tensor, eps: float) -> None:
    """1 / rms(x) of each row. It is applied behind the next matrix product, which commutes with it."""
    wide = x.float()
    torch.rsqrt(wide.square().mean(-1) + eps, out=out)


def gate(gate_up: Tensor, scale: Tensor, out: Tensor, activation: str) -> None:
    """act(gate) * up of the scaled rows."""
    first, second = (gate_up.float() * scale[:, None]).chunk(2, -1)
    act = F.silu(first) if activation in ("silu", "swish") else F.gelu(first, approximate="tanh")
    out.copy_(act * second)


def rotated(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions: heads (..., head_dim), cos and sin broadcast to (..., head_dim / 2)."""
    first, second = heads.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


def split_heads(
    layer: Layer, sizes: Sizes, qkv: Tensor, scale: Tensor, cos: Tensor, sin: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries (..., heads, head_dim), keys and values (..., kv_heads, head_dim) in float32, in their positions.

    qkv: (..., width). scale: (...,). cos, sin: (..., head_dim / 2).
    """
    wide = qkv.float() * scale[..., None]
    if layer.qkv_bias is not None:
        wide = wide + layer.qkv_bias
    by_head = wide.unflatten(-1, (sizes.heads + 2 * sizes.kv_heads, sizes.head_dim))
    q, k, v = by_head.split([sizes.heads, sizes.kv_heads, sizes.kv_heads], -2)
    if layer.q_norm is not None and layer.k_norm is not None:
        q = q * torch.rsqrt(q.square().mean(-1, keepdim=True) + sizes.eps) * layer.q_norm
        k = k * torch.rsqrt(k.square().mean(-1, keepdim=True) + sizes.eps) * layer.k_norm
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    return rotated(q, cos, sin), rotated(k, cos, sin), v


def attend(index: int, layer: Layer, sizes: Sizes, space: Space, rows: int, longest: int) -> None:
    """One new token of each row: cache its key and value, attend to the prompt and to the row's own tokens.

    longest: no row has drawn more tokens than this.
    """
    dtype = space.keys.dtype
    own = (space.length[:rows].long() - 1).clamp_min(0)
    prompts = space.tile_prompt[: rows // TILE].long()
    known = space.prompt_length[prompts].long()
    at = known.repeat_interleave(TILE) + own
    q, k, v = split_heads(layer, sizes, space.qkv[:rows], space.scale[:rows], space.cos[at], space.sin[at])
    keys, values = space.keys[index, :rows], space.values[index, :rows]
    every = space.every[:rows]
    keys[every, :, own] = k.to(dtype)
    values[every, :, own] = v.to(dtype)

    groups, kv, size = sizes.groups, sizes.kv_heads, sizes.head_dim
    q = q.view(rows, kv, groups, size)
    most = int(space.prompt_length.max()) if space.shape.prompts == 1 else space.shape.prompt
    prompt_keys = space.prompt_keys[index, prompts, :, :most].float()  # (tiles, kv, prompt, head_dim)
    prompt_values = space.prompt_values[index, prompts, :, :most].float()
    tiled = q.view(-1, TILE, kv, groups, size).permute(0, 2, 1, 3, 4).reshape(-1, kv, TILE * groups, size)
    shared = tiled @ prompt_keys.transpose(-1, -2)  # (tiles, kv, TILE * groups, prompt)
    beyond = torch.arange(most, device=q.device) >= known[:, None]
    shared.masked_fill_(beyond[:, None, None, :], float("-inf"))
    longest = min(longest, space.shape.answer)
    separate = torch.einsum("rhgd,rhtd->rhgt", q, keys[:, :, :longest].float())
    later = torch.arange(longest, device=q.device) > own[:, None]
    separate.masked_fill_(later[:, None, None, :], float("-inf"))

    by_row = shared.view(-1, kv, TILE, groups, most).transpose(1, 2).reshape(rows, kv, groups, most)
    weights = torch.cat([by_row, separate], -1).softmax(-1)
    of_prompt, of_own = weights.split([most, longest], -1)
    tiled = of_prompt.reshape(-1, TILE, kv, groups, most).transpose(1, 2).reshape(-1, kv, TILE * groups, most)
    mixed = (tiled @ prompt_values).view(-1, kv, TILE, groups, size).transpose(1, 2)
    mixed = mixed.reshape(rows, kv, groups, size)
    mixed = mixed + torch.einsum("rhgt,rhtd->rhgd", of_own, values[:, :, :longest].float())
    space.mixed[:rows].copy_(mixed.reshape(rows, -1))


def sample(
    logits: Tensor, scale: Tensor | None, sources: Tensor, rows: Tensor, space: Space, nucleus: bool
) -> None:
    """Draw the next token of each living row among `rows` by the inverse of the cumulative distribution.

    logits: (sources, vocabulary); row rows[i] draws from logits[sources[i]].
    scale: (sources,) or None, applied to the logits.
    nucleus: whether any row has top-p below 1.
    """
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        source = sources[start : start + _ROWS_AT_ONCE]
        values = logits[source].float()
        if scale is not None:
            values = values * scale[source, None]
        _record(part, _choose(values, part, space, nucleus), space)


def _choose(values: Tensor, rows: Tensor, space: Space, nucleus: bool) -> Tensor:
    """Tokens (rows,), or -1 where the logits are not finite."""
    top, greedy = values.max(-1)
    warm = space.inverse_temperature[rows]
    wide = torch.float64 if values.device.type == "cpu" else torch.float32
    weights = ((values - top[:, None]).to(wide) * warm[:, None].to(wide)).exp()
    if nucleus:
        weights = _nucleus(weights, space.top_p[rows].to(wide))
    summed = weights.cumsum(-1)
    total = summed[:, -1]
    place = space.length[rows].long().clamp_max(space.shape.answer - 1)
    # Rounding may carry uniform * total up to the total itself; one step below it a token of probability > 0 is left.
    target = torch.minimum(
        (space.uniforms[rows, place] * total).to(wide), torch.nextafter(total, torch.zeros_like(total))
    )
    chosen = (summed <= target[:, None]).sum(-1)
    chosen = torch.where(warm > 0, chosen, greedy)
    return torch.where(torch.isfinite(top), chosen, -1)


def _nucleus(weights: Tensor, top_p: Tensor) -> Tensor:
    """Weights with all but the likeliest tokens that together hold top-p set to 0; ties in the order of ids."""
    ranked, order = weights.sort(dim=-1, descending=True, stable=True)
    before = ranked.cumsum(-1)
    total = before[:, -1:].clone()
    before -= ranked
    ranked = ranked.masked_fill(before >= top_p[:, None] * total, 0.0)
    return torch.zeros_like(weights).scatter_(-1, order, ranked)


def _record(rows: Tensor, chosen: Tensor, space: Space) -> None:
    alive = space.alive[rows] > 0
    place = space.length[rows].long().clamp_max(space.shape.answer - 1)
    token = chosen.clamp_min(0)
    space.out[rows, place] = torch.where(alive, chosen.int(), space.out[rows, place])
    space.token[rows] = torch.where(alive, token, space.token[rows])
    length = space.length[rows] + alive.int()
    space.length[rows] = length
    ended = (
        (space.ends[space.stop_set[rows].long(), token] > 0) | (length >= space.limit[rows]) | (chosen < 0)
    )
    space.alive[rows] = (alive & ~ended).to(torch.int8)
