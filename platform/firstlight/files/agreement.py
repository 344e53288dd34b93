"""What config.json and the tensors of a checkpoint both say: where they disagree, both values are named, none is taken.

Programs that run a checkpoint choose differently there: one model folder would be two models.
"""

from __future__ import annotations

from typing import Any

from firstlight.files.model_shapes import ConfigError
from firstlight.files.safetensors_files import TensorEntry, same_bytes

#: How names of embeddings of tokens end, and of heads.
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight")
HEADS = ("lm_head.weight", "lm_head.bias", "embed_out.weight")


def is_tied(config: dict[str, Any], text: dict[str, Any], parts: dict[str, TensorEntry]) -> bool:
    """Whether the head is the embedding. A copy of the embedding as a head is harmless; another head is not.

    Raises ConfigError: config.json says that they are one, and the files hold two.
    """
    told = text.get("tie_word_embeddings")
    if told is None:
        told = config.get("tie_word_embeddings")
    if told is None:  # its default differs between architectures and versions: the files decide
        return not any(name.endswith(HEADS) for name in parts)
    if not isinstance(told, bool):
        raise ConfigError(f"config.json: tie_word_embeddings is {told!r}, expected true or false")
    embedding, head = _only(parts, EMBEDDINGS), _only(parts, ("lm_head.weight", "embed_out.weight"))
    if told and head and embedding and not same_bytes(parts[head], parts[embedding]):
        raise ConfigError(
            f"config.json says tie_word_embeddings true, and {parts[head].file.name} has a {head} "
            f"({_looks(parts[head])}) other than {embedding} ({_looks(parts[embedding])}); set tie_word_embeddings to "
            "false, or save the model without that tensor"
        )
    return told


def _only(parts: dict[str, TensorEntry], endings: tuple[str, ...]) -> str | None:
    """The one tensor of such a name; None where there are more, of parts that nobody here knows, or none."""
    names = [name for name in parts if name.endswith(endings)]
    return names[0] if len(names) == 1 else None


def _looks(entry: TensorEntry) -> str:
    return f"{entry.dtype} {list(entry.shape)}"


def check_vocabulary(parts: dict[str, TensorEntry], vocab: int) -> None:
    """The embedding has a row for each id that config.json counts, in architectures that nobody here knows too.

    Raises ConfigError: it has another number of rows.
    """
    name = _only(parts, EMBEDDINGS)
    if name and parts[name].shape[:1] != (vocab,):
        raise ConfigError(
            f"config.json says vocab_size {vocab}, and {name} in {parts[name].file.name} is of shape "
            f"{list(parts[name].shape)}; copy both from one checkpoint"
        )


def check_shapes(parts: dict[str, TensorEntry], expected: dict[str, tuple[int, ...]]) -> None:
    """The tensors are those that config.json promises; a tied head may stand there again.

    Raises ConfigError: one is missing, too many or of another shape.
    """
    for name, shape in expected.items():
        entry = parts.get(name)
        if entry is None and name.endswith(HEADS):
            raise ConfigError(
                f"config.json says tie_word_embeddings false, and tensor {name} of shape {list(shape)} is missing; "
                "copy all weights, or set tie_word_embeddings to true"
            )
        if entry is None:
            raise ConfigError(
                f"tensor {name} of shape {list(shape)} is missing, though config.json promises it"
            )
        if entry.shape != shape:
            raise ConfigError(
                f"tensor {name}: config.json promises the shape {list(shape)}, "
                f"{entry.file.name} has {list(entry.shape)}"
            )
    for name, entry in parts.items():
        if name not in expected and name != "lm_head.weight":
            raise ConfigError(
                f"tensor {name} of shape {list(entry.shape)} is not one that config.json promises"
            )
