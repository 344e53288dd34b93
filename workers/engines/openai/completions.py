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
        """What the server answered; raises Garbage where it is not what was asked for."""
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

    ids: the prompt's tokens, where a tokenizer is known.
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

    def _looked_into(self, server: Server) -> bool:
        """Of each request one part asks for log-probabilities: a server that computes NaN is found out by each wave."""
        return server.tells_logs and self.first == self.request.first_draw

    def split(self, server: Server) -> tuple[DrawCall, DrawCall | None]:
        prompt = len(self.ids or self.request.prompt)
        a_token = 140 if self._looked_into(server) else 20
        # bytes of its answer, prompt ids repeated
        a_draw = 300 + a_token * self.request.max_tokens + 8 * prompt
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
        if self._looked_into(server):
            body["logprobs"] = 0
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
            texts, took = self._decoded(ids)
            for index, count in took.items():  # a server may have run on: it knows four of the stop strings
                finish[index], tokens[index] = "stop", count
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

    def _decoded(self, rows: list[list[int]]) -> tuple[list[str], dict[int, int]]:
        """The texts as every engine of ours decodes them, and those that hold a stop string."""
        assert self.codec is not None
        for row in rows:
            if any(type(token) is not int or not 0 <= token < self.codec.vocab for token in row):
                raise Garbage("a token id beyond the vocabulary")
        answers = [row[:-1] if row and row[-1] in self.codec.eos else row for row in rows]
        return self.codec.endings(answers, self.ids or (), self.request.stop)


def in_order(answer: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """The choices of an answer by their index.

    Raises Garbage: too few, too many, or an index twice.
    """
    choices = answer.get("choices")
    if not isinstance(choices, list) or len(choices) != count:
        given = len(choices) if isinstance(choices, list) else "no"
        raise Garbage(f"asked for {count} texts, it gave {given}")
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
