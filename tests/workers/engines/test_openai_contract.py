"""The openai engine keeps the contract of all engines, here with a server that runs the reference engine."""

from __future__ import annotations

import gc
import weakref
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.workers.engines.contract import EngineContract, draw, request
from tests.workers.engines.model_server import ModelServer
from workers.engines import Engine, open_engine


class TestOpenAI(EngineContract):
    #: the server draws in threads of this process; what their allocator keeps grows over the first few models
    memory_slack = 192 << 20

    _server: ClassVar[ExitStack]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def server(cls, request: pytest.FixtureRequest) -> Any:
        with ExitStack() as request.cls._server:
            yield

    @classmethod
    def _close(cls) -> None:
        super()._close()
        cls._server.close()  # its model lives in this process too

    def open(self, folder: Path) -> Engine:
        server = self._server.enter_context(ModelServer(folder, model=folder.name))
        return open_engine("openai", folder.name, endpoints=[server.address], tokenizer=folder, choices=256)

    def test_it_names_itself_and_the_weights(self, engine: Engine) -> None:
        """A server tells no digest of its weights: the model's name stands for them."""
        assert engine.fingerprint == "openai 2, vllm 0.32.0, plain, at one"
        assert engine.context_length == 256
        assert engine.capacity == 4 * 256
        assert not engine.repeatable

    def test_nothing_is_kept_of_an_engine_that_was_closed(self, models: dict[str, Path]) -> None:
        with ModelServer(models["plain"]) as server:
            engine = open_engine("openai", "tiny", endpoints=[server.address], tokenizer=models["plain"])
            draw(engine, request())
            kept = [weakref.ref(engine), weakref.ref(engine._dispatcher), weakref.ref(engine.codec)]
            engine.close()
            del engine
            gc.collect()
            assert [ref() for ref in kept] == [None] * 3
