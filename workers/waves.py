"""The wave loop's parts, shared by the slices of the site and by `firstlight passuntil`.

No engine knows about passes and no stopping rule knows about engines: they meet here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from firstlight.registry.task_file import InstanceSpec

from passuntil import FixedDraws, UntilPasses
from workers.engines.base import DrawRequest, Wave
from workers.graders import grade

StoppingRule = UntilPasses | FixedDraws
#: Draws that one request may ask for: enough for full matrix products, few enough to stop soon after the r-th pass.
MAX_WAVE = 512


@dataclass(frozen=True)
class Decoding:
    """How text is drawn. Temperature 1 and top-p 1 link pass probability to loss (method.md A4)."""

    seed: int = 0
    temperature: float = 1.0
    top_p: float = 1.0


@dataclass(frozen=True)
class Judged:
    """A wave after grading: outcomes in draw order and the accounts of the call."""

    passed: np.ndarray
    tokens: int
    seconds: float


def next_request(
    spec: InstanceSpec, rule: StoppingRule, decoding: Decoding, *, drawn: int, passes: int
) -> DrawRequest:
    """What to ask the engine for now. A function of the counts alone, so a resumed unit asks the same."""
    return DrawRequest(
        instance=spec.id,
        prompt=spec.prompt,
        first_draw=drawn,
        draws=rule.next_draws(draws=drawn, passes=passes, wave=MAX_WAVE),
        seed=decoding.seed,
        stop=spec.stop,
        max_tokens=spec.max_tokens,
        temperature=decoding.temperature,
        top_p=decoding.top_p,
    )


def judge(spec: InstanceSpec, wave: Wave) -> Judged:
    """Grade a wave. Repeats are graded once: small models repeat themselves a lot."""
    verdicts: dict[str, bool] = {}
    for text in wave.texts:
        if text not in verdicts:
            verdicts[text] = grade(text, spec)
    passed = np.fromiter((verdicts[text] for text in wave.texts), dtype=bool, count=len(wave.texts))
    return Judged(passed=passed, tokens=int(wave.tokens.sum()), seconds=wave.seconds)


class Pace:
    """Cuts requests into engine calls of a few seconds, from the rate of the calls so far."""

    def __init__(self, *, call_seconds: float = 4.0, tokens_per_second: float = 5000.0) -> None:
        self.call_seconds = call_seconds
        self.rate = tokens_per_second

    def calls(self, requests: Sequence[DrawRequest]) -> Iterator[list[DrawRequest]]:
        """Groups of requests, each at most about `call_seconds` long (a single request is never cut)."""
        group: list[DrawRequest] = []
        load = 0.0
        for request in requests:
            cost = request.draws * request.max_tokens / self.rate
            if group and load + cost > self.call_seconds:
                yield group
                group, load = [], 0.0
            group.append(request)
            load += cost
        if group:
            yield group

    def learn(self, tokens: int, seconds: float) -> None:
        """Move half-way to the rate just seen."""
        if tokens and seconds > 0:
            self.rate = 0.5 * self.rate + 0.5 * tokens / seconds
