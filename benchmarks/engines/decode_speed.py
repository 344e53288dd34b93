"""How many answers a second become text, by tokenizer and length: `python benchmarks/engines/decode_speed.py`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from workers.engines.text import TextCodec

ROOT = Path(__file__).resolve().parents[2]
ROWS, LENGTHS = 100_000, (4, 8, 24)


def trained(*, spaces: bool) -> Tokenizer:
    """16,384 tokens of this repository's text: byte-level, or SentencePiece's way with a decoder that strips."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=spaces))
    if spaces:
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
        )
        parts = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
        tokenizer.decoder = decoders.Sequence([*parts, decoders.Strip(" ", 1, 0)])
        alphabet = []
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    files = [*ROOT.glob("docs/*.md"), *ROOT.glob("p*/**/*.py"), *ROOT.glob("workers/**/*.py")]
    words = (word for file in files for word in file.read_text().split(" "))
    trainer = trainers.BpeTrainer(vocab_size=16_384, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(words, trainer)
    return tokenizer


def main() -> None:
    ladder = Tokenizer.from_file(str(ROOT / "examples/ladder/models/ladder-59k/tokenizer.json"))
    kinds = {"ladder": ladder, "byte-level": trained(spaces=False), "blanks and bytes": trained(spaces=True)}
    rng = np.random.default_rng(0)
    print(f"{'':18}" + "".join(f"{f'{length} tokens':>14}" for length in LENGTHS) + "   (texts a second)")
    for name, tokenizer in kinds.items():
        with tempfile.TemporaryDirectory() as folder:
            tokenizer.save(f"{folder}/tokenizer.json")
            codec = TextCodec(Path(folder) / "tokenizer.json", tokenizer.get_vocab_size(), frozenset())
        speeds = []
        for length in LENGTHS:
            rows = rng.integers(codec.vocab, size=(ROWS, length)).tolist()
            codec.decode_many(rows[:1])
            times = []
            for _ in range(3):
                began = time.perf_counter()
                codec.decode_many(rows)
                times.append(time.perf_counter() - began)
            speeds.append(ROWS / min(times))
        print(f"{name:18}" + "".join(f"{speed:14,.0f}" for speed in speeds))


if __name__ == "__main__":
    main()
