"""The examples in the method of measurement run."""

from __future__ import annotations

import doctest
from pathlib import Path


def test_the_examples_of_the_method_run() -> None:
    path = Path(__file__).resolve().parents[2] / "docs" / "method-measurement.md"
    result = doctest.testfile(str(path), module_relative=False)
    assert result.attempted >= 20
    assert result.failed == 0
