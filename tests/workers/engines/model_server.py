"""A real HTTP server on 127.0.0.1 that answers like vLLM, or like a plainer server, and misbehaves where it is told to.

Draws and log-probabilities are the reference engine's, so their exact distribution is known.
"""

from __future__ import annotations

import json
import select
import socket
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from firstlight.files.addresses import EndpointAddress
from workers.engines import DrawRequest, EngineGarbage, open_engine
from workers.engines.reference.engine import ReferenceEngine, _Part
from workers.engines.reference.network import head_logits, prefill
from workers.engines.reference.scores import _log_softmax

#: What goes wrong with one request: a name of `_Handler.fault_*`, and arguments for it.
Fault = tuple[Any, ...]


@dataclass
class ModelServer:
    """Use it in a `with` statement.

    kind: `vllm`, or anything else for a server that takes text and tells the sum of the tokens only.
    faults: the fault of the k-th request for completions, from 0, or None.
    bodies: of the requests for completions, those that failed included.
    answered: texts given out.
    left: requests whose client went away before the answer.
    """

    folder: Path
    kind: str = "vllm"
    model: str = "tiny"
    name: str = "one"
    version: str = "0.32.0"
    key: str = ""
    context: int | None = 256
    most_choices: int = 1000
    faults: Callable[[int], Fault | None] = lambda number: None
    bodies: list[dict[str, Any]] = field(default_factory=list)
    answered: int = 0
    left: int = 0
    most_at_once: int = 0

    def __enter__(self) -> ModelServer:
        self.engine = open_engine("reference", self.folder)
        assert isinstance(self.engine, ReferenceEngine)
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.at_once = 0
        self.http = _Http(("127.0.0.1", 0), _Handler)
        self.http.owner = self
        self.thread = threading.Thread(
            target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    @property
    def address(self) -> EndpointAddress:
        return EndpointAddress(
            self.name,
            f"http://127.0.0.1:{self.http.server_port}/v1",
            self.key,
            parallel=4,
            allow_private=True,
        )

    def asked(self) -> list[dict[str, Any]]:
        """Bodies of draws, without probes and scores."""
        return [body for body in self.bodies if body["prompt"] != "1+1=" and not body.get("echo")]

    # --- What the model says ---

    def complete(self, body: dict[str, Any], number: int) -> dict[str, Any]:
        with self.lock:
            choices, tokens = self._echo(body) if body.get("echo") else self._draw(body, number)
        return {
            "id": "c",
            "model": body["model"],
            "choices": [{"index": index, **choice} for index, choice in enumerate(choices)],
            "usage": {"completion_tokens": tokens},
        }

    def asked_before(self, number: int) -> int:
        """How many requests with the prompt of the k-th one came before it."""
        return sum(body["prompt"] == self.bodies[number]["prompt"] for body in self.bodies[:number])

    def _draw(self, body: dict[str, Any], number: int) -> tuple[list[dict[str, Any]], int]:
        engine, prompt = self.engine, body["prompt"]
        ids = prompt if isinstance(prompt, list) else engine.codec.encode_prompt(prompt)
        # anew each time, and yet the same in every run of a test, in whatever order the requests come in
        anew = (zlib.crc32(repr(prompt).encode()), self.asked_before(number))
        seed = body.get("seed", int(np.random.default_rng(anew).integers(2**53)))
        request = DrawRequest(
            instance=str(seed),
            prompt="-",
            first_draw=0,
            draws=body["n"],
            seed=seed,
            stop=tuple(body.get("stop", ())),
            max_tokens=body["max_tokens"],
            temperature=body["temperature"],
            top_p=body["top_p"],
        )
        part = _Part(engine, request, prefill(engine.weights, np.array([ids])), 0, body["n"])
        choices = []
        for text, finish, row, length in zip(
            part.texts, part.finish, part._tokens, part.lengths, strict=True
        ):
            choice = {"text": text, "finish_reason": finish, "logprobs": None}
            if body.get("return_token_ids"):
                choice["token_ids"] = row[:length].tolist()
            choices.append(choice)
        self.answered += body["n"]
        return choices, int(part.lengths.sum())

    def _echo(self, body: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
        choices = []
        ends = body.get("logprob_token_ids", ())
        for row in body["prompt"]:
            hidden = prefill(self.engine.weights, np.array([row])).hidden
            logs = _log_softmax(head_logits(self.engine.weights, hidden)[0])
            values = [None, *(float(logs[token, place]) for place, token in enumerate(row[1:]))]
            tops: list[Any] = [None] * len(row)
            if ends:
                values.append(float(logs[0, -1]))
                tops.append({f"token_id:{end}": float(logs[end, -1]) for end in ends})
            logprobs = {"token_logprobs": values, "top_logprobs": tops} if self.kind != "mute" else None
            choices.append({"text": "", "finish_reason": "length", "logprobs": logprobs})
        return choices, 0


class _Http(ThreadingHTTPServer):
    owner: ModelServer
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http
    number: int

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        owner = self.server.owner
        if not self._may():
            return
        if self.path == "/v1/models":
            entry: dict[str, Any] = {"id": owner.model, "owned_by": owner.kind}
            if owner.context:
                entry["max_model_len"] = owner.context
            self.reply(200, {"data": [entry]})
        elif self.path == "/version":
            self.reply(200, {"version": owner.version})
        elif self.path == "/health":
            self.reply(200, {})
        else:
            self.reply(404, {"error": {"message": "no such page"}})

    def do_POST(self) -> None:
        owner = self.server.owner
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._may():
            return
        with owner.lock:
            number = self.number = len(owner.bodies)
            owner.bodies.append(body)
            owner.at_once += 1
            owner.most_at_once = max(owner.most_at_once, owner.at_once)
        try:
            self._answer(body, owner.faults(number))
        finally:
            with owner.lock:
                owner.at_once -= 1

    def _may(self) -> bool:
        owner = self.server.owner
        if owner.key and self.headers["Authorization"] != f"Bearer {owner.key}":
            self.reply(401, {"error": {"message": "wrong key"}})
            return False
        return True

    def _answer(self, body: dict[str, Any], fault: Fault | None) -> None:
        owner = self.server.owner
        if fault is not None:
            getattr(self, f"fault_{fault[0]}")(body, *fault[1:])
        elif body["n"] > owner.most_choices if "n" in body else False:
            self.reply(400, {"error": {"message": f"n may be at most {owner.most_choices}"}})
        elif body.get("echo") and max(map(len, body["prompt"])) >= (owner.context or 10**9):
            self.reply(400, {"error": {"message": "no room for a token behind the prompt"}})
        elif body.get("temperature") == 0 and body["n"] > 1:
            self.reply(400, {"error": {"message": "n must be 1 when using greedy sampling"}})
        elif body["model"] != owner.model:
            self.reply(404, {"error": {"message": "no such model"}})
        else:
            try:
                self.reply(200, owner.complete(body, self.number))
            except EngineGarbage:
                self.fault_damaged(body)

    def reply(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    # --- Faults ---

    def fault_status(self, body: dict[str, Any], status: int, **headers: str) -> None:
        self.reply(status, {"error": {"message": "told to"}})

    def fault_busy(self, body: dict[str, Any], after: str) -> None:
        self.reply(429, {"error": {"message": "busy"}}, {"Retry-After": after})

    def fault_damaged(self, body: dict[str, Any]) -> None:
        """Logits of NaN, as vLLM has them: the token 0, which ends a sequence, or an error where it would tell them."""
        if body.get("logprobs") is not None:
            self.reply(400, {"error": {"message": "Out of range float values are not JSON compliant"}})
            return
        choice = {"text": "", "finish_reason": "stop", "token_ids": [0]}
        choices = [{"index": index, **choice} for index in range(body["n"])]
        usage = {"completion_tokens": body["n"]}
        self.reply(200, {"model": body["model"], "choices": choices, "usage": usage})

    def fault_redirect(self, body: dict[str, Any], to: str) -> None:
        self.reply(307, b"", {"Location": to})

    def fault_hang(self, body: dict[str, Any], seconds: float = 3600) -> None:
        """Answer after so long; until then see whether the client goes away."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not self.server.owner.closing.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.02)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                self.server.owner.left += 1
                self.close_connection = True
                return
        self.reply(200, self.server.owner.complete(body, self.number))

    def fault_cut(self, body: dict[str, Any]) -> None:
        """Promise more than is sent, then close."""
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(b'{"choices": [')
        self.close_connection = True

    def fault_changed(self, body: dict[str, Any], change: Callable[[dict[str, Any]], Any]) -> None:
        """The right answer, but for a change."""
        answer = self.server.owner.complete(body, self.number)
        self.reply(200, change(answer) or answer)

    def fault_raw(self, body: dict[str, Any], data: bytes) -> None:
        self.reply(200, data)
