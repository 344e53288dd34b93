"""The ladder's tokenizer: every character is one token, so a reader can count tokens by eye.

The newline ends every document and is the end-of-sequence token: "the answer passes" then has one exact
probability, the product over the answer's characters times the probability of the newline.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

PAD, END = "<pad>", "\n"
CHARACTERS = "\n 0123456789abcdefghijklmnopqrstuvwxyz=+-*:,>|()?./%^<;"
VOCABULARY = (PAD, *CHARACTERS)
VOCAB_SIZE = len(VOCABULARY)  # 56, a multiple of 8: aligned matrix products
PAD_ID, END_ID = 0, 1
ID = {character: number for number, character in enumerate(VOCABULARY)}
DIGIT_0, LETTER_A = ID["0"], ID["a"]
MAX_POSITIONS = 128


def encode(text: str) -> list[int]:
    """Token ids of a text; a character outside the vocabulary is an error, never dropped."""
    return [ID[character] for character in text]


def decode(ids: list[int] | np.ndarray) -> str:
    """The text of token ids; padding vanishes."""
    return "".join(VOCABULARY[int(i)] for i in ids if int(i) != PAD_ID)


def tokenizer_json() -> dict[str, object]:
    """A `tokenizers` file: byte-pair encoding without any merge, which leaves single characters.

    The newline is an ordinary token here (not "special"), so that decoding gives the text back whole.
    """
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": PAD_ID,
                "content": PAD,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
        ],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": ID,
            "merges": [],
        },
    }


def write_tokenizer(folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json as transformers and vLLM read them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json(), indent=1) + "\n", encoding="utf-8")
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD,
        "eos_token": END,
        "model_max_length": MAX_POSITIONS,
        "clean_up_tokenization_spaces": False,
        "add_bos_token": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
