"""From logits and one uniform number a row to tokens: temperature, top-p, inverse cumulative distribution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workers.engines.base import EngineGarbage

_ELEMENTS_AT_ONCE = 1 << 20


def sample(
    logits: NDArray[np.float32], uniform: NDArray[np.float64], temperature: float, top_p: float
) -> NDArray[np.int64]:
    """Draw one token a row.

    logits: (blocks, vocabulary, rows).
    uniform: (blocks, rows), in [0, 1).
    Returns (blocks, rows).
    Raises EngineGarbage: logits that are not finite.
    """
    blocks, vocab, rows = logits.shape
    # float64 copies of a large vocabulary must not fill memory
    step = max(1, _ELEMENTS_AT_ONCE // (vocab * rows))
    tokens = np.empty((blocks, rows), np.int64)
    for start in range(0, blocks, step):
        part = slice(start, start + step)
        tokens[part] = _sample(logits[part], uniform[part], temperature, top_p)
    return tokens


def _sample(
    logits: NDArray[np.float32], uniform: NDArray[np.float64], temperature: float, top_p: float
) -> NDArray[np.int64]:
    top = logits.max(axis=1, keepdims=True)
    if not np.isfinite(top).all():  # a maximum carries NaN and infinity along
        raise EngineGarbage("the logits are not finite; the weights are damaged or overflow in float32")
    if temperature == 0:
        return logits.argmax(axis=1)
    weights = np.subtract(logits, top, dtype=np.float64)
    with np.errstate(over="ignore"):
        weights /= temperature
    np.exp(weights, out=weights)
    if top_p < 1:
        keep_nucleus(weights, top_p)
    np.cumsum(weights, axis=1, out=weights)
    total = weights[:, -1]
    # Rounding may carry uniform * total up to the total itself; one step below it a token of probability >
    # 0 is left.
    target = np.minimum(uniform * total, np.nextafter(total, 0.0))
    # Tokens whose cumulative weight is not above the target are passed over, so a token of weight 0 is
    # never drawn.
    return (weights <= target[:, None]).sum(axis=1, dtype=np.int64)


def keep_nucleus(weights: NDArray[np.float64], top_p: float) -> None:
    """Set to 0, in place, all but the likeliest tokens that together hold `top_p`.

    The token that reaches `top_p` is kept, and equal weights are kept in the order of their ids.

    weights: (blocks, vocabulary, rows), not normalised.
    """
    order = np.argsort(-weights, axis=1, kind="stable")
    ranked = np.take_along_axis(weights, order, axis=1)
    before = np.cumsum(ranked, axis=1)
    total = before[:, -1:].copy()
    before -= ranked
    ranked[before >= top_p * total] = 0.0
    np.put_along_axis(weights, order, ranked, axis=1)
