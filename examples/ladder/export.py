"""Checkpoints as transformers and vLLM load them; packing a run's results and putting them in place."""

from __future__ import annotations

import argparse
import json
import shutil
import tarfile
import tempfile
from pathlib import Path

from examples.ladder.shapes import HEAD_DIM, NORM_EPS, ROPE_THETA, Shape
from examples.ladder.tokenizer import END_ID, MAX_POSITIONS, PAD_ID, VOCAB_SIZE, write_tokenizer

HERE = Path(__file__).resolve().parent
TAR_LIMIT = 15_000_000


def config(shape: Shape) -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": VOCAB_SIZE,
        "hidden_size": shape.d,
        "intermediate_size": shape.d_ff,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads,
        "head_dim": HEAD_DIM,
        "hidden_act": "silu",
        "max_position_embeddings": MAX_POSITIONS,
        "rms_norm_eps": NORM_EPS,
        "rope_theta": ROPE_THETA,
        "rope_scaling": None,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": END_ID,
        "pad_token_id": PAD_ID,
        "initializer_range": 0.02,
        "use_cache": True,
        "torch_dtype": "bfloat16",
        "dtype": "bfloat16",
    }


def save_checkpoint(folder: Path, shape: Shape, named: dict[str, object]) -> None:
    """Write one model; `named` are its own parameters (inputs, outputs), float32, as Stack.named has them."""
    import torch
    from safetensors.torch import save_file

    def matrix(value: object) -> torch.Tensor:
        assert isinstance(value, torch.Tensor)
        return value.detach().cpu().to(torch.bfloat16)

    inner, f = shape.heads * HEAD_DIM, shape.d_ff
    tensors = {
        "model.embed_tokens.weight": matrix(named["embed"]),
        "model.norm.weight": matrix(named["norm"])[0],
    }
    for layer in range(shape.layers):
        at = f"model.layers.{layer}"
        qkv, gate_up = matrix(named[f"{layer}.qkv"]).T, matrix(named[f"{layer}.gate_up"]).T
        for place, part in enumerate("qkv"):
            tensors[f"{at}.self_attn.{part}_proj.weight"] = qkv[place * inner : (place + 1) * inner]
        tensors[f"{at}.self_attn.o_proj.weight"] = matrix(named[f"{layer}.out"]).T
        tensors[f"{at}.mlp.gate_proj.weight"] = gate_up[:f]
        tensors[f"{at}.mlp.up_proj.weight"] = gate_up[f:]
        tensors[f"{at}.mlp.down_proj.weight"] = matrix(named[f"{layer}.down"]).T
        tensors[f"{at}.input_layernorm.weight"] = matrix(named[f"{layer}.attention_norm"])[0]
        tensors[f"{at}.post_attention_layernorm.weight"] = matrix(named[f"{layer}.feed_norm"])[0]
    folder.mkdir(parents=True, exist_ok=True)
    whole = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    save_file(whole, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config(shape), indent=1) + "\n", encoding="utf-8")
    generation = {"eos_token_id": END_ID, "pad_token_id": PAD_ID, "do_sample": True, "temperature": 1.0}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=1) + "\n", encoding="utf-8")
    write_tokenizer(folder)


def pack(run: Path, target: Path) -> list[Path]:
    """Few files of bounded size, easy to carry: checkpoints-N.tar and results.tar.gz."""
    target.mkdir(parents=True, exist_ok=True)
    bins: list[tuple[int, list[Path]]] = []
    models = [folder for folder in sorted((run / "models").glob("*")) if folder.is_dir()]
    weight = {folder: sum(f.stat().st_size + 1024 for f in folder.iterdir()) for folder in models}
    for folder in sorted(models, key=lambda m: -weight[m]):
        for place, (size, members) in enumerate(bins):
            if size + weight[folder] < TAR_LIMIT:
                bins[place] = (size + weight[folder], [*members, folder])
                break
        else:
            bins.append((weight[folder], [folder]))
    written = []
    for number, (_, members) in enumerate(bins, start=1):
        path = target / f"checkpoints-{number}.tar"
        with tarfile.open(path, "w") as tar:
            for folder in members:
                tar.add(folder, arcname=f"models/{folder.name}")
        written.append(path)
    path = target / "results.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for part in ("raw", "logs", "scores", "tasks"):
            if (run / part).is_dir():
                tar.add(run / part, arcname=part)
    return [*written, path]


def unpack(sources: list[Path], target: Path) -> None:
    """Put packed runs together: checkpoints and tasks in place, tables made anew from all raw scores."""
    from examples.ladder.tables import summary, write_tables

    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for source in sources:
            for path in sorted(source.rglob("*.tar")) + sorted(source.rglob("*.tar.gz")):
                with tarfile.open(path) as tar:
                    tar.extractall(work, filter="data")
        for part in ("models", "tasks"):
            if any((work / part).glob("*")):
                shutil.rmtree(target / part, ignore_errors=True)
                shutil.copytree(work / part, target / part)
        shutil.rmtree(target / "scores", ignore_errors=True)
        raws = write_tables(work / "raw", target / "scores")
        (target / "scores" / "summary.txt").write_text(summary(raws) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Put packed runs in place.")
    parser.add_argument("sources", nargs="+", type=Path, help="folders that --pack filled")
    parser.add_argument("--to", type=Path, default=HERE)
    options = parser.parse_args()
    unpack(options.sources, options.to)


if __name__ == "__main__":
    main()
