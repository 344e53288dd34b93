"""The burst engine keeps the engines' contract, on the CPU in float32."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workers.engines.contract import EngineContract
from workers.engines import Engine, open_engine

pytest.importorskip("torch", reason="torch is no dependency of ours; `make test-torch` runs this")


class TestTorchEngine(EngineContract):
    def open(self, folder: Path) -> Engine:
        return open_engine("torch", folder, device="cpu", rows=128)
