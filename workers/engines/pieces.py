"""What each token adds to a text that others began: bytes, which joined and read as UTF-8 are the text.

That holds for tokenizers whose decoder says something of each token and then joins: byte-level, Metaspace, the byte
fallback of SentencePiece, words, WordPiece, characters. What such a decoder does to the first token alone (Llama 2's
strips its blank) never reaches an answer, which has the prompt's tokens in front. Other decoders (BPEDecoder, CTC,
replacements in the joined text) have no such pieces.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tokenizers import Tokenizer

from workers.engines.base import UNDECODABLE

#: A character cut in two is U+FFFD once, as byte-level decoders write it; SentencePiece writes it once a byte.
_ONCE, _EACH_BYTE = "replace", "firstlight.each_byte"
#: Decoders by a letter each; the joined ones match: what works token by token, a join, a strip of the text's beginning.
_LETTERS = {
    "Replace": "t",
    "WordPiece": "t",
    "Metaspace": "t",
    "ByteFallback": "b",
    "ByteLevel": "l",
    "Fuse": "f",
}
_JOINED = re.compile(r"[tsr]*(b?(f+s*)?|lf*s*)")
_AT_ONCE = 4096
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def _each_byte(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "\ufffd" * (error.end - error.start), error.end


codecs.register_error(_EACH_BYTE, _each_byte)


@dataclass(frozen=True, eq=False)
class Pieces:
    """The bytes of each token of a model's vocabulary.

    errors: how Python is to read bytes that are no character.
    """

    raw: list[bytes]
    errors: str

    def join(self, ids: Sequence[int]) -> str:
        """The text that the tokens add."""
        return b"".join(map(self.raw.__getitem__, ids)).decode("utf-8", self.errors)

    @cached_property
    def texts(self) -> list[str | None]:
        """What each token adds; None for a part of a character."""
        return [_whole(raw) for raw in self.raw]


def read_pieces(tokenizer: Tokenizer, vocab: int) -> Pieces | None:
    """The pieces of ids below `vocab`, those that the tokenizer does not know included; None for other decoders."""
    kinds = list(_steps(tokenizer))
    if not _JOINED.fullmatch("".join(map(_letter, kinds))):
        return None
    byte_level = any(kind["type"] == "ByteLevel" for kind in kinds)
    errors = _EACH_BYTE if any(kind["type"] == "ByteFallback" for kind in kinds) else _ONCE
    anchor, start = _anchor(tokenizer, vocab)
    if not start:
        return None
    raw: list[bytes] = []
    for token, pair in enumerate(_each_behind(tokenizer, [anchor], vocab)):
        name = tokenizer.id_to_token(token)
        text = pair.removeprefix(start)
        piece = text.encode() if "\ufffd" not in text else _bytes_of(name or "", text, byte_level=byte_level)
        if not pair.startswith(start) or piece.decode("utf-8", errors) != text:
            return None
        raw.append(UNDECODABLE.encode() if name is None else piece)
    return Pieces(raw, errors)


def _steps(tokenizer: Tokenizer) -> Iterator[dict[str, Any]]:
    """The decoder's parts in their order; none where tokens are joined by blanks."""
    waiting = [] if tokenizer.decoder is None else [json.loads(tokenizer.decoder.__getstate__())]
    while waiting:
        step = waiting.pop(0)
        if step["type"] == "Sequence":
            waiting[:0] = step["decoders"]
        else:
            yield step


def _letter(step: dict[str, Any]) -> str:
    if step["type"] == "Strip":
        return "r" if step["stop"] else "s"
    return _LETTERS.get(step["type"], "?")


def _anchor(tokenizer: Tokenizer, vocab: int) -> tuple[int, str]:
    """A token for others to stand behind, and its text: a letter or a digit, else any text; "" where there is none."""
    found = (0, "")
    for token, text in enumerate(_each_behind(tokenizer, [], vocab)):
        if len(text) == 1 and text.isalnum():
            return token, text
        if not found[1] and text.strip() and "\ufffd" not in text:
            found = token, text
    return found


def _each_behind(tokenizer: Tokenizer, start: list[int], vocab: int) -> Iterator[str]:
    """The text of each token behind others."""
    for first in range(0, vocab, _AT_ONCE):
        rows = [[*start, token] for token in range(first, min(vocab, first + _AT_ONCE))]
        yield from tokenizer.decode_batch(rows, skip_special_tokens=False)


def _bytes_of(name: str, text: str, *, byte_level: bool) -> bytes:
    """The bytes of a token that the library shows as U+FFFD."""
    if byte_level and all(character in _BYTES for character in name):
        return bytes(_BYTES[character] for character in name)
    part = _BYTE_TOKEN.fullmatch(name)
    return bytes([int(part[1], 16)]) if part else text.encode()


def _byte_characters() -> dict[str, int]:
    """GPT-2's characters for bytes: printable ones stand for themselves, the others follow from U+0100 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = sorted(set(range(256)).difference(printable))
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


def _whole(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


_BYTES = _byte_characters()
