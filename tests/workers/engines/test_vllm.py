"""The vLLM engine keeps the engines' contract, where vLLM is installed (`make test-vllm`)."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("vllm")

from tests.workers.engines.contract import EngineContract
from workers.engines import Engine, open_engine


class TestVllmEngine(EngineContract):
    def open(self, folder: Path) -> Engine:
        return open_engine("vllm", folder, dtype="float32", kv_bytes=64 << 20)
