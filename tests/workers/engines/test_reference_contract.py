"""The embedded engine keeps the engines' contract."""

from __future__ import annotations

from pathlib import Path

from tests.workers.engines.contract import EngineContract
from workers.engines import Engine, open_engine


class TestReferenceEngine(EngineContract):
    def open(self, folder: Path) -> Engine:
        return open_engine("reference", folder)
