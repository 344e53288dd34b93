"""Log-probabilities of token sequences as a request: a prompt that the server echoes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.engines.base import EngineRefusal
from workers.engines.openai.completions import in_order
from workers.engines.openai.connection import Garbage
from workers.engines.openai.servers import Server

MOST_ENDS = 20  # vLLM's usual limit on log-probabilities of a token
ECHO_TOKENS = 8000  # of all sequences of a request; a token takes about 400 bytes of the answer


@dataclass(frozen=True, eq=False)
class Echoed:
    """Log-probabilities in nats.

    tokens: of each token of a sequence from the second on, given those before it.
    ends: of each of the call's `ends` behind the whole sequence.
    """

    tokens: NDArray[np.float64]
    ends: NDArray[np.float64]


@dataclass(frozen=True)
class EchoCall:
    """Log-probabilities of whole token sequences and of tokens that may follow them.

    OpenAI's API tells of the tokens that stand in a prompt only, so each end is asked for as a prompt of its own;
    vLLM is asked for the ends by their ids.

    first: number of the first sequence.
    ends: at most MOST_ENDS.
    """

    rows: tuple[tuple[int, ...], ...]
    first: int
    ends: tuple[int, ...]

    @property
    def where(self) -> str:
        return f"scores of sequences {self.first} to {self.first + len(self.rows) - 1}"

    @property
    def tokens(self) -> int:
        read = sum(map(len, self.rows)) * max(1, len(self.ends))
        return 1 + read // 8  # a prompt's tokens are read many times faster than drawn

    @property
    def longest(self) -> int:
        return 1

    def cost(self, result: object) -> tuple[int, int]:
        return self.tokens, self.longest

    def split(self, server: Server) -> tuple[EchoCall, EchoCall | None]:
        if not server.takes_ids:
            raise EngineRefusal(
                f"an endpoint of kind {server.kind} takes no token ids, so answers cannot be scored; use vLLM or SGLang"
            )
        times = 1 if server.scores_ids else max(1, len(self.ends))
        taken = total = 0
        for row in self.rows:
            total += times * (len(row) + 1)
            if taken and total > ECHO_TOKENS:
                break
            taken += 1
        if taken == len(self.rows):
            return self, None
        return replace(self, rows=self.rows[:taken]), replace(
            self, rows=self.rows[taken:], first=self.first + taken
        )

    def body(self, server: Server) -> dict[str, Any]:
        body = server.parameters() | {"echo": True, "logprobs": 1, "max_tokens": 0, "temperature": 1.0}
        body.pop("return_token_ids", None)
        if self.ends and server.scores_ids:
            body |= {
                "max_tokens": 1,
                "logprob_token_ids": list(self.ends),
                "return_tokens_as_token_ids": True,
            }
            return body | {"prompt": [list(row) for row in self.rows]}
        return body | {"prompt": [[*row, *end] for row in self.rows for end in self._each_end()]}

    def read(self, server: Server, answer: dict[str, Any]) -> list[Echoed]:
        server.check_name(answer)
        if self.ends and server.scores_ids:
            choices = in_order(answer, len(self.rows))
            return [self._by_id(server, choice, row) for choice, row in zip(choices, self.rows, strict=True)]
        ends = self._each_end()
        choices = in_order(answer, len(self.rows) * len(ends))
        echoed = []
        for place, row in enumerate(self.rows):
            logs = [
                _echoed(server, choice, len(row) + len(end))[0]
                for choice, end in zip(
                    choices[place * len(ends) : (place + 1) * len(ends)], ends, strict=True
                )
            ]
            echoed.append(Echoed(logs[0][: len(row) - 1], np.array([log[-1] for log in logs if self.ends])))
        return echoed

    def _each_end(self) -> list[list[int]]:
        return [[end] for end in self.ends] or [[]]

    def _by_id(self, server: Server, choice: dict[str, Any], row: tuple[int, ...]) -> Echoed:
        tokens, tops = _echoed(server, choice, len(row))
        behind = tops[len(row)] if isinstance(tops, list) and len(tops) > len(row) else None
        named = [behind.get(f"token_id:{end}") if isinstance(behind, dict) else None for end in self.ends]
        return Echoed(tokens, _finite(named))


def _echoed(server: Server, choice: dict[str, Any], length: int) -> tuple[NDArray[np.float64], Any]:
    """Log-probabilities of a prompt of so many tokens from its second on, and what stands beside them."""
    logprobs = choice.get("logprobs")
    values = logprobs.get("token_logprobs") if isinstance(logprobs, dict) else None
    if not isinstance(logprobs, dict) or not isinstance(values, list) or len(values) < length:
        raise EngineRefusal(
            f"the {server.kind} endpoint gives no log-probabilities of a prompt (echo with logprobs), "
            "so answers cannot be scored; serve the model with vLLM"
        )
    return _finite(values[1:length]), logprobs.get("top_logprobs")


def _finite(values: list[Any]) -> NDArray[np.float64]:
    if not all(isinstance(value, float | int) and math.isfinite(value) and value < 1e-3 for value in values):
        raise Garbage("a log-probability is missing or no finite number below 0")
    return np.array(values, np.float64)
