"""What every engine answers: the protocol, its requests and waves, and the errors that callers tell apart."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

#: Stands in a text for a token id that the tokenizer does not know, such as a padding row of the embedding. A code
#: point that Unicode keeps for a program's own use: no letter, digit or blank, in no reference answer, never written by
#: a tokenizer that reads text, so no grader takes it for nothing, and `graders.grade` passes no text that holds it.
UNDECODABLE = "\ufdd0"


class EngineError(Exception):
    """An engine could not do what was asked; worth another attempt unless it is a refusal."""


class EngineRefusal(EngineError):
    """The request or the checkpoint is impossible for this engine; trying again cannot help.

    pair: which of the pairs given to `score` is refused, from 0; None where it is none of them alone.
    """

    def __init__(self, reason: str, *, pair: int | None = None) -> None:
        super().__init__(reason)
        self.pair = pair


class EngineOutOfMemory(EngineError):
    """The call did not fit the device's memory; nothing of it was stored. Fewer draws side by side may fit."""


class EngineGarbage(EngineError):
    """The engine answered, but not what was asked for: the wave is dropped, never counted as failures."""


@dataclass(frozen=True)
class DrawRequest:
    """Draws `first_draw .. first_draw + draws - 1` of one instance.

    instance: id of the instance; part of the key of its random streams.
    first_draw: number of the first draw, from 0.
    seed: seed of the run.
    stop: strings that end an answer.
    max_tokens: longest answer, in tokens.
    temperature: 0 means the most likely token each time.
    top_p: keep the smallest set of likeliest tokens that holds this probability.
    """

    instance: str
    prompt: str
    first_draw: int
    draws: int
    seed: int
    stop: tuple[str, ...]
    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0


@dataclass(frozen=True, eq=False)
class Wave:
    """The answers to one request, in draw order.

    texts: what the tokens add behind the prompt's, without the stop string and what follows it, and without the
    end-of-sequence token.
    tokens: generated tokens of each draw (int64, shape (draws,)), the one that ended it included.
    finish: ``stop`` (end of sequence or a stop string) or ``length`` for each draw.
    seconds: time that the engine spent on the request.
    """

    instance: str
    first_draw: int
    texts: list[str]
    tokens: NDArray[np.int64]
    finish: list[str]
    seconds: float


@dataclass(frozen=True)
class Score:
    """Exact likelihood of a reference answer.

    nll_answer: summed negative log-likelihood of the answer's tokens given the prompt, in nats.
    nll_terminator: minus the log of the probability that the answer ends there, in nats; 0 where `max_tokens` ends it.
    tokens: tokens of the answer, without the terminator.
    ids: these tokens.
    ends: what was counted as an end: names of end-of-sequence tokens and stop strings, or ``max_tokens`` alone.
    """

    nll_answer: float
    nll_terminator: float
    tokens: int
    ids: tuple[int, ...] = ()
    ends: tuple[str, ...] = ()

    @property
    def nll(self) -> float:
        """Answer and terminator together, in nats; exp(-nll) is the pass probability of exact grading."""
        return self.nll_answer + self.nll_terminator


class Stream(Protocol):
    """Requests in flight. They end in any order: whoever counts draws puts them back in draw order first."""

    def submit(self, key: Hashable, request: DrawRequest) -> None:
        """Add a request under a key of the caller's, who names no two requests in flight alike.

        Raises EngineRefusal: a request that cannot be; nothing is added.
        """
        ...

    def collect(self) -> list[tuple[Hashable, Wave]]:
        """Wait until at least one request is done; all that are done, in any order. Empty: none is in flight.

        Raises EngineError: what was in flight is lost and the stream is of no further use.
        """
        ...

    def abort(self, keys: Iterable[Hashable]) -> int:
        """Give up requests that nobody needs any more; tokens spent on them as far as known. Unknown keys pass."""
        ...


class Engine(Protocol):
    """Draws answers and scores references with one checkpoint.

    name: the kind of engine.
    fingerprint: engine, version, digest of the weights and dtype, and what else a draw's last bits depend on; draws
    of one fingerprint may be pooled.
    context_length: prompt and answer together, in tokens.
    repeatable: a draw is a function of (seed, instance, draw number), however draws are cut into requests.
    capacity: draws side by side from which on more of them bring little speed.
    grain: draws that one request computes at least, in the same time; 1 where fewer draws take less.
    """

    name: str
    fingerprint: str
    context_length: int
    repeatable: bool
    capacity: int
    grain: int

    def draw(self, requests: Sequence[DrawRequest]) -> list[Wave]:
        """One wave a request, in the order of the requests.

        Raises EngineRefusal: a request that cannot be, before anything is drawn.
        """
        ...

    def stream(self) -> Stream:
        """A stream of requests of its own. One at a time is used: an idle one stays good while others are used; one
        with draws in flight may lose them, with an EngineError."""
        ...

    def score(
        self, pairs: Sequence[tuple[str, str]], stop: Sequence[str] = (), max_tokens: int | None = None
    ) -> list[Score]:
        """Likelihoods of (prompt, answer) pairs, in their order; `stop` and `max_tokens` hold for all of them."""
        ...

    def close(self) -> None:
        """Release what the engine holds: memory of the device too, so that another may be opened."""
        ...


def check_request(request: DrawRequest) -> None:
    """Refuse what no engine can do.

    Raises EngineRefusal, naming the instance, the value and what is allowed.
    """
    where = f"instance {request.instance!r}"
    if not request.prompt:
        raise EngineRefusal(f"{where}: the prompt is empty; an engine continues at least one token")
    if request.draws < 1 or request.first_draw < 0:
        raise EngineRefusal(
            f"{where}: {request.draws} draws from draw {request.first_draw}; ask for at least 1 from 0"
        )
    if request.max_tokens < 1:
        raise EngineRefusal(f"{where}: max_tokens is {request.max_tokens}, expected at least 1")
    if not (math.isfinite(request.temperature) and request.temperature >= 0):
        raise EngineRefusal(f"{where}: temperature is {request.temperature}, expected 0 or more")
    if not 0 < request.top_p <= 1:
        raise EngineRefusal(f"{where}: top_p is {request.top_p}, expected above 0 and at most 1")
    if any(not stop for stop in request.stop):
        raise EngineRefusal(f"{where}: an empty stop string would end every answer at once; remove it")


def check_context(prompt_tokens: int, new_tokens: int, context_length: int, *, where: str = "") -> None:
    """Refuse what does not fit the context: EngineRefusal with both lengths and the context.

    where: names the request, for callers that do not add its name themselves.
    """
    if prompt_tokens + new_tokens > context_length:
        reason = (
            f"{prompt_tokens} prompt tokens and {new_tokens} new ones exceed the context of {context_length}; "
            "shorten the prompt or lower max_tokens"
        )
        raise EngineRefusal(f"{where}: {reason}" if where else reason)
