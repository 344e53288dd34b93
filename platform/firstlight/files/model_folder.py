"""Reads a checkpoint folder: config.json checked against the safetensors headers, and the parameter counts.

N, the size that scaling laws use, is the number of non-embedding parameters: the input embedding and the
output head (tied or not) are left out, norm weights are counted. No weights are loaded and no code of the
folder runs. The headers are read in milliseconds; the digest reads every byte, and is taken apart from them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from firstlight.files.agreement import EMBEDDINGS, HEADS, check_shapes, check_vocabulary, is_tied
from firstlight.files.model_shapes import KNOWN_TYPES, ConfigError, expected_tensors, whole
from firstlight.files.safetensors_files import SafetensorsError, TensorEntry, read_headers
from firstlight.files.strict_json import StrictJsonError, strict_loads

MAX_CONFIG_BYTES = 4_000_000
MAX_INDEX_BYTES = 100_000_000
DTYPE_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_POSITIONS = ("wpe.weight",)
_OTHER_MODALITIES = ("vision", "visual", "multi_modal_projector", "audio", "image_newline")


class ModelFolderError(ValueError):
    """The folder is not a checkpoint that can be used; one line, naming the file or tensor and the remedy."""


@dataclass(frozen=True)
class ModelFolder:
    """What a checkpoint folder says about its model.

    n_params: N, non-embedding parameters (all experts).
    n_params_active: non-embedding parameters that one token uses; equals n_params for a dense model.
    n_params_total: parameters of all tensors, a tied head counted once.
    counted_from: ``config+tensors`` where every tensor was checked against the config, else ``tensors``.
    digest: ``sha256:<hex>`` over config.json, tokenizer.json and every safetensors file; "" after headers alone.
    seen: a short text that changes when a file of the folder does (names, sizes, times), to tell what was shown from
    what is there now.
    bytes: of the files that the digest reads.
    context_length: ``max_position_embeddings``, or None if the config does not say.
    tied: whether the head is the embedding.
    tensors: every tensor of the files, by name.
    """

    path: Path
    n_params: int
    n_params_active: int
    n_params_total: int
    counted_from: str
    dtype: str
    architecture: str
    model_type: str
    digest: str
    seen: str
    bytes: int
    context_length: int | None
    vocab_size: int
    tied: bool
    config: dict[str, Any] = field(hash=False, repr=False)
    weight_files: tuple[Path, ...] = field(repr=False)
    tensors: dict[str, TensorEntry] = field(hash=False, repr=False)

    def shape(self) -> dict[str, int]:
        """The numbers that shape the network, those that the (text) config gives."""
        text = text_config(self.config)
        keys: tuple[str, ...] = (
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "head_dim",
        )
        keys += ("intermediate_size", "vocab_size", "num_local_experts", "num_experts", "num_experts_per_tok")
        return {key: text[key] for key in keys if type(text.get(key)) is int}


def read_model_folder(path: str | Path) -> ModelFolder:
    """Read and check one checkpoint folder, and take its digest.

    Raises ModelFolderError: no such folder, a file missing, broken or truncated, or tensors unlike the config.
    """
    folder = read_headers_of(path)
    return replace(folder, digest=take_digest(folder))


def read_headers_of(path: str | Path) -> ModelFolder:
    """What the headers of a checkpoint folder say, without its digest; raises as `read_model_folder`."""
    folder = Path(path)
    if not folder.exists():
        raise ModelFolderError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise ModelFolderError(f"{folder} is a file, expected the folder that holds config.json")
    config = _read_object(folder / "config.json", MAX_CONFIG_BYTES)
    try:
        files = _weight_files(folder)
        tensors = read_headers(files)
        text = text_config(config)
        model_type = str(text.get("model_type") or config.get("model_type") or "")
        known = model_type in KNOWN_TYPES
        parts = _language_tensors(tensors)
        tied = is_tied(config, text, parts)
        if known:
            check_shapes(parts, expected_tensors({**text, "model_type": model_type}, tied=tied))
        counts = _count(parts, text)
        vocab = whole(text, "vocab_size")
        check_vocabulary(parts, vocab)
        context = (
            whole(text, "max_position_embeddings")
            if text.get("max_position_embeddings") is not None
            else None
        )
    except (SafetensorsError, ConfigError, ModelFolderError) as error:
        raise ModelFolderError(f"{folder}: {error}") from error
    return ModelFolder(
        path=folder,
        n_params=counts[0],
        n_params_active=counts[1],
        n_params_total=sum(
            entry.size
            for name, entry in tensors.items()
            if not (tied and name.endswith(HEADS)) and not _is_buffer(name)
        ),
        counted_from="config+tensors" if known else "tensors",
        dtype=_dtype(tensors),
        architecture=_architecture(config),
        model_type=model_type,
        digest="",
        seen=_seen(folder, files),
        bytes=sum(file.stat().st_size for file in _digested(folder, files)),
        context_length=context,
        vocab_size=vocab,
        tied=tied,
        config=config,
        weight_files=tuple(files),
        tensors=tensors,
    )


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a folder; raises ModelFolderError."""
    return _read_object(folder / "config.json", MAX_CONFIG_BYTES)


def text_config(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a config that describes the language model: `text_config` if multimodal, else the whole."""
    nested = config.get("text_config")
    return nested if isinstance(nested, dict) else config


def _read_object(file: Path, cap: int) -> dict[str, Any]:
    if not file.is_file():
        raise ModelFolderError(
            f"{file.parent}: no {file.name}; register the folder that the model was saved to"
        )
    try:
        with file.open("rb") as stream:
            raw = stream.read(cap + 1)
        if len(raw) > cap:
            raise ModelFolderError(f"{file}: more than {cap:,} bytes, too large for a {file.name}")
        value = strict_loads(raw)
    except OSError as error:
        raise ModelFolderError(f"{file} cannot be read: {error.strerror}") from error
    except StrictJsonError as error:
        raise ModelFolderError(f"{file} {error}") from error
    if not isinstance(value, dict):
        raise ModelFolderError(f"{file} is not a JSON object")
    return value


def _weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    if index.is_file():
        names = _read_object(index, MAX_INDEX_BYTES).get("weight_map")
        if (
            not isinstance(names, dict)
            or not names
            or not all(isinstance(name, str) for name in names.values())
        ):
            raise ModelFolderError(f"{index.name} has no weight_map of tensor names to files")
        for name in set(names.values()):
            if Path(name).name != name or not name.endswith(".safetensors"):
                raise ModelFolderError(
                    f"{index.name} names {name!r}, expected a .safetensors file of this folder"
                )
            if not (folder / name).is_file():
                raise ModelFolderError(f"{name} is missing, though {index.name} names it; copy all shards")
        return [folder / name for name in sorted(set(names.values()))]
    loose = sorted(folder.glob("*.safetensors"))
    if loose:
        return loose
    if any(folder.glob("*.bin")) or any(folder.glob("*.pt")) or any(folder.glob("*.pth")):
        raise ModelFolderError(
            "only pickled weights (.bin, .pt), which can run code when read; save as safetensors"
        )
    raise ModelFolderError("no safetensors file; save the weights with safe_serialization")


def _architecture(config: dict[str, Any]) -> str:
    names = config.get("architectures")
    return str(names[0]) if isinstance(names, list) and names else ""


def _is_buffer(name: str) -> bool:
    return name.endswith("rotary_emb.inv_freq")  # old exports store this constant; it is not a parameter


def _language_tensors(tensors: dict[str, TensorEntry]) -> dict[str, TensorEntry]:
    """Tensors of the language model by their plain names; those of other modalities are left out."""
    parts: dict[str, TensorEntry] = {}
    for name, entry in tensors.items():
        if _is_buffer(name) or any(word in name for word in _OTHER_MODALITIES):
            continue
        plain = (
            name.replace("model.language_model.", "model.", 1) if "model.language_model." in name else name
        )
        parts[plain.removeprefix("language_model.")] = entry
    return parts


def _count(parts: dict[str, TensorEntry], text: dict[str, Any]) -> tuple[int, int]:
    """(all, active) non-embedding parameters."""
    body = {name: e.size for name, e in parts.items() if not name.endswith(EMBEDDINGS + _POSITIONS + HEADS)}
    total = sum(body.values())
    in_experts = sum(size for name, size in body.items() if ".experts." in name)
    if not in_experts:
        return total, total
    experts = whole(text, "num_local_experts" if text.get("num_local_experts") is not None else "num_experts")
    used = whole(text, "num_experts_per_tok")
    if used > experts:
        raise ConfigError(f"config.json: num_experts_per_tok {used} is more than the {experts} experts")
    return total, total - in_experts + in_experts * used // experts


def _dtype(tensors: dict[str, TensorEntry]) -> str:
    sizes: Counter[str] = Counter()
    for entry in tensors.values():
        sizes[entry.dtype] += entry.size
    most = sizes.most_common(1)[0][0] if sizes else ""
    return DTYPE_NAMES.get(most, most.lower())


def take_digest(folder: ModelFolder, progress: Callable[[int], None] = lambda done: None) -> str:
    """The digest of a folder's bytes, `progress` told how many were read.

    Streamed; each file is framed by its name and length, so that no two different folders hash alike.
    """
    total, done = hashlib.sha256(), 0
    try:
        for file in _digested(folder.path, folder.weight_files):
            total.update(f"{file.name}\n{file.stat().st_size}\n".encode())
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    total.update(block)
                    done += len(block)
                    progress(done)
    except OSError as error:
        raise ModelFolderError(f"{error.filename} cannot be read: {error.strerror}") from error
    return f"sha256:{total.hexdigest()}"


def _digested(folder: Path, files: Sequence[Path]) -> list[Path]:
    """A folder without tokenizer.json is a checkpoint that only an endpoint serves."""
    return [file for file in (folder / "config.json", folder / "tokenizer.json", *files) if file.is_file()]


def _seen(folder: Path, files: Sequence[Path]) -> str:
    stats = [(file.name, file.stat()) for file in _digested(folder, files)]
    facts = repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])
    return hashlib.sha256(facts.encode("utf-8", "surrogatepass")).hexdigest()[:32]
