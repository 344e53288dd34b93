"""The openai engine against a real vLLM server on the CPU: `make test-vllm`.

The server runs in a process of its own and listens on a port of 127.0.0.1 that was free.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import ClassVar

import pytest

from firstlight.files.addresses import EndpointAddress
from tests.workers.engines.contract import EngineContract, draw, request
from workers.engines import Engine, EngineRefusal, open_engine
from workers.engines.openai.servers import Server

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("vllm") is None,
    reason="vllm is not installed here: make test-vllm runs this in an environment that has it",
)
START_SECONDS = 240
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "OMP_NUM_THREADS": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
}


@contextmanager
def vllm_server(folder: Path, log: Path, *, name: str = "tiny") -> Iterator[EndpointAddress]:
    """A vLLM server of the folder's model, from /health on until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += ["--served-model-name", name, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--dtype", "float32", "--max-model-len", "256", "--enforce-eager"]
    command += ["--no-enable-chunked-prefill", "--generation-config", "vllm"]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            env=os.environ | ENVIRONMENT,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(server, f"http://127.0.0.1:{port}/health", log)
        yield EndpointAddress(name, f"http://127.0.0.1:{port}/v1", parallel=4, allow_private=True)
    finally:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=30)
        if server.poll() is None or _group_lives(server.pid):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError(f"the server did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


class TestOpenAIWithVllm(EngineContract):
    """Two servers one after the other, for the two models of the contract."""

    nll_tolerance = 1e-4

    _open: ClassVar[ExitStack]
    _logs: ClassVar[Path]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def server(
        cls, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[None]:
        request.cls._logs = tmp_path_factory.mktemp("logs")
        with ExitStack() as request.cls._open:
            yield

    def open(self, folder: Path) -> Engine:
        self._open.close()
        server = vllm_server(folder, self._logs / folder.name, name=folder.name)
        address = self._open.enter_context(server)
        return open_engine("openai", folder.name, endpoints=[address], tokenizer=folder, choices=256)

    def test_it_names_itself_and_the_weights(self, engine: Engine) -> None:
        """A server tells no digest of its weights: the model's name stands for them."""
        assert re.fullmatch(r"openai 2, vllm \d[\w.+]*, plain, at plain", engine.fingerprint)
        assert engine.context_length == 256

    #: each would be a server of its own, and memory of another process
    test_checkpoints_follow_each_other_and_give_their_memory_back = None  # type: ignore[assignment]

    def test_text_prompts_and_token_prompts_draw_the_same(self, engine: Engine) -> None:
        """Without a tokenizer texts are the server's own; special tokens stay in them and stops are cut alike."""
        address = engine._dispatcher.endpoints[0].address  # type: ignore[attr-defined]
        plain = open_engine("openai", "plain", endpoints=[address], choices=256)
        asked = request(draws=200, stop=("\n", "a1", "1"))
        wave, expected = draw(plain, asked)[0], draw(engine, asked)[0]
        plain.close()
        assert (wave.texts, wave.finish) == (expected.texts, expected.finish)
        assert wave.tokens.tolist() == expected.tokens.tolist()
        assert any("<pad>" in text for text in wave.texts)

    def test_a_prompt_that_the_server_makes_room_for_by_shortening_texts_is_refused(
        self, engine: Engine
    ) -> None:
        address = engine._dispatcher.endpoints[0].address  # type: ignore[attr-defined]
        plain = open_engine("openai", "plain", endpoints=[address])
        with pytest.raises(EngineRefusal, match=r"instance 'long'.*room for 16 tokens"):
            plain.draw([request(instance="long", prompt="1" * 240)])
        assert len(draw(plain, request(draws=3))[0].texts) == 3
        plain.close()

    def test_scores_by_echo_alone_are_the_same(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        """The way of servers that know OpenAI's own parameters only."""
        pairs = [("12+34=", "46"), ("7", "<pad>9"), ("a", "")]
        expected = engine.score(pairs, ("\n", "1"))
        monkeypatch.setattr(Server, "scores_ids", False)
        for score, exact in zip(engine.score(pairs, ("\n", "1")), expected, strict=True):
            assert score.nll_answer == pytest.approx(exact.nll_answer, abs=1e-4)
            assert score.nll_terminator == pytest.approx(exact.nll_terminator, abs=1e-4)

    def test_abort_frees_the_server(self, engine: Engine) -> None:
        """What is given up is not drawn to its end: the server has no request left long before that."""
        stream = engine.stream()
        for key in range(8):
            stream.submit(key, request(instance=str(key), draws=256, max_tokens=240))
        time.sleep(0.3)
        stream.abort(range(8))
        deadline = time.monotonic() + 5
        while _running(engine) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert _running(engine) == 0


def _running(engine: Engine) -> float:
    """Sequences that the server works on or holds back, from its metrics."""
    url = engine._dispatcher.endpoints[0].address.base_url.removesuffix("/v1")  # type: ignore[attr-defined]
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as page:
        text = page.read().decode()
    return sum(float(value) for value in re.findall(r"^vllm:num_requests_\w+\{[^}]*\} (\S+)", text, re.M))
