"""What a server is and what it takes: asked once at opening, and again before it is trusted after a failure."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

from workers.engines.base import UNDECODABLE
from workers.engines.openai.connection import Connection, Denied, Garbage, Impossible, Trouble
from workers.engines.text import TextCodec

CANARY = "1+1="
CANARY_TOKENS = 8

#: Parameters beyond OpenAI's own, by the `owned_by` of a server's model list. A server's defaults (llama.cpp keeps
#: 40 tokens and a minimal probability; vLLM and SGLang take a model's generation_config.json) would bend the
#: distribution that is measured, and special tokens dropped from a text would make wrong answers right.
EXTRAS: dict[str, dict[str, Any]] = {
    "vllm": {
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "skip_special_tokens": False,
        "spaces_between_special_tokens": False,
        "return_token_ids": True,
    },
    "sglang": {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "skip_special_tokens": False},
    "llamacpp": {"top_k": 0, "min_p": 0.0, "typical_p": 1.0, "repeat_penalty": 1.0, "top_n_sigma": -1.0},
}
_VERSIONS = {
    "vllm": ("/version", "version"),
    "sglang": ("/server_info", "version"),
    "llamacpp": ("/props", "build_info"),
}


@dataclass(frozen=True)
class Server:
    """One server that runs the model.

    kind: vllm, sglang, llamacpp, or what else its model list says that it is.
    names: names under which it may answer for the model.
    context_length: prompt and answer together, in tokens; None where it does not say.
    most_choices: texts that it gives to one request.
    tokens_per_second: of all texts of the canary together, a first idea of its pace.
    seconds_a_token: of one text of the canary.
    """

    kind: str
    version: str
    model: str
    names: frozenset[str]
    context_length: int | None
    most_choices: int
    tokens_per_second: float = math.nan
    seconds_a_token: float = math.nan

    @property
    def takes_ids(self) -> bool:
        """Prompts may be lists of token ids."""
        return self.kind in ("vllm", "sglang")

    @property
    def any_stops(self) -> bool:
        """More than the four stop strings of OpenAI's own API are heeded."""
        return self.kind in EXTRAS

    @property
    def seeds_choices(self) -> bool:
        """With a seed, the texts of one request differ: child i is drawn with seed + i."""
        return self.kind == "vllm"

    @property
    def tells_logs(self) -> bool:
        """Asked for log-probabilities of what it draws, it tells them, or fails where they are not finite.

        Damaged weights give the token with id 0 for ever; where that ends a sequence, nothing else would show it.
        """
        return self.kind == "vllm"

    @property
    def scores_ids(self) -> bool:
        """It tells log-probabilities of any tokens that may follow a prompt, by their ids."""
        return self.kind == "vllm"

    def parameters(self) -> dict[str, Any]:
        """What every request to it carries."""
        return {
            "model": self.model,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "stream": False,
            **EXTRAS.get(self.kind, {}),
        }

    def check_name(self, answer: dict[str, Any]) -> None:
        """Raises Garbage where the answer is another model's."""
        if answer.get("model") not in self.names:
            raise Garbage(f"it answers as model {str(answer.get('model'))[:80]!r}, asked for {self.model!r}")


async def probe(
    connection: Connection, model: str, choices: int, codec: TextCodec | None, known: Server | None = None
) -> Server:
    """Ask a server what it is, then draw a few tokens: a server that lists its models may be dead inside.

    choices: texts a request that are wished for; a server that gives one only is asked for one. known: what it said
    when it was met first. How many texts it gives is not learnt anew from an endpoint in trouble: the cut of draws
    into requests, and with it what is drawn, hangs on that.

    Raises Trouble: it cannot be used now; `Denied` where it does not serve the model at all.
    """
    listed = (await connection.get("/models")).get("data")
    if not isinstance(listed, list):
        raise Garbage("its list of models has no data")
    entries = [entry for entry in listed if isinstance(entry, dict)]
    entry = next((entry for entry in entries if _names(entry) & {model}), None)
    if entry is None:
        served = ", ".join(str(entry.get("id"))[:60] for entry in entries[:5])
        raise Denied(f"it does not serve {model!r}; it serves {served or 'nothing'}")
    kind = str(entry.get("owned_by") or "unknown")[:20]
    server = Server(
        kind=kind,
        version=await _version(connection, kind),
        model=model,
        names=_names(entry) | {model},
        context_length=_context(entry),
        most_choices=known.most_choices if known else choices,
    )
    if known:
        return await _canary(connection, server, codec)
    try:
        return await _canary(connection, server, codec)
    except Impossible as error:
        if choices == 1:
            raise Denied(f"it refuses a plain request: {error}") from error
    except Garbage:
        if choices == 1:
            raise
    try:  # some servers know one text a request only
        return await _canary(connection, replace(server, most_choices=1), codec)
    except Impossible as error:
        raise Denied(f"it refuses a plain request: {error}") from error


async def _canary(connection: Connection, server: Server, codec: TextCodec | None) -> Server:
    count = min(2, server.most_choices)
    body = server.parameters() | {
        "prompt": CANARY,
        "n": count,
        "max_tokens": CANARY_TOKENS,
        "temperature": 1.0,
        "top_p": 1.0,
    }
    if server.tells_logs:
        body["logprobs"] = 0
    began = time.monotonic()
    answer = await connection.post("/completions", body)
    seconds = max(time.monotonic() - began, 1e-3)
    server.check_name(answer)
    choices = answer.get("choices")
    if not isinstance(choices, list) or len(choices) != count:
        raise Garbage(
            f"asked for {count} texts, it gave {len(choices) if isinstance(choices, list) else 'none'}"
        )
    for choice in choices:
        ids = choice.get("token_ids") if isinstance(choice, dict) else None
        if codec and isinstance(ids, list) and not _spells(codec, ids, choice.get("text")):
            raise Denied(
                f"the tokenizer that was named is another than the server's: tokens {ids} are "
                f"{str(choice.get('text'))[:60]!r} there; name the folder of the served model"
            )
    step = seconds / CANARY_TOKENS
    return replace(server, tokens_per_second=count / step, seconds_a_token=step)


def _spells(codec: TextCodec, ids: list[Any], text: Any) -> bool:
    """Whether these tokens may be that text.

    A space in front is no difference, since some write it only behind another token; what is no character is no
    evidence, since servers show it, hold it back or drop it as they like.
    """
    if not isinstance(text, str) or any(
        type(token) is not int or not 0 <= token < codec.vocab for token in ids
    ):
        return False
    while ids and ids[-1] in codec.eos:
        ids = ids[:-1]
    ours = codec.decode(ids, codec.encode_prompt(CANARY))
    if any(mark in each for mark in ("\ufffd", UNDECODABLE) for each in (ours, text)):
        return True
    return ours.lstrip(" ") == text.lstrip(" ")


def _names(entry: dict[str, Any]) -> frozenset[str]:
    aliases = entry.get("aliases")
    names = [entry.get("id"), entry.get("root"), *(aliases if isinstance(aliases, list) else [])]
    return frozenset(name for name in names if isinstance(name, str))


def _context(entry: dict[str, Any]) -> int | None:
    meta = entry.get("meta")
    length = entry.get("max_model_len") or (meta.get("n_ctx_train") if isinstance(meta, dict) else None)
    return length if type(length) is int and length > 0 else None


async def _version(connection: Connection, kind: str) -> str:
    """As the server tells it; "?" where it does not."""
    if kind not in _VERSIONS:
        return "?"
    path, key = _VERSIONS[kind]
    try:
        told = (await connection.get(path, at_root=True)).get(key)
    except (Trouble, Impossible):
        return "?"
    return told[:40] if isinstance(told, str) and told.isprintable() else "?"
