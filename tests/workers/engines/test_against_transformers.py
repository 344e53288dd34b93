"""The forward pass agrees with the transformers library, where it is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tiny_model import write_tiny_llama
from workers.engines import open_engine

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

PAIRS = [("12+34=", "46"), ("a: hello world. b: ", "the quick brown fox"), ("x", "y"), ("12+34=", "")]
MODELS = {
    "llama": {},
    "untied, head_dim of its own": {"tied": False, "head_dim": 48},
    "grouped keys": {"d": 96, "heads": 6, "kv_heads": 2},
    "mistral": {"kind": "mistral", "kv_heads": 1},
    "qwen2": {"kind": "qwen2"},
    "qwen3": {"kind": "qwen3", "head_dim": 40},
    "gelu": {"config": {"hidden_act": "gelu_pytorch_tanh"}},
    "float16": {"dtype": "float16"},
    "bfloat16": {"dtype": "bfloat16"},
    "rope_parameters": {
        "config": {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}, "rope_theta": None}
    },
}


def likelihood(model: object, ids: list[int], start: int) -> tuple[float, np.ndarray]:
    """(nll of ids[start:], log-probabilities after the last) by transformers, in float32."""
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].double()  # type: ignore[operator]
    logs = torch.log_softmax(logits, -1).numpy()
    return -sum(logs[place - 1, ids[place]] for place in range(start, len(ids))), logs[-1]


@pytest.mark.parametrize("options", MODELS.values(), ids=MODELS.keys())
def test_likelihoods_agree_within_a_ten_thousandth_of_a_nat(tmp_path: Path, options: dict) -> None:
    folder = write_tiny_llama(tmp_path, scale=1.5, **options)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    engine = open_engine("reference", folder)
    scores = engine.score(PAIRS, stop=("\n",))
    codec = engine.codec  # type: ignore[attr-defined]
    newline = codec.encode_prompt("\n")[0]
    for (prompt, answer), score in zip(PAIRS, scores, strict=True):
        ids = codec.encode_prompt(prompt)
        nll, logs = likelihood(model, [*ids, *codec.encode_answer(prompt, answer)], len(ids))
        assert score.nll_answer == pytest.approx(nll, abs=1e-4)
        assert score.nll_terminator == pytest.approx(-np.logaddexp(logs[0], logs[newline]), abs=1e-4)
        assert score.tokens == len(answer)
