"""The engine of endpoints: any server with OpenAI's completions API, several of them at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from firstlight.files.addresses import EndpointAddress
from workers.engines.base import (
    DrawRequest,
    EngineError,
    EngineGarbage,
    EngineRefusal,
    Score,
    Wave,
    check_context,
    check_request,
)
from workers.engines.openai.completions import DrawCall
from workers.engines.openai.connection import Connection, Denied, Garbage
from workers.engines.openai.dispatch import Dispatcher, Order
from workers.engines.openai.echo import MOST_ENDS, EchoCall, Echoed
from workers.engines.openai.endpoints import Endpoint
from workers.engines.openai.loop import LoopThread
from workers.engines.openai.stream import OpenAIStream
from workers.engines.scoring import TokenJob, TokenScore, score_pairs
from workers.engines.streams import draw_through
from workers.engines.text import TextCodec, codec_of, prompt_tokens

VERSION = "2"  # raised when a change of the code may change texts or what is asked for
UNKNOWN_CONTEXT = 2**31 - 1  # the server itself refuses what does not fit


class OpenAIEngine:
    """Opens a model that endpoints serve.

    Draws are a function of the servers' own random numbers: `repeatable` is False.

    model: its name there.
    endpoints: the servers; all of them run the same weights.
    tokenizer: folder with tokenizer.json and config.json of the model. With it prompts go out as token ids
    where the server takes them, texts are decoded here, and answers can be scored.
    choices: texts that one request asks for.
    patience: seconds without any answer, beyond what the pace so far explains, after which an endpoint counts
    as dead; also the longest wait for a probe.
    give_up: seconds without a usable endpoint after which calls fail.

    Raises EngineRefusal: no endpoint serves the model, or the tokenizer is another model's.
    Raises EngineGarbage: endpoints answer, but nothing that was asked for; damaged weights for one.
    Raises EngineError: no endpoint answers now.
    """

    name = "openai"
    grain = 1
    repeatable = False

    def __init__(
        self,
        model: str | Path,
        *,
        endpoints: Sequence[EndpointAddress] = (),
        tokenizer: str | Path | None = None,
        choices: int = 32,
        patience: float = 30.0,
        give_up: float = 60.0,
        first_rest: float = 0.5,
    ) -> None:
        if not endpoints:
            raise EngineRefusal("the openai engine needs at least one endpoint")
        if not all(isinstance(address, EndpointAddress) for address in endpoints):
            raise EngineRefusal(
                "option endpoints of the openai engine must be addresses that the site keeps, not text: register the "
                "endpoint and the model there"
            )
        if not 1 <= choices <= 1024:
            raise EngineRefusal(f"choices is {choices}, expected 1 to 1024")
        self._model = str(model)
        self.codec: TextCodec | None = codec_of(Path(tokenizer)) if tokenizer else None
        self._loop = LoopThread("openai")
        self._stream: OpenAIStream | None = None
        self._dispatcher = Dispatcher(
            [Endpoint(address, Connection(address), patience, first_rest) for address in endpoints],
            model=self._model,
            choices=choices,
            codec=self.codec,
            give_up=give_up,
        )
        try:
            self._loop.run(self._dispatcher.open(grace=2.0))
            if not self._dispatcher.servers:
                raise self._kind_of_failure()(
                    f"no endpoint for model {self._model!r}: {self._dispatcher.reasons()}"
                )
        except BaseException:
            self.close()
            raise
        lengths = [server.context_length for server in self._dispatcher.servers if server.context_length]
        self.context_length = self._dispatcher.context_length = min(lengths, default=UNKNOWN_CONTEXT)
        self.capacity = choices * sum(address.parallel for address in endpoints)

    def _kind_of_failure(self) -> type[EngineError]:
        """Of an opening without any usable endpoint."""
        errors = [endpoint.error for endpoint in self._dispatcher.endpoints]
        if all(isinstance(error, Denied) for error in errors):
            return EngineRefusal
        return EngineGarbage if all(isinstance(error, Garbage) for error in errors) else EngineError

    @property
    def fingerprint(self) -> str:
        """Engine, servers, model and endpoints; hosts do not show. A server that joins later is added."""
        servers = "+".join(sorted({f"{s.kind} {s.version}" for s in self._dispatcher.servers}))
        names = "+".join(sorted(endpoint.address.name for endpoint in self._dispatcher.endpoints))
        return f"openai {VERSION}, {servers[:60]}, {_short(self._model)}, at {_short(names)}"

    def draw(self, requests: Sequence[DrawRequest]) -> list[Wave]:
        """One wave a request, in the order of the requests.

        Raises EngineRefusal: a request that cannot be, before anything is drawn; or one that a server refuses.
        """
        for request in requests:
            self._call(request)
        return draw_through(self.stream(), requests)

    def stream(self) -> OpenAIStream:
        """A new stream; what the one before had in flight is given up."""
        if self._stream:
            self._stream.abort_all()
        self._stream = OpenAIStream(self._loop, self._dispatcher, self._call)
        return self._stream

    def score(
        self, pairs: Sequence[tuple[str, str]], stop: Sequence[str] = (), max_tokens: int | None = None
    ) -> list[Score]:
        """Exact likelihoods, as `scoring.score_pairs` has them, from servers that echo a prompt's log-probabilities.

        Raises EngineRefusal: no tokenizer is known, or the server does not give them.
        """
        if self.codec is None:
            raise EngineRefusal(
                f"answers of {self._model!r} cannot be scored without its tokenizer: name the folder of the model"
            )
        network = self._network
        return score_pairs(network, self.codec, self.context_length, pairs, tuple(stop), max_tokens)

    def close(self) -> None:
        """Give up what is in flight, close all connections, end the thread."""
        if self._stream:
            self._stream.abort_all()
            self._stream = None
        self._loop.finish(self._dispatcher.close)

    def _call(self, request: DrawRequest) -> DrawCall:
        """The request as a call, or EngineRefusal where it cannot be."""
        ids = None
        if self.codec is not None:
            ids = tuple(prompt_tokens(self.codec, request, self.context_length))
        else:
            check_request(request)
            where = f"instance {request.instance!r}"
            check_context(1, request.max_tokens, self.context_length, where=where)
        return DrawCall(request, request.first_draw, request.draws, ids, self.codec)

    def _network(self, jobs: Sequence[TokenJob], terminators: Sequence[int]) -> list[TokenScore]:
        """A sequence that fills the context has no room behind it: its last token is asked for as what may follow the
        others, and nothing is said of its end."""
        parts = [tuple(terminators[k : k + MOST_ENDS]) for k in range(0, len(terminators), MOST_ENDS)] or [()]
        asked: list[list[EchoCall]] = []
        for place, job in enumerate(jobs):
            full = len(job.ids) >= self.context_length
            row = tuple(job.ids[:-1] if full else job.ids)
            asked.append([EchoCall((row,), place, ends) for ends in ([(job.ids[-1],)] if full else parts)])
        answers = self._echo(_joined(asked))
        scores = []
        for job, calls in zip(jobs, asked, strict=True):
            echoed = [answers[call.ends, call.first] for call in calls]
            logs, log_end = echoed[0].tokens, np.concatenate([each.ends for each in echoed])
            if len(calls[0].rows[0]) < len(job.ids):
                logs, log_end = np.append(logs, log_end), np.full(len(terminators), -np.inf)
            scores.append(TokenScore(-float(logs[job.start - 1 :].sum()), log_end))
        return scores

    def _echo(self, calls: Sequence[EchoCall]) -> dict[tuple[tuple[int, ...], int], Echoed]:
        """What each call says of each sequence, by the call's ends and the sequence's number."""
        answers: SimpleQueue[tuple[EchoCall, Any]] = SimpleQueue()
        group = object()
        for call in calls:
            order = Order(call, lambda part, result: answers.put((part, result)), group)
            self._loop.call(self._dispatcher.submit, order)
        echoed: dict[tuple[tuple[int, ...], int], Echoed] = {}
        try:
            while len(echoed) < sum(len(call.rows) for call in calls):
                part, result = answers.get()
                if isinstance(result, Exception):
                    raise result if isinstance(result, EngineError) else EngineError(str(result))
                echoed |= {(part.ends, part.first + place): each for place, each in enumerate(result)}
        except BaseException:
            self._loop.call(self._dispatcher.withdraw, group)
            raise
        return echoed


def _joined(calls: Sequence[Sequence[EchoCall]]) -> list[EchoCall]:
    """Neighbours that ask for the same ends as one call."""
    joined: dict[tuple[int, ...], list[EchoCall]] = {}
    for call in (call for each in calls for call in each):
        runs = joined.setdefault(call.ends, [])
        if runs and runs[-1].first + len(runs[-1].rows) == call.first:
            runs[-1] = replace(runs[-1], rows=runs[-1].rows + call.rows)
        else:
            runs.append(call)
    return [call for runs in joined.values() for call in runs]


def _short(text: str) -> str:
    """At most 60 characters, still telling one from another."""
    if len(text) <= 60:
        return text
    return f"{text[:40]}~{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:16]}"
