"""Between text and tokens: encoding that loses nothing unseen, and stop strings found in the decoded text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from firstlight.files.model_folder import ModelFolder, ModelFolderError, read_config, text_config
from firstlight.files.strict_json import StrictJsonError, strict_loads
from workers.engines.base import DrawRequest, EngineRefusal, check_context, check_request

MAX_GENERATION_CONFIG_BYTES = 1_000_000


class TextCodec:
    """A checkpoint's tokenizer.json.

    Special tokens other than the end of sequence stay in the decoded text: a drawn `<pad>` inside an answer
    is a wrong answer, and dropping it would let texts pass that the exact likelihood of the reference does
    not count.

    eos: ids that end a sequence.
    """

    def __init__(self, file: Path, vocab: int, eos: frozenset[int]) -> None:
        if not file.is_file():
            raise EngineRefusal(f"{file.parent}: no tokenizer.json; save the tokenizer beside the weights")
        try:
            self._tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises bare Exception
            raise EngineRefusal(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
        # a saved padding or truncation would silently change prompts
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        if self._tokenizer.get_vocab_size() > vocab:
            raise EngineRefusal(
                f"{file} has {self._tokenizer.get_vocab_size()} tokens, the model only {vocab}"
            )
        self.vocab = vocab
        self.eos = eos
        self._known: dict[str, bool] = {}
        self._ends: dict[tuple[str, ...], NDArray[np.bool_]] = {}
        # a tokenizer of words may drop blanks by design; one that takes the text as it is has no such excuse
        self._drops_spaces = (
            self._tokenizer.pre_tokenizer is not None or self._tokenizer.normalizer is not None
        )

    def encode_prompt(self, prompt: str) -> list[int]:
        """Token ids, with the special tokens that the tokenizer puts in front.

        Raises EngineRefusal: nothing is left, or a character that the tokenizer would drop.
        """
        self._refuse_unknown(prompt, "prompt")
        ids: list[int] = self._tokenizer.encode(prompt).ids
        plain: list[int] = self._tokenizer.encode(prompt, add_special_tokens=False).ids
        if len(ids) > len(plain) and ids[-1] in self.eos:
            ids = ids[:-1]  # a tokenizer that closes its input would end the answer before it begins
        if not ids:
            raise EngineRefusal(f"the prompt {prompt[:60]!r} has no tokens")
        return ids

    def encode_answer(self, prompt: str, answer: str) -> list[int]:
        """Token ids of an answer that follows a prompt.

        Raises EngineRefusal: a character that the tokenizer does not know, so that the model can never draw it.
        """
        if not answer:
            return []
        self._refuse_unknown(answer, "answer")
        before = self.encode_prompt(prompt)
        joint = self.encode_prompt(prompt + answer)
        if joint[: len(before)] == before and self.decode(joint[len(before) :]) != "":
            return joint[len(before) :]
        # the tokenizer merges across the border; a model that continues the prompt's tokens cannot draw that
        ids: list[int] = self._tokenizer.encode(answer, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=False)
        return text

    def decode_many(self, rows: list[list[int]]) -> list[str]:
        """The texts of many id lists."""
        texts: list[str] = self._tokenizer.decode_batch(rows, skip_special_tokens=False)
        return texts

    @cached_property
    def pieces(self) -> list[str | None]:
        """What each token adds to a text; None where that depends on its neighbours (part of a character)."""
        alone = self.decode_many([[token] for token in range(self.vocab)])
        # A leading space shows only behind another token, so each is decoded behind a plain one.
        anchor = next((token for token, text in enumerate(alone) if len(text) == 1 and text.isalnum()), 0)
        pairs = self.decode_many([[anchor, token] for token in range(self.vocab)])
        return [
            pair[len(alone[anchor]) :] if pair.startswith(alone[anchor]) and "\ufffd" not in pair else None
            for pair in pairs
        ]

    def may_complete(self, stops: Sequence[str]) -> NDArray[np.bool_]:
        """(vocabulary,): whether a token may complete a stop string, so that the text must be looked at."""
        last = {stop[-1] for stop in stops}
        return np.array(
            [bool(last) and (piece is None or not last.isdisjoint(piece)) for piece in self.pieces]
        )

    def terminators(self, stops: Sequence[str]) -> list[int]:
        """Tokens that end an answer at once: end of sequence, or a text that begins with a stop string."""
        at_once = (
            [t for t, piece in enumerate(self.pieces) if piece and piece.startswith(tuple(stops))]
            if stops
            else []
        )
        return sorted(self.eos.union(at_once))

    def ends_alone(self, stops: Sequence[str]) -> NDArray[np.bool_]:
        """(vocabulary,): tokens that end an answer for certain: end of sequence, or a stop string within."""
        key = tuple(stops)
        if key not in self._ends:
            ends = np.array(
                [bool(piece) and any(stop in (piece or "") for stop in key) for piece in self.pieces]
            )
            ends[list(self.eos)] = True
            self._ends[key] = ends
        return self._ends[key]

    def tokens_to_stop(self, ids: Sequence[int], text: str, stops: Sequence[str]) -> int:
        """How many of the tokens it took to complete the first stop string of their text."""
        last = self.pieces[ids[-1]]
        if last and text.endswith(last) and first_stop(text[: -len(last)], stops) < 0:
            return len(ids)
        return next(n for n in range(1, len(ids) + 1) if first_stop(self.decode(ids[:n]), stops) >= 0)

    def _refuse_unknown(self, text: str, what: str) -> None:
        """Without an unknown token a tokenizer drops what it does not know: another prompt is answered."""
        unknown = getattr(self._tokenizer.model, "unk_token", None)
        tokens = self._tokenizer.encode(text, add_special_tokens=False).tokens
        if what == "answer" and unknown and unknown in tokens:
            raise EngineRefusal(f"the answer {text[:60]!r} has a character that the tokenizer does not know")
        # Each character by itself: with characters dropped the offsets of a text are shifted and do not tell.
        for character in dict.fromkeys(text):
            known = self._known.get(character)
            if known is None:
                known = bool(self._tokenizer.encode(character, add_special_tokens=False).ids)
                known |= self._drops_spaces and character.isspace()
                self._known[character] = known
            if not known:
                raise EngineRefusal(
                    f"the {what} has {character!r} at character {text.index(character)}, "
                    "which the tokenizer does not know; remove it"
                )


def prompt_tokens(codec: TextCodec, request: DrawRequest, context_length: int) -> list[int]:
    """The tokens of a request's prompt.

    Raises EngineRefusal, naming the instance: a request that cannot be, or that does not fit the context.
    """
    check_request(request)
    try:
        ids = codec.encode_prompt(request.prompt)
        check_context(len(ids), request.max_tokens, context_length)
    except EngineRefusal as error:
        raise EngineRefusal(f"instance {request.instance!r}: {error}") from error
    return ids


def first_stop(text: str, stops: Sequence[str]) -> int:
    """Where the first stop string begins, or -1."""
    places = [place for place in (text.find(stop) for stop in stops) if place >= 0]
    return min(places, default=-1)


def codec_of(folder: Path) -> TextCodec:
    """The tokenizer of a folder with tokenizer.json and config.json, whether or not the weights are there.

    Raises EngineRefusal: a file is missing or broken.
    """
    try:
        config = read_config(folder)
    except ModelFolderError as error:
        raise EngineRefusal(str(error)) from error
    vocab = text_config(config).get("vocab_size")
    if type(vocab) is not int or vocab < 1:
        raise EngineRefusal(f"{folder / 'config.json'}: vocab_size is {vocab!r}, expected a whole number")
    return TextCodec(folder / "tokenizer.json", vocab, _eos_ids(folder, config, vocab))


def eos_ids(folder: ModelFolder) -> frozenset[int]:
    """End-of-sequence ids: generation_config.json's, else config.json's; one number or a list."""
    return _eos_ids(folder.path, folder.config, folder.vocab_size)


def _eos_ids(path: Path, config: dict[str, Any], vocab: int) -> frozenset[int]:
    file = path / "generation_config.json"
    named = None
    if file.is_file():
        try:
            if file.stat().st_size > MAX_GENERATION_CONFIG_BYTES:
                raise EngineRefusal(f"{file}: too large for a generation_config.json")
            content = strict_loads(file.read_bytes())
        except (StrictJsonError, OSError) as error:
            raise EngineRefusal(f"{file} {error}") from error
        named = content.get("eos_token_id") if isinstance(content, dict) else None
    if named is None:
        named = config.get("eos_token_id")
    ids = [] if named is None else named if isinstance(named, list) else [named]
    for token in ids:
        if type(token) is not int or not 0 <= token < vocab:
            raise EngineRefusal(f"{path}: eos_token_id {json.dumps(token)} is not an id below {vocab}")
    return frozenset(ids)
