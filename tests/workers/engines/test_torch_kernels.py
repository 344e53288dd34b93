"""The Triton kernels say what plain PyTorch says; here under Triton's interpreter, which needs no GPU."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.tiny_model import write_tiny_llama
from workers.engines import DrawRequest, open_engine

torch = pytest.importorskip("torch", reason="torch is no dependency of ours; `make test-torch` runs this")
pytest.importorskip("triton", reason="Triton is no dependency of ours; `make test-torch` runs this")
if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip(
        "kernels run without a GPU only with TRITON_INTERPRET=1, set before Triton is loaded",
        allow_module_level=True,
    )

from workers.engines.torch import eager, kernels  # noqa: E402

KINDS = {
    "llama": {},
    "qwen2, three queries a key": {"kind": "qwen2", "heads": 6, "kv_heads": 2, "head_dim": 32},
    "qwen3, four queries a key": {"kind": "qwen3", "heads": 4, "kv_heads": 1, "head_dim": 16, "tied": False},
    "odd sizes, gelu": {
        "head_dim": 40,
        "heads": 3,
        "vocab": 77,
        "config": {"hidden_act": "gelu_pytorch_tanh"},
    },
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_draws_by_kernels_are_those_of_the_reference_engine(tmp_path: Path, kind: str) -> None:
    write_tiny_llama(tmp_path, scale=1.5, **KINDS[kind])  # type: ignore[arg-type]
    asked = [
        DrawRequest("a", "12+34=", 0, 20, 0, ("\n",), 6),
        DrawRequest("b", "abc abc abc abc abc abc abc abc abc abc", 5, 9, 1, (), 9),
        DrawRequest("c", "x", 0, 16, 2, ("a1",), 4, 0.0),
        DrawRequest("d", "x", 2**33, 16, 2, ("a1",), 4, 0.7),
        DrawRequest("e", "x", 0, 16, 2, (), 4, 1.0, 0.6),
    ]
    engine = open_engine("torch", tmp_path, device="cpu", rows=64)
    engine.room._ops = kernels  # type: ignore[attr-defined]
    expected = open_engine("reference", tmp_path).draw(asked)
    assert [wave.texts for wave in engine.draw(asked)] == [wave.texts for wave in expected]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_sampling_reads_large_vocabularies_in_blocks(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path, vocab=9000, scale=1.5)
    asked = [DrawRequest("a", "12+34=", 0, 24, 0, (), 3), DrawRequest("b", "x", 0, 8, 0, (), 3, 0.2)]
    engine = open_engine("torch", tmp_path, device="cpu", rows=64)
    expected = [wave.texts for wave in engine.draw(asked)]
    again = open_engine("torch", tmp_path, device="cpu", rows=64)
    again.room._ops = kernels  # type: ignore[attr-defined]
    assert [wave.texts for wave in again.draw(asked)] == expected


def test_random_numbers_are_the_same_bits() -> None:
    key = torch.tensor([[1, 2], [2**32 - 1, 3], [77, 2**31]])
    draws = torch.tensor([0, 2**33 + 1, 5])
    assert (kernels.uniform_table(key, draws, 11) == eager.uniform_table(key, draws, 11)).all()
