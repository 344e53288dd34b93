"""The openai engine keeps the contract of all engines, here with a server that runs the reference engine."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.workers.engines.contract import EngineContract
from tests.workers.engines.model_server import ModelServer
from workers.engines import Engine, open_engine


class TestOpenAI(EngineContract):
    _server: ClassVar[ExitStack]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def server(cls, request: pytest.FixtureRequest) -> Any:
        with ExitStack() as request.cls._server:
            yield

    def open(self, folder: Path) -> Engine:
        self._server.close()
        server = self._server.enter_context(ModelServer(folder, model=folder.name))
        return open_engine("openai", folder.name, endpoints=[server.address], tokenizer=folder, choices=256)

    def test_it_names_itself_and_the_weights(self, engine: Engine) -> None:
        """A server tells no digest of its weights: the model's name stands for them."""
        assert engine.fingerprint == "openai 1, vllm 0.32.0, plain, at one"
        assert engine.context_length == 256
        assert engine.capacity == 4 * 256
        assert not engine.repeatable
