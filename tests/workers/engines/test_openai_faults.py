"""Endpoints that fail: what is lost is asked for again, nothing counts twice, and no failure changes a draw.

Draws of a seeded request are the same wherever they are repeated, so what comes through all faults must equal,
text by text, what an undisturbed server gives.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny_model import write_tiny_llama
from tests.workers.engines.contract import mean_squared_z, request
from tests.workers.engines.model_server import Fault, ModelServer
from workers.engines import (
    Engine,
    EngineError,
    EngineGarbage,
    EngineRefusal,
    Wave,
    check_wave,
    open_engine,
)
from workers.engines.openai.dispatch import MOST_ATTEMPTS

QUICK: dict[str, Any] = {"choices": 8, "first_rest": 0.05, "patience": 5.0, "give_up": 3.0}
Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("model"), scale=1.6, seed=5)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def serve(stack: ExitStack, folder: Path, **options: Any) -> ModelServer:
    return stack.enter_context(ModelServer(folder, **options))


def connect(stack: ExitStack, *servers: ModelServer, tokenizer: Path | None = None, **options: Any) -> Engine:
    engine = open_engine(
        "openai", "tiny", endpoints=[s.address for s in servers], tokenizer=tokenizer, **{**QUICK, **options}
    )
    stack.callback(engine.close)
    return engine


REQUESTS = [request(instance=str(k), prompt=f"{k}+1=", draws=30 + 7 * k, max_tokens=12) for k in range(4)]


@pytest.fixture(scope="module")
def calm(folder: Path) -> list[Wave]:
    """The draws of REQUESTS from a server without faults."""
    with ExitStack() as opened:
        return connect(opened, serve(opened, folder)).draw(REQUESTS)


def assert_same(waves: list[Wave], calm: list[Wave]) -> None:
    for asked, wave, expected in zip(REQUESTS, waves, calm, strict=True):
        check_wave(asked, wave)
        assert (wave.texts, wave.finish) == (expected.texts, expected.finish)
        assert wave.tokens.tolist() == expected.tokens.tolist()


def changed(change: Change) -> Fault:
    return ("changed", change)


def drop_a_choice(answer: dict[str, Any]) -> None:
    answer["choices"].pop()


def double_an_index(answer: dict[str, Any]) -> None:
    answer["choices"][0]["index"] = answer["choices"][-1]["index"]


def other_model(answer: dict[str, Any]) -> None:
    answer["model"] = "gpt-x"


def no_text(answer: dict[str, Any]) -> None:
    del answer["choices"][0]["text"]


def odd_finish(answer: dict[str, Any]) -> None:
    answer["choices"][0]["finish_reason"] = "abort"


def no_choices(answer: dict[str, Any]) -> None:
    del answer["choices"]


def too_many_tokens(answer: dict[str, Any]) -> None:
    answer["choices"][0]["token_ids"] = [5] * 13


def more_choices(answer: dict[str, Any]) -> None:
    answer["choices"].append({**answer["choices"][0], "index": len(answer["choices"])})


GARBAGE: dict[str, Fault] = {
    "one text too few": changed(drop_a_choice),
    "one text too many": changed(more_choices),
    "an index twice": changed(double_an_index),
    "another model": changed(other_model),
    "a choice without text": changed(no_text),
    "an unknown end": changed(odd_finish),
    "no choices": changed(no_choices),
    "too many tokens": changed(too_many_tokens),
    "NaN": ("raw", b'{"model": "tiny", "choices": [{"logprob": NaN}]}'),
    "no JSON": ("raw", b"<html>"),
    "a list": ("raw", b"[1]"),
    "deep nesting": ("raw", b"[" * 100_000),
    "over 10 MB": ("raw", b'{"a": "' + b"x" * 10_000_001 + b'"}'),
}
TROUBLE: dict[str, Fault] = {
    "busy": ("busy", "0.05"),
    "busy without a time": ("busy", ""),
    "error 500": ("status", 500),
    "error 503": ("status", 503),
    "a cut answer": ("cut",),
}


@pytest.mark.parametrize("fault", [*GARBAGE.values(), *TROUBLE.values()], ids=[*GARBAGE, *TROUBLE])
def test_a_fault_changes_no_draw(stack: ExitStack, folder: Path, calm: list[Wave], fault: Fault) -> None:
    server = serve(stack, folder, faults=lambda number: fault if number in (1, 2, 6) else None)
    assert_same(connect(stack, server).draw(REQUESTS), calm)


def test_a_fault_in_a_probe_does_not_change_how_draws_are_cut(
    stack: ExitStack, folder: Path, calm: list[Wave]
) -> None:
    """An endpoint in trouble is probed before it works again; a garbled answer then says nothing of its habits."""
    server = serve(stack, folder)
    engine = connect(stack, server)
    opening = len(server.bodies)

    def probes() -> list[int]:
        first = server.bodies[0]
        return [k for k, body in enumerate(server.bodies) if k >= opening and body["prompt"] == first["prompt"]
                and body["n"] <= first["n"]]  # fmt: skip

    def fault(number: int) -> Fault | None:
        return changed(drop_a_choice) if number == opening or number in probes()[:1] else None

    server.faults = fault
    assert_same(engine.draw(REQUESTS), calm)
    assert len(probes()) >= 2
    assert min(body["n"] for body in server.asked()) > 1


def test_many_faults_at_two_endpoints_change_no_draw(
    stack: ExitStack, folder: Path, calm: list[Wave]
) -> None:
    rng = np.random.default_rng(1)
    kinds = [*GARBAGE.values(), *TROUBLE.values(), ("hang", 0.3)]
    plan = [kinds[rng.integers(len(kinds))] if rng.random() < 0.3 else None for _ in range(1000)]
    one = serve(stack, folder, faults=lambda number: plan[number])
    two = serve(stack, folder, faults=lambda number: plan[500 + number] if number else None, name="two")
    assert_same(connect(stack, one, two, tokenizer=folder, give_up=20.0).draw(REQUESTS), calm)
    assert one.asked()
    assert two.asked()


def test_a_wait_that_the_server_names_is_kept(stack: ExitStack, folder: Path, calm: list[Wave]) -> None:
    server = serve(stack, folder, faults=lambda number: ("busy", "1") if number == 1 else None)
    engine = connect(stack, server)
    began = time.monotonic()
    assert_same(engine.draw(REQUESTS), calm)
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (
            GARBAGE["another model"],
            EngineGarbage,
            "'0'.*5 attempts failed, the last at one: it answers as model 'gpt-x'",
        ),
        (TROUBLE["error 500"], EngineError, "'0'.*5 attempts failed, the last at one: HTTP 500: told to"),
        (
            ("status", 400),
            EngineRefusal,
            "instance '0', draws from 0: endpoint one refuses: HTTP 400: told to",
        ),
        (("status", 401), EngineError, "no endpoint takes requests: one: HTTP 401: told to"),
        (("busy", "100"), EngineError, "no endpoint takes requests: one: HTTP 429: busy"),
        (("redirect", "/elsewhere"), EngineError, "redirects are not followed"),
    ],
)
def test_what_never_works_ends_with_its_reason(
    stack: ExitStack, folder: Path, fault: Fault, error: type[Exception], message: str
) -> None:
    def faults(number: int) -> Fault | None:
        return fault if server.bodies[number]["prompt"] != "1+1=" else None

    server = serve(stack, folder)
    engine = connect(stack, server, choices=64)
    server.faults = faults
    began = time.monotonic()
    with pytest.raises(error, match=message) as caught:
        engine.draw(REQUESTS[:1])
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 8
    server.faults = lambda number: None
    if error is EngineRefusal:  # the endpoint is well, and the next stream works
        check_wave(REQUESTS[0], engine.draw(REQUESTS[:1])[0])


def test_an_endpoint_without_progress_loses_its_work_to_the_others(
    stack: ExitStack, folder: Path, calm: list[Wave]
) -> None:
    dead = serve(stack, folder, faults=lambda number: ("hang",) if number else None)
    well = serve(stack, folder, name="two")
    engine = connect(stack, dead, well, patience=0.4, give_up=20.0)
    assert_same(engine.draw(REQUESTS), calm)
    assert len(dead.asked()) == 2, "two at first; it got no more before a probe was answered"
    deadline = time.monotonic() + 3
    while dead.left < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert dead.left >= 2, "its connections are closed, so that a server stops drawing"
    assert dead.answered == 2, "the probe's"


def test_a_dead_endpoint_works_again_once_it_answers_a_probe(
    stack: ExitStack, folder: Path, calm: list[Wave]
) -> None:
    sick = serve(stack, folder, faults=lambda number: ("cut",) if 0 < number < 5 else None)
    well = serve(stack, folder, name="two", faults=lambda number: ("hang", 0.1) if number else None)
    engine = connect(stack, sick, well)
    deadline = time.monotonic() + 20
    while sick.answered <= 40 and time.monotonic() < deadline:
        assert_same(engine.draw(REQUESTS), calm)
    assert sick.answered > 40


def test_an_answer_that_comes_too_late_counts_for_nothing(
    stack: ExitStack, folder: Path, calm: list[Wave]
) -> None:
    late = serve(stack, folder, faults=lambda number: ("hang", 1.0) if number in (1, 2) else None)
    engine = connect(stack, late, patience=0.3, give_up=20.0)
    stream = engine.stream()
    for key, asked in enumerate(REQUESTS):
        stream.submit(key, asked)
    waves: dict[Any, Wave] = {}
    while ended := stream.collect():
        assert not waves.keys() & dict(ended).keys()
        waves |= dict(ended)
    time.sleep(1.2)
    assert stream.collect() == []
    assert_same([waves[key] for key in range(len(REQUESTS))], calm)


def test_a_request_that_is_lost_among_others_is_asked_again(
    stack: ExitStack, folder: Path, calm: list[Wave]
) -> None:
    server = serve(stack, folder, faults=lambda number: ("hang",) if number == 3 else ("hang", 0.05))
    assert_same(connect(stack, server, patience=0.5, give_up=20.0).draw(REQUESTS), calm)
    assert server.left >= 1


def test_abort_closes_the_connections_of_what_it_gives_up(stack: ExitStack, folder: Path) -> None:
    server = serve(stack, folder, faults=lambda number: ("hang",) if number else None)
    engine = connect(stack, server, patience=60.0)
    stream = engine.stream()
    stream.submit("a", REQUESTS[0])
    deadline = time.monotonic() + 5
    while not server.asked() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert stream.abort(["a"]) == 0
    while server.left < len(server.asked()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.left == len(server.asked()) > 0
    assert stream.collect() == []


def test_closing_the_engine_ends_its_thread_and_connections(stack: ExitStack, folder: Path) -> None:
    server = serve(stack, folder, faults=lambda number: ("hang",) if number else None)
    engine = open_engine("openai", "tiny", endpoints=[server.address], **QUICK)
    stream = engine.stream()
    stream.submit("a", REQUESTS[0])
    engine.close()
    assert stream.abort(["a"]) == 0
    deadline = time.monotonic() + 5
    while server.at_once and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.at_once == 0
    assert not any(thread.name == "openai" for thread in threading.enumerate())


def test_work_goes_to_all_endpoints_and_never_beyond_their_limit(stack: ExitStack, folder: Path) -> None:
    servers = [
        serve(stack, folder, name=name, faults=lambda number: ("hang", 0.03))
        for name in ("one", "two", "three")
    ]
    engine = connect(stack, *servers)
    engine.draw([request(instance=str(k), draws=80, max_tokens=4) for k in range(10)])
    assert all(len(server.asked()) > 15 for server in servers)
    assert all(1 < server.most_at_once <= 4 + 1 for server in servers)  # four and a probe


def test_faults_do_not_bend_the_distribution_where_no_seed_helps(stack: ExitStack, folder: Path) -> None:
    """A plain server draws anew when asked again; failures that know nothing of the texts must not select.

    The k-th request for a prompt fails or not, and draws the same texts, whatever comes in between: the requests that
    succeed are the same in every run. No prompt has as many faults as a single request is given up after.
    """
    rng = np.random.default_rng(2)
    kinds: list[Fault] = [("status", 500), ("busy", "0"), ("cut",), changed(drop_a_choice)]
    prompts = [f"{k}+{k}=" for k in range(2, 18)]
    plan: dict[tuple[str, int], Fault] = {}
    for prompt in (*prompts, "1+1="):  # the last one is the probe's
        places = rng.choice(MOST_ATTEMPTS + 4, size=MOST_ATTEMPTS - 1, replace=False)
        plan |= {(prompt, int(place)): kinds[rng.integers(len(kinds))] for place in places}

    def faults(number: int) -> Fault | None:
        return plan.get((server.bodies[number]["prompt"], server.asked_before(number)))

    server = serve(stack, folder, kind="plain")
    engine = connect(stack, server, choices=500, first_rest=0.001, patience=60.0, give_up=60.0)
    server.faults = faults
    exact = open_engine("reference", folder)
    draws, cells = 3000, []
    asked = [request(instance=p, prompt=p, draws=draws, max_tokens=2, stop=("\n",)) for p in prompts]
    answers = ["", *"0123456789abcdefghij+= "]
    for prompt, wave in zip(prompts, engine.draw(asked), strict=True):
        counts = Counter(text for text, how in zip(wave.texts, wave.finish, strict=True) if how == "stop")
        scores = exact.score([(prompt, answer) for answer in answers], stop=("\n",))
        cells += [(counts[a], np.exp(-s.nll), draws) for a, s in zip(answers, scores, strict=True)]
    cells = [cell for cell in cells if cell[1] * draws >= 0.3]
    assert sum(faults(number) is not None for number in range(len(server.bodies))) > 40
    assert len(cells) > 100
    assert 0.7 < mean_squared_z(cells) < 1.3


@pytest.mark.parametrize("draws", [1, 100])
def test_a_server_whose_weights_are_damaged_meanwhile_gives_no_wave(
    stack: ExitStack, folder: Path, draws: int
) -> None:
    """It answers, in time and in good form, that every text is empty."""
    server = serve(stack, folder)
    engine = connect(stack, server)
    server.faults = lambda number: ("damaged",)
    with pytest.raises(EngineError, match="log-probabilities are not finite; the weights are damaged"):
        engine.draw([request(draws=draws)])


# --- Opening ---


def test_opening_where_nothing_answers_names_every_reason(stack: ExitStack, folder: Path) -> None:
    with ModelServer(folder, name="gone") as closed:
        address = closed.address
    dead = serve(stack, folder, faults=lambda number: ("hang",), name="silent")
    with pytest.raises(
        EngineError, match=r"gone: no connection.*; silent: no answer to a probe in 1 s"
    ) as caught:
        open_engine("openai", "tiny", endpoints=[address, dead.address], **{**QUICK, "patience": 1.0})
    assert type(caught.value) is EngineError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "other"}, "it does not serve 'tiny'; it serves other"),
        ({"key": "sesame"}, "HTTP 401: wrong key"),
        ({"faults": lambda number: ("redirect", "http://127.0.0.1/")}, "redirects are not followed"),
    ],
)
def test_a_wrong_endpoint_is_refused(stack: ExitStack, folder: Path, options: Any, message: str) -> None:
    address = serve(stack, folder, **options).address
    wrong = type(address)(address.name, address.base_url, "a-secret" if "key" in options else "", 4, True)
    with pytest.raises(EngineRefusal, match=message) as caught:
        open_engine("openai", "tiny", endpoints=[wrong], **QUICK)
    assert "a-secret" not in str(caught.value) + repr(wrong)


def test_one_working_endpoint_is_enough_to_open(stack: ExitStack, folder: Path, calm: list[Wave]) -> None:
    silent = serve(stack, folder, faults=lambda number: ("hang",), name="silent")
    other = serve(stack, folder, model="other", name="other")
    engine = connect(stack, silent, other, serve(stack, folder))
    assert_same(engine.draw(REQUESTS), calm)
    assert other.asked() == silent.asked() == []


def test_another_models_tokenizer_is_refused(stack: ExitStack, folder: Path, tmp_path: Path) -> None:
    write_tiny_llama(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    vocab = content["model"]["vocab"]
    names = [name for name in vocab if len(name) == 1]
    vocab |= dict(zip(names, [vocab[name] for name in reversed(names)], strict=True))
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(EngineRefusal, match="the tokenizer that was named is another than the server's"):
        connect(stack, serve(stack, folder), tokenizer=tmp_path)


def test_a_server_of_another_version_is_not_mixed_in(stack: ExitStack, folder: Path) -> None:
    server = serve(stack, folder)
    engine = connect(stack, server)
    server.faults = lambda number: ("status", 500) if number < 3 else None
    server.version = "0.33.0"
    with pytest.raises(EngineError, match=r"it was vllm 0\.32\.0 and is vllm 0\.33\.0 now"):
        engine.draw(REQUESTS)


def test_a_server_of_one_text_a_request_is_asked_for_one(stack: ExitStack, folder: Path) -> None:
    server = serve(stack, folder, most_choices=1)
    wave = connect(stack, server).draw([request(draws=11)])[0]
    assert len(set(wave.texts)) > 8
    assert [body["n"] for body in server.asked()] == [1] * 11
    assert len({body["seed"] for body in server.asked()}) == 11
