"""Writes tiny checkpoints whose next token always has the same distribution, with tokenizers of a dozen tokens.

All token sequences up to some length can be written down with their probabilities, and so can what any draw gives.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from tests.tiny_model import write_safetensors

HIDDEN = 16
UNDERLINE = "\u2581"
EOS = "</s>"


def write_known_model(
    folder: Path, tokenizer: Tokenizer, chances: Sequence[float], *, eos: int | None = None
) -> Path:
    """Write a Llama whose layers add nothing; token t follows anything with probability chances[t], which may be 0."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    vocab = len(chances)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": HIDDEN,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-12,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "vocab_size": vocab,
        "eos_token_id": tokenizer.token_to_id(EOS) if eos is None else eos,
        "torch_dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config))
    square, ones = np.zeros((HIDDEN, HIDDEN), np.float32), np.ones(HIDDEN, np.float32)
    embedding, head = np.zeros((2, vocab, HIDDEN), np.float32)
    embedding[:, 0] = 1
    head[:, 0] = np.log(np.maximum(chances, 1e-30)) / HIDDEN**0.5
    layer = "model.layers.0."
    tensors = {"model.embed_tokens.weight": embedding, "model.norm.weight": ones, "lm_head.weight": head}
    tensors |= {f"{layer}{name}.weight": ones for name in ("input_layernorm", "post_attention_layernorm")}
    tensors |= {f"{layer}self_attn.{part}_proj.weight": square for part in "qkvo"}
    tensors |= {f"{layer}mlp.{part}_proj.weight": square for part in ("gate", "up", "down")}
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


# --- tokenizers; each knows "a", "b" and the end of sequence, and most of them the blank ---


def _numbered(*tokens: str) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens)}


def characters(*, normalizer: normalizers.Normalizer | None = None) -> Tokenizer:
    """A token a character, some of them parts of others to a normaliser."""
    tokens = (EOS, "a", "b", "A", "e", "\u0301", "\u00e9", " ", "\n", "\ufb01", "f", "i")
    tokenizer = Tokenizer(models.BPE(_numbered(*tokens), []))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def llama2() -> Tokenizer:
    """SentencePiece's ways: a blank in front, bytes for what has no token, a decoder that strips the first blank."""
    tokens = ("<unk>", "<s>", EOS, UNDERLINE, "a", "b", f"{UNDERLINE}a", "ab", f"{UNDERLINE}ab")
    tokens += ("<0x0A>", "<0xC3>", "<0xA9>", "<0xFF>")
    merges = [("a", "b"), (UNDERLINE, "a"), (UNDERLINE, "ab")]
    tokenizer = Tokenizer(models.BPE(_numbered(*tokens), merges, unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend(UNDERLINE), normalizers.Replace(" ", UNDERLINE)]
    )
    parts = [decoders.Replace(UNDERLINE, " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*parts, decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens(["<unk>", "<s>", EOS])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def metaspace(scheme: str, *, unigram: bool) -> Tokenizer:
    """Metaspace in front of BPE or Unigram."""
    tokens = (EOS, UNDERLINE, "a", "b", f"{UNDERLINE}a", "ab", f"{UNDERLINE}{UNDERLINE}", f"{UNDERLINE}ab")
    if unigram:
        model: models.Model = models.Unigram(
            [(token, -float(len(tokens) - n)) for n, token in enumerate(tokens)]
        )
    else:
        model = models.BPE(_numbered(*tokens), [("a", "b"), (UNDERLINE, "a"), (UNDERLINE, "ab")])
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)
    return tokenizer


def byte_level() -> Tokenizer:
    """GPT-2's way, with the bytes of an accented letter and of two thirds of a sign."""
    letters = ("a", "b", "\u0120", "\u010a", "\u00c3", "\u00a9", "\u00e2", "\u0124")
    tokens = (EOS, *letters, "ab", "\u0120a", "\u00c3\u00a9")
    merges = [("a", "b"), ("\u0120", "a"), ("\u00c3", "\u00a9")]
    tokenizer = Tokenizer(models.BPE(_numbered(*tokens), merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def words() -> Tokenizer:
    """Whole words, joined by blanks where there is no decoder."""
    tokenizer = Tokenizer(models.WordLevel(_numbered(EOS, "<unk>", "a", "b", "ab", ","), unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def word_pieces(*, cleanup: bool) -> Tokenizer:
    """BERT's pieces."""
    tokens = (EOS, "[UNK]", "a", "b", "##a", "##b", ".", "##ab")
    tokenizer = Tokenizer(models.WordPiece(_numbered(*tokens), unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece(cleanup=cleanup)
    return tokenizer


def suffixed() -> Tokenizer:
    """GPT-1's way: the last piece of a word says that a blank follows, unless it is the last of all."""
    tokens = (EOS, "a", "b", "a</w>", "b</w>", "ab</w>")
    merges = [("a", "b</w>")]
    tokenizer = Tokenizer(models.BPE(_numbered(*tokens), merges, end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.BPEDecoder()
    return tokenizer


def tidied() -> Tokenizer:
    """A decoder that changes the joined text across tokens."""
    tokenizer = Tokenizer(models.BPE(_numbered(EOS, "a", "b", " ", ".", " ."), [(" ", ".")]))
    tokenizer.decoder = decoders.Sequence([decoders.Fuse(), decoders.Replace(Regex(r" \."), ".")])
    return tokenizer


def with_added(tokenizer: Tokenizer, *, lstrip: bool, rstrip: bool) -> Tokenizer:
    """Its end of sequence marked as special, as it should be, and a mask and a plain added word beside it."""
    tokenizer.add_special_tokens(
        [AddedToken(EOS, special=True), AddedToken("<mask>", lstrip=lstrip, rstrip=rstrip, special=True)]
    )
    tokenizer.add_tokens([AddedToken("<q>", lstrip=lstrip, rstrip=rstrip)])
    return tokenizer


#: Every kind, by name.
KINDS = {
    "characters": characters,
    "characters, NFC": lambda: characters(normalizer=normalizers.NFC()),
    "characters, NFKC": lambda: characters(normalizer=normalizers.NFKC()),
    "characters, lower case": lambda: characters(normalizer=normalizers.Lowercase()),
    "Llama 2": llama2,
    "BPE, Metaspace always": lambda: metaspace("always", unigram=False),
    "BPE, Metaspace first": lambda: metaspace("first", unigram=False),
    "BPE, Metaspace never": lambda: metaspace("never", unigram=False),
    "Unigram, Metaspace always": lambda: metaspace("always", unigram=True),
    "Unigram, Metaspace first": lambda: metaspace("first", unigram=True),
    "byte-level": byte_level,
    "words": words,
    "WordPiece": lambda: word_pieces(cleanup=False),
    "WordPiece, cleaned up": lambda: word_pieces(cleanup=True),
    "suffixes": suffixed,
    "tidied": tidied,
}
