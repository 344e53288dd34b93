"""The two requests: some draws of an instance, and log-probabilities of token sequences.."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from workers.engines.base import DrawRequest, EngineRefusal
from workers.engines.openai.connection import MAX_ANSWER_BYTES, Garbage
from workers.engines.openai.servers import Server
from workers.engines.text import TextCodec, first_stop

OPENAI_STOPS = 4
MOST_ENDS = 20  # vLLM's usual limit on log-probabilities of a token
ECHO_TOKENS = 8000  # of all sequences of a request; a token takes about 400 bytes of the answer


class Call(Protocol):
    """One request to whichever server takes it."""

    @property
    def where(self) -> str:
        """What it is about, for messages."""
        ...

    @property
    def tokens(self) -> int:
        """About how many tokens it may cost the server."""
        ...

    @property
    def longest(self) -> int:
        """Tokens of its longest text, at most."""
        ...

    def split(self, server: Server) -> tuple[Self, Self | None]:
        """The part that one request to this server may ask for, and what is left."""
        ...

    def body(self, server: Server) -> dict[str, Any]: ...

    def read(self, server: Server, answer: dict[str, Any]) -> Any:
        """:raises Garbage: not what was asked for"""
        ...

    def cost(self, result: Any) -> tuple[int, int]:
        """What `tokens` and `longest` came to."""
        ...


@dataclass(frozen=True, eq=False)
class Drawn:
    """Draws in their order, from draw `first` on."""

    first: int
    texts: list[str]
    tokens: NDArray[np.int64]
    finish: list[str]


@dataclass(frozen=True)
class DrawCall:
    """Draws `first .. first + count - 1` of a request.

    :ivar ids: the prompt's tokens, where a tokenizer is known
    """

    request: DrawRequest
    first: int
    count: int
    ids: tuple[int, ...] | None = None
    codec: TextCodec | None = None

    @property
    def where(self) -> str:
        return f"instance {self.request.instance!r}, draws from {self.first}"

    @property
    def tokens(self) -> int:
        return (1 if self._greedy else self.count) * self.request.max_tokens

    @property
    def longest(self) -> int:
        return self.request.max_tokens

    def cost(self, result: Drawn) -> tuple[int, int]:
        longest = int(result.tokens.max())
        return (longest if self._greedy else int(result.tokens.sum())), longest

    @property
    def _greedy(self) -> bool:
        return self.request.temperature == 0

    def split(self, server: Server) -> tuple[DrawCall, DrawCall | None]:
        prompt = len(self.ids or self.request.prompt)
        a_draw = 300 + 20 * self.request.max_tokens + 8 * prompt  # bytes of its answer, prompt ids repeated
        most = max(1, min(server.most_choices, MAX_ANSWER_BYTES // 2 // a_draw))
        if self._greedy or self.count <= most:
            return self, None
        return replace(self, count=most), replace(self, first=self.first + most, count=self.count - most)

    def body(self, server: Server) -> dict[str, Any]:
        request = self.request
        # the longer of two that end together begins earlier, and a server may cut at the one listed first
        stops = sorted(request.stop, key=len, reverse=True)
        body = server.parameters() | {
            "prompt": list(self.ids) if self.ids and server.takes_ids else request.prompt,
            "n": 1 if self._greedy else self.count,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
        }
        if stops:  # what a server does not stop at is cut here; it costs tokens and changes no text
            body["stop"] = stops if server.any_stops else stops[:OPENAI_STOPS]
        if server.seeds_choices or body["n"] == 1:
            body["seed"] = spaced_seed(request.seed, request.instance, self.first)
        return body

    def read(self, server: Server, answer: dict[str, Any]) -> Drawn:
        server.check_name(answer)
        asked = 1 if self._greedy else self.count
        choices = in_order(answer, asked)
        finish = [str(choice.get("finish_reason")) for choice in choices]
        if not set(finish) <= {"stop", "length"}:
            raise Garbage(f"a text finished by {min(set(finish) - {'stop', 'length'})[:40]!r}")
        ids = [row for choice in choices if isinstance(row := choice.get("token_ids"), list)]
        counted = len(ids) == asked
        tokens = [len(row) for row in ids] if counted else spread(answer, finish, self.request.max_tokens)
        most = self.request.max_tokens
        if max(tokens) > most:
            raise Garbage(f"a text of {max(tokens)} tokens, asked for at most {most}")
        self._check_room(
            server, answer, [n for n, how in zip(tokens, finish, strict=True) if how == "length"]
        )
        texts = [text for choice in choices if isinstance(text := choice.get("text"), str)]
        if len(texts) != asked:
            raise Garbage("a choice has no text")
        if counted and self.codec:
            texts = self._decoded(ids)
        for index, text in enumerate(texts):
            place = first_stop(text, self.request.stop)
            if place >= 0:
                texts[index], finish[index] = text[:place], "stop"
        times = self.count if self._greedy else 1  # one answer is every greedy draw
        return Drawn(self.first, texts * times, np.array(tokens * times, np.int64), finish * times)

    def _check_room(self, server: Server, answer: dict[str, Any], whole: list[int]) -> None:
        """Servers shorten what does not fit their context and do not say so: another quantity would be measured."""
        usage = answer.get("usage")
        prompt = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        room = (server.context_length or math.inf) - (prompt if type(prompt) is int else 0)
        room = min(room, *whole, self.request.max_tokens)
        if room < self.request.max_tokens:
            raise EngineRefusal(
                f"{self.where}: the server has room for {room:.0f} tokens behind the prompt, asked for "
                f"{self.request.max_tokens}; shorten the prompt or lower max_tokens"
            )

    def _decoded(self, rows: list[list[int]]) -> list[str]:
        """The texts as every engine of ours decodes them."""
        assert self.codec is not None
        for row in rows:
            if any(type(token) is not int or not 0 <= token < self.codec.vocab for token in row):
                raise Garbage("a token id beyond the vocabulary")
        return self.codec.decode_many(
            [row[:-1] if row and row[-1] in self.codec.eos else row for row in rows]
        )


@dataclass(frozen=True, eq=False)
class Echoed:
    """Log-probabilities in nats.

    :ivar tokens: of each token of a sequence from the second on, given those before it
    :ivar ends: of each of the call's `ends` behind the whole sequence
    """

    tokens: NDArray[np.float64]
    ends: NDArray[np.float64]


@dataclass(frozen=True)
class EchoCall:
    """Log-probabilities of whole token sequences and of tokens that may follow them.

    OpenAI's API tells of the tokens that stand in a prompt only, so each end is asked for as a prompt of its own;
    vLLM is asked for the ends by their ids.

    :ivar first: number of the first sequence
    :ivar ends: at most MOST_ENDS
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
        found = []
        for place, row in enumerate(self.rows):
            logs = [
                _echoed(server, choice, len(row) + len(end))[0]
                for choice, end in zip(
                    choices[place * len(ends) : (place + 1) * len(ends)], ends, strict=True
                )
            ]
            found.append(Echoed(logs[0][: len(row) - 1], np.array([log[-1] for log in logs if self.ends])))
        return found

    def _each_end(self) -> list[list[int]]:
        return [[end] for end in self.ends] or [[]]

    def _by_id(self, server: Server, choice: dict[str, Any], row: tuple[int, ...]) -> Echoed:
        tokens, tops = _echoed(server, choice, len(row))
        behind = tops[len(row)] if isinstance(tops, list) and len(tops) > len(row) else None
        named = [behind.get(f"token_id:{end}") if isinstance(behind, dict) else None for end in self.ends]
        return Echoed(tokens, _finite(named))


def _echoed(server: Server, choice: dict[str, Any], length: int) -> tuple[NDArray[np.float64], Any]:
    """Log-probabilities of a prompt of so many tokens from its second on, and what stands beside them."""
    found = choice.get("logprobs")
    values = found.get("token_logprobs") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(values, list) or len(values) < length:
        raise EngineRefusal(
            f"the {server.kind} endpoint gives no log-probabilities of a prompt (echo with logprobs), "
            "so answers cannot be scored; serve the model with vLLM"
        )
    return _finite(values[1:length]), found.get("top_logprobs")


def _finite(values: list[Any]) -> NDArray[np.float64]:
    if not all(isinstance(value, float | int) and math.isfinite(value) and value < 1e-3 for value in values):
        raise Garbage("a log-probability is missing or no finite number below 0")
    return np.array(values, np.float64)


def in_order(answer: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """The choices of an answer by their index.

    :raises Garbage: too few, too many, or an index twice
    """
    choices = answer.get("choices")
    if not isinstance(choices, list) or len(choices) != count:
        found = len(choices) if isinstance(choices, list) else "no"
        raise Garbage(f"asked for {count} texts, it gave {found}")
    by_index = {choice.get("index"): choice for choice in choices if isinstance(choice, dict)}
    if by_index.keys() != set(range(count)):
        raise Garbage(f"the {count} texts are numbered {sorted(map(str, by_index))[:10]}")
    return [by_index[index] for index in range(count)]


def spread(answer: dict[str, Any], finish: Sequence[str], max_tokens: int) -> list[int]:
    """Tokens of each text where a server tells their sum only: max_tokens for those at full length, the rest shared."""
    usage = answer.get("usage")
    total = usage.get("completion_tokens") if isinstance(usage, dict) else None
    if type(total) is not int or not 0 <= total <= max_tokens * len(finish):
        raise Garbage(f"it counts {str(total)[:30]} tokens for {len(finish)} texts of at most {max_tokens}")
    short = [index for index, how in enumerate(finish) if how == "stop"]
    left = total - max_tokens * (len(finish) - len(short))
    if left < 0 or not short:  # its count is another than ours: share all of it
        short, left = list(range(len(finish))), total
    tokens = [max_tokens] * len(finish)
    for place, index in enumerate(short):
        tokens[index] = left // len(short) + (place < left % len(short))
    return tokens


def spaced_seed(seed: int, instance: str, first_draw: int) -> int:
    """A seed for the draws from `first_draw` on: below 2^53, which JSON carries exactly, and a multiple of 1024,
    so that children seeded with seed + i meet no other request's."""
    digest = blake2b(
        f"{seed}\0{first_draw}\0{instance}".encode("utf-8", "surrogatepass"), digest_size=8
    ).digest()
    return (int.from_bytes(digest, "little") >> 21) << 10
