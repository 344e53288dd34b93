"""What the openai engine sends, how it reads answers of plainer servers, and where its connections may go."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpcore2
import numpy as np
import pytest

from firstlight.files.addresses import AddressError, EndpointAddress
from tests.tiny_model import write_tiny_llama
from tests.workers.engines.contract import _as_tokens, request
from tests.workers.engines.model_server import ModelServer
from workers.engines import Engine, EngineRefusal, check_wave, open_engine
from workers.engines.openai.completions import DrawCall, spaced_seed, spread
from workers.engines.openai.connection import MAX_RETRY_AFTER, CheckedBackend, Garbage, retry_after
from workers.engines.openai.servers import Server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("model"), scale=1.6, seed=5)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def connect(
    stack: ExitStack, folder: Path, *, tokenizer: Path | None = None, **options: Any
) -> tuple[Engine, ModelServer]:
    server = stack.enter_context(ModelServer(folder, **options))
    engine = open_engine("openai", "tiny", endpoints=[server.address], tokenizer=tokenizer)
    stack.callback(engine.close)
    return engine, server


# --- What is sent ---


def test_defaults_of_a_vllm_server_are_overruled(stack: ExitStack, folder: Path) -> None:
    engine, server = connect(stack, folder, tokenizer=folder)
    engine.draw([request(draws=50, stop=("b", "ab"), temperature=0.7, top_p=0.9)])
    first, second = server.asked()
    assert first["prompt"] == engine.codec.encode_prompt("12+34=")  # type: ignore[attr-defined]
    assert {first["n"], second["n"]} == {32, 18}
    assert first["stop"] == ["ab", "b"]
    expected = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "skip_special_tokens": False}
    expected |= {"temperature": 0.7, "top_p": 0.9, "max_tokens": 24, "model": "tiny", "stream": False}
    assert first.items() >= expected.items()


def test_without_a_tokenizer_the_text_is_sent(stack: ExitStack, folder: Path) -> None:
    engine, server = connect(stack, folder)
    check_wave(asked := request(stop=("\n",)), engine.draw([asked])[0])
    assert {body["prompt"] for body in server.asked()} == {"12+34="}


def test_a_plain_server_gets_nothing_that_it_may_not_know(stack: ExitStack, folder: Path) -> None:
    engine, server = connect(stack, folder, kind="plain", tokenizer=folder)
    engine.draw([request(draws=20)])
    known = "model prompt n max_tokens temperature top_p presence_penalty frequency_penalty stream"
    assert server.asked()[0].keys() == set(known.split())
    assert server.asked()[0]["prompt"] == "12+34="


def test_more_stops_than_a_plain_server_takes_are_cut_here(stack: ExitStack, folder: Path) -> None:
    engine, server = connect(stack, folder, kind="plain")
    stops = ("1", "2", "3", "4", "5", "ab")
    asked = request(draws=200, stop=stops)
    wave = engine.draw([asked])[0]
    check_wave(asked, wave)
    assert all(len(body["stop"]) == 4 for body in server.asked())
    share = np.mean([finish == "stop" for finish in wave.finish])
    exact = open_engine("reference", folder).draw([request(draws=2000, stop=stops)])[0]
    expected = np.mean([finish == "stop" for finish in exact.finish])
    assert abs(share - expected) < 4 * (expected * (1 - expected) / 200) ** 0.5 + 0.01


def test_greedy_draws_are_asked_for_once(stack: ExitStack, folder: Path) -> None:
    engine, server = connect(stack, folder, tokenizer=folder)
    asked = request(draws=100, temperature=0.0, stop=("\n",))
    wave = engine.draw([asked])[0]
    check_wave(asked, wave)
    assert wave.texts == open_engine("reference", folder).draw([asked])[0].texts
    assert [body["n"] for body in server.asked()] == [1]


def test_long_answers_are_asked_for_in_pieces_below_the_cap() -> None:
    server = Server("vllm", "1", "m", frozenset({"m"}), None, 1000)
    call = DrawCall(request(draws=1000, max_tokens=4096), 0, 1000)
    part, rest = call.split(server)
    assert part.count * 20 * 4096 < 10_000_000
    assert rest is not None
    assert (part.first, rest.first, rest.count) == (0, part.count, 1000 - part.count)


def test_seeds_of_parts_never_meet() -> None:
    """Child i of a request is drawn with seed + i: no child of one part may have the seed of another's."""
    seeds = [
        spaced_seed(run, f"i{k}", first) for run in (0, 1) for k in range(50) for first in range(0, 3200, 32)
    ]
    assert all(0 <= seed < 2**53 for seed in seeds)
    assert np.diff(np.sort(seeds)).min() >= 1024
    assert spaced_seed(1, "2", 3) != spaced_seed(1, "23", 0)


# --- How answers are read ---


@pytest.mark.parametrize(
    ("total", "finish", "expected"),
    [
        (20, "ll", [10, 10]),
        (13, "ls", [10, 3]),
        (7, "ss", [4, 3]),
        (0, "s", [0]),
        (7, "ll", [4, 3]),  # its count is another than ours: shared evenly
        (5, "ls", [3, 2]),
    ],
)
def test_a_sum_of_tokens_is_shared_among_the_texts(total: int, finish: str, expected: list[int]) -> None:
    answer = {"usage": {"completion_tokens": total}}
    ends = [{"l": "length", "s": "stop"}[end] for end in finish]
    assert spread(answer, ends, 10) == expected


@pytest.mark.parametrize(
    "usage", [None, {}, {"completion_tokens": -1}, {"completion_tokens": 21}, {"completion_tokens": "x"}]
)
def test_a_count_that_cannot_be_is_garbage(usage: Any) -> None:
    with pytest.raises(Garbage, match="tokens for 2 texts of at most 10"):
        spread({"usage": usage}, ["stop", "stop"], 10)


def test_tokens_of_a_plain_server_add_up(stack: ExitStack, folder: Path) -> None:
    engine, _ = connect(stack, folder, kind="plain")
    wave = engine.draw([request(draws=100, stop=("\n",))])[0]
    exact = [
        len(_as_tokens(text)) + (finish == "stop")
        for text, finish in zip(wave.texts, wave.finish, strict=True)
    ]
    assert wave.tokens.sum() == sum(exact)
    for tokens, finish in zip(wave.tokens, wave.finish, strict=True):
        assert 0 <= tokens <= 24
        assert finish == "stop" or tokens == 24


def test_seconds_of_overlapping_requests_add_up_to_the_time_that_passed(
    stack: ExitStack, folder: Path
) -> None:
    engine, _ = connect(stack, folder)
    began = time.monotonic()
    waves = engine.draw([request(instance=str(k), draws=64) for k in range(6)])
    passed = time.monotonic() - began
    assert 0.5 * passed < sum(wave.seconds for wave in waves) <= passed


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("-1", 0.0),
        ("100000", MAX_RETRY_AFTER),
        ("nan", None),
        ("inf", None),
        ("soon", None),
    ],
)
def test_a_wait_is_read_and_bounded(text: str, seconds: float | None) -> None:
    assert retry_after(text) == seconds


def test_a_wait_may_be_a_date() -> None:
    seconds = retry_after(formatdate(time.time() + 30, usegmt=True))
    assert seconds is not None
    assert 28 <= seconds <= 31


# --- Likelihoods ---


def test_answers_are_not_scored_where_it_cannot_be_done(stack: ExitStack, folder: Path) -> None:
    pair = [("1+1=", "2")]
    for options, message in (
        ({}, "cannot be scored without its tokenizer"),
        ({"tokenizer": folder, "kind": "plain"}, "an endpoint of kind plain takes no token ids"),
    ):
        engine, _ = connect(stack, folder, **options)  # type: ignore[arg-type]
        with pytest.raises(EngineRefusal, match=message):
            engine.score(pair)


def test_what_a_server_cuts_short_for_want_of_room_is_refused(stack: ExitStack, folder: Path) -> None:
    engine, server = connect(stack, folder)
    short = request(draws=5, max_tokens=10)

    def shorten(answer: dict[str, Any]) -> None:
        for choice in answer["choices"]:
            choice["token_ids"] = choice["token_ids"][:7]

    server.faults = lambda number: ("changed", shorten)
    with pytest.raises(
        EngineRefusal, match=r"instance 'i'.*room for 7 tokens behind the prompt, asked for 10"
    ):
        engine.draw([short])
    server.faults = lambda number: ("changed", lambda answer: answer["usage"].update(prompt_tokens=248))
    with pytest.raises(EngineRefusal, match="room for 8 tokens"):
        engine.draw([short])


def test_a_server_that_echoes_no_log_probabilities_is_told_from_one_that_does(
    stack: ExitStack, folder: Path
) -> None:
    engine, server = connect(stack, folder, kind="sglang", tokenizer=folder)
    exact = open_engine("reference", folder).score([("1+1=", "2")])[0].nll
    assert engine.score([("1+1=", "2")])[0].nll == pytest.approx(exact, abs=1e-5)
    server.kind = "mute"
    with pytest.raises(EngineRefusal, match="gives no log-probabilities of a prompt"):
        engine.score([("1+1=", "2")])


# --- Where connections may go ---


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"]
)
def test_loopback_in_any_spelling_is_refused_at_the_connection(
    stack: ExitStack, folder: Path, host: str
) -> None:
    server = stack.enter_context(ModelServer(folder))
    port = server.http.server_port
    address = EndpointAddress("row", f"http://{host}:{port}/v1")
    with pytest.raises(EngineRefusal, match="a loopback, private or link-local address"):
        open_engine("openai", "tiny", endpoints=[address])
    assert server.bodies == []


def test_a_name_that_changes_its_answer_is_judged_again_and_never_asked_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: a public address when the row was saved, loopback at the connection; or between check and use."""
    answers = iter(["93.184.216.34", "127.0.0.1"])
    connected: list[str] = []

    def resolve(host: str, port: int, *_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    async def connect_tcp(self: Any, host: str, *_: Any) -> None:
        connected.append(host)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(httpcore2.AnyIOBackend, "connect_tcp", connect_tcp)

    async def both() -> None:
        backend = CheckedBackend(allow_private=False)
        await backend.connect_tcp("rebind.example", 80, 1.0)
        with pytest.raises(AddressError, match=r"rebind\.example resolves to 127\.0\.0\.1"):
            await backend.connect_tcp("rebind.example", 80, 1.0)

    asyncio.run(both())
    assert connected == ["93.184.216.34"]


def test_a_variable_for_proxies_is_not_heeded(
    stack: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    engine, _ = connect(stack, folder)
    assert len(engine.draw([request(draws=3)])[0].texts) == 3
