"""Checkpoints of random weights in the shapes that the speed benchmarks ask for."""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]

from tests.tiny_model import CHARACTERS, char_tokenizer  # noqa: E402

#: name: hidden, layers, heads, key/value heads, inner, vocabulary
SHAPES = {
    "tiny": (64, 2, 2, 2, 192, 2000),
    "7M": (320, 6, 10, 10, 800, 64),
    "0.036B": (512, 12, 8, 8, 1280, 32000),
    "0.5B": (1344, 24, 21, 21, 3360, 32000),
    "1.1B": (2048, 16, 32, 32, 8192, 32000),
}


def write_random(folder: Path, name: str, *, seed: int = 0) -> Path:
    """Write a Llama-shaped checkpoint in bfloat16 that never ends a text by itself; returns its folder."""
    import torch
    from safetensors.torch import save_file

    hidden, layers, heads, kv_heads, inner, vocab = SHAPES[name]
    size = hidden // heads
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator(device).manual_seed(seed)

    def matrix(rows: int, columns: int) -> torch.Tensor:
        values = torch.randn(rows, columns, generator=generator, device=device) * columns**-0.5
        return values.to(torch.bfloat16).cpu()

    tensors = {
        "model.embed_tokens.weight": matrix(vocab, hidden),
        "model.norm.weight": torch.ones(hidden, dtype=torch.bfloat16),
    }
    for layer in range(layers):
        at = f"model.layers.{layer}."
        for part, rows, columns in (
            ("self_attn.q_proj", heads * size, hidden),
            ("self_attn.k_proj", kv_heads * size, hidden),
            ("self_attn.v_proj", kv_heads * size, hidden),
            ("self_attn.o_proj", hidden, heads * size),
            ("mlp.gate_proj", inner, hidden),
            ("mlp.up_proj", inner, hidden),
            ("mlp.down_proj", hidden, inner),
        ):
            tensors[f"{at}{part}.weight"] = matrix(rows, columns)
        for part in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{at}{part}.weight"] = torch.ones(hidden, dtype=torch.bfloat16)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": size,
        "intermediate_size": inner,
        "vocab_size": vocab,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "eos_token_id": None,
        "bos_token_id": None,
        "torch_dtype": "bfloat16",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    (folder / "tokenizer.json").write_text(json.dumps(char_tokenizer(vocab)))
    return folder


def prompts(count: int, tokens: int) -> list[str]:
    """Different prompts of `tokens` characters, each a token of the character tokenizer."""
    letters = [character for character in CHARACTERS if character.isalnum()]
    return [
        "".join(letters[(7 * index + place * (index + 3)) % len(letters)] for place in range(tokens))
        for index in range(count)
    ]
