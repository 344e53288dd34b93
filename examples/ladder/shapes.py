"""One shape rule for the whole ladder, and what follows from a size: tokens, batch, learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from examples.ladder.tokenizer import VOCAB_SIZE

HEAD_DIM = 32
ROPE_THETA = 10_000.0
NORM_EPS = 1e-5
WIDTHS = (32, 48, 64, 80, 96, 128, 160, 192, 224)
TOKENS_PER_PARAMETER = 20.0


@dataclass(frozen=True)
class Shape:
    """A Llama shape that its width `d` alone decides."""

    d: int

    @property
    def heads(self) -> int:
        return math.ceil(self.d / HEAD_DIM)

    @property
    def layers(self) -> int:
        return 1 + self.d // 32

    @property
    def d_ff(self) -> int:
        return self.d * 5 // 2

    @property
    def n_params(self) -> int:
        """Non-embedding parameters, norms counted, the (tied) embedding not."""
        layer = 4 * self.d * HEAD_DIM * self.heads + 3 * self.d * self.d_ff + 2 * self.d
        return self.layers * layer + self.d

    @property
    def name(self) -> str:
        n = self.n_params
        return f"ladder-{n / 1e6:.1f}m" if n >= 950_000 else f"ladder-{n / 1e3:.0f}k"

    def parameters(self) -> list[tuple[str, tuple[int, ...], float]]:
        """Name, shape (inputs first) and initial standard deviation; 0 marks a norm, which starts at one.

        The two products that write into the residual stream start smaller, by the depth, as in GPT-2.
        """
        d, inner, f = self.d, self.heads * HEAD_DIM, self.d_ff
        depth = math.sqrt(2 * self.layers)
        rows: list[tuple[str, tuple[int, ...], float]] = [("embed", (VOCAB_SIZE, d), d**-0.5)]
        for layer in range(self.layers):
            rows += [
                (f"{layer}.attention_norm", (d,), 0.0),
                (f"{layer}.qkv", (d, 3 * inner), d**-0.5),
                (f"{layer}.out", (inner, d), inner**-0.5 / depth),
                (f"{layer}.feed_norm", (d,), 0.0),
                (f"{layer}.gate_up", (d, 2 * f), d**-0.5),
                (f"{layer}.down", (f, d), f**-0.5 / depth),
            ]
        return [*rows, ("norm", (d,), 0.0)]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a size trains."""

    tokens: int
    steps: int
    peak_rate: float
    warmup: int

    def rate(self, step: int) -> float:
        """Linear warm-up, then a cosine down to a tenth of the peak."""
        if step < self.warmup:
            return self.peak_rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.peak_rate * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))


def schedule(shape: Shape, tokens_per_parameter: float, rate_scale: float = 1.0) -> Schedule:
    """Tokens = 20 N; tokens a step = 1.25 sqrt(tokens), so steps and batch grow together."""
    tokens = round(tokens_per_parameter * shape.n_params)
    steps = max(20, round(math.sqrt(tokens) / 1.25))
    peak = 1e-2 * (32 / shape.d) ** 0.75 * rate_scale
    return Schedule(tokens, steps, peak, max(10, steps // 20))
