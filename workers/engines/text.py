"""Between text and tokens: encoding that loses nothing unseen, and stop strings found in the decoded text."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from firstlight.files.model_folder import ModelFolder, ModelFolderError, read_config, text_config
from firstlight.files.strict_json import StrictJsonError, strict_loads
from workers.engines.base import DrawRequest, EngineRefusal, check_context, check_request
from workers.engines.pieces import Pieces, read_pieces
from workers.engines.wholes import Wholes

MAX_GENERATION_CONFIG_BYTES = 1_000_000
#: Characters in front of a text that its tokens may not merge with.
BORDERS = ("\n", ":", "0", "a")


class TextCodec:
    """A checkpoint's tokenizer.json.

    An answer is the text that its tokens add behind the prompt's: what the decoder makes of prompt and answer
    together, without what it makes of the prompt. Special tokens other than the end of sequence stay in it: a drawn
    `<pad>` inside an answer is a wrong answer, and dropping it would let texts pass that the exact likelihood of the
    reference does not count. For the same reason an id that the tokenizer does not know shows as UNDECODABLE.

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
        size = self._tokenizer.get_vocab_size()
        if size > vocab:
            raise EngineRefusal(f"{file} has {size} tokens, the model only {vocab}")
        if sum(self._tokenizer.id_to_token(token) is not None for token in range(vocab)) < size:
            last = max(self._tokenizer.get_vocab().values())
            if last >= vocab:
                raise EngineRefusal(f"{file} has a token of id {last}, the model only ids below {vocab}")
        self.vocab = vocab
        self.eos = eos
        self._known: dict[str, bool] = {}
        self._ends: dict[tuple[str, ...], NDArray[np.bool_]] = {}
        # a tokenizer of words may drop blanks by design; one that takes the text as it is has no such excuse
        self._drops_spaces = (
            self._tokenizer.pre_tokenizer is not None or self._tokenizer.normalizer is not None
        )

    # --- from text to tokens ---

    def encode_prompt(self, prompt: str) -> list[int]:
        """Token ids, with the special tokens that the tokenizer puts in front.

        Raises EngineRefusal: nothing is left, or a character that the tokenizer would drop.
        """
        self._refuse_unknown(prompt, "prompt")
        ids = self._encode(prompt)
        if not ids:
            raise EngineRefusal(f"the prompt {prompt[:60]!r} has no tokens")
        return ids

    def encode_answer(self, prompt: str, answer: str) -> list[int]:
        """The usual token ids of an answer that follows a prompt; those that come back as the answer, if any do.

        Raises EngineRefusal: a character that the tokenizer does not know, so that the model can never draw it.
        """
        if not answer:
            return []
        self._refuse_unknown(answer, "answer")
        before = self.encode_prompt(prompt)
        return self.spell(prompt, before, answer) or next(self._ways(prompt, before, answer))

    def spell(self, prompt: str, before: Sequence[int], text: str) -> list[int] | None:
        """Tokens that add just this text behind those of a prompt; None where its usual tokens do not."""
        ways = self._ways(prompt, list(before), text)
        return next((ids for ids in ways if self.decode(ids, before) == text), None)

    def _ways(self, prompt: str, before: list[int], text: str) -> Iterator[list[int]]:
        """Tokens of a text: as the end of both; by itself; behind a character that it does not merge with.

        Where the tokenizer merges across the border, a model that continues the prompt's tokens cannot draw the first.
        """
        joint = self._encode(prompt + text)
        if joint[: len(before)] == before and len(joint) > len(before):
            yield joint[len(before) :]
        yield self._plain(text)
        for character in BORDERS:
            border, both = self._plain(character), self._plain(character + text)
            if border and both[: len(border)] == border:
                yield both[len(border) :]

    def _encode(self, text: str) -> list[int]:
        ids, plain = self._plain(text, special=True), self._plain(text)
        # a tokenizer that closes its input would end the answer before it begins
        closed = len(ids) > len(plain) and ids[-1] in self.eos and ids[-1 - len(plain) : -1] == plain
        return ids[:-1] if closed else ids

    def _plain(self, text: str, *, special: bool = False) -> list[int]:
        """Tokens of a text alone; none where the library fails, of a character that is unknown to Unigram for one."""
        try:
            ids: list[int] = self._tokenizer.encode(text, add_special_tokens=special).ids
        except Exception:  # the library raises bare Exception
            return []
        return ids

    def twice_begun(self, prompt: str) -> str:
        """What the tokenizer puts in front of a prompt that begins with it already, as in "<s>"; else ""."""
        ids, plain = self._encode(prompt), self._plain(prompt)
        front = ids[: len(ids) - len(plain)]
        return self.decode(front) if front and plain[: len(front)] == front else ""

    # --- from tokens to text ---

    def decode(self, ids: Sequence[int], behind: Sequence[int] = ()) -> str:
        """The text that ids add behind those of a prompt."""
        return self.decode_many([ids], behind)[0]

    def decode_many(self, rows: Sequence[Sequence[int]], behind: Sequence[int] = ()) -> list[str]:
        """The texts that many id lists add behind the ids of one prompt."""
        if self._pieces is not None:
            return list(map(self._pieces.join, rows))
        return self._wholes.decode_many(rows, behind)

    @cached_property
    def _pieces(self) -> Pieces | None:
        return read_pieces(self._tokenizer, self.vocab)

    @cached_property
    def _wholes(self) -> Wholes:
        return Wholes(self._tokenizer)

    @property
    def pieces(self) -> list[str | None]:
        """What each token adds to a text; None where that depends on its neighbours (part of a character)."""
        return [None] * self.vocab if self._pieces is None else self._pieces.texts

    def names(self, ids: Iterable[int]) -> list[str]:
        """Tokens as the tokenizer names them."""
        return [self._tokenizer.id_to_token(token) or f"id {token}" for token in ids]

    # --- where an answer ends: with the first token after which its text holds a stop string ---

    def endings(
        self, rows: Sequence[Sequence[int]], behind: Sequence[int], stops: Sequence[str]
    ) -> tuple[list[str], dict[int, int]]:
        """The texts of rows before their stop strings, and of those rows that hold one how many tokens it took."""
        texts = self.decode_many(rows, behind)
        took: dict[int, int] = {}
        for row, text in enumerate(texts if stops else ()):
            count = self._tokens_to_stop(rows[row], text, behind, stops)
            if count:
                if count < len(rows[row]):
                    text = self.decode(rows[row][:count], behind)
                texts[row], took[row] = text[: first_stop(text, stops)], count
        return texts, took

    def _tokens_to_stop(
        self, ids: Sequence[int], text: str, behind: Sequence[int], stops: Sequence[str]
    ) -> int:
        """How many of the tokens, whose text is given, complete the first stop string; 0 where none does."""

        def stopped(count: int) -> bool:
            return first_stop(self.decode(ids[:count], behind), stops) >= 0

        counts = range(1, len(ids) + 1)
        if not self.tells_by_bytes(stops):  # what was a stop string may be another text one token later
            return next((count for count in counts if stopped(count)), 0)
        if first_stop(text, stops) < 0:
            return 0
        return len(ids) if not stopped(len(ids) - 1) else 1 + bisect_left(counts, True, key=stopped)

    def tells_by_bytes(self, stops: Sequence[str]) -> bool:
        """Whether a stop string that stands in the tokens' bytes stands in their text, whatever follows."""
        return self._pieces is not None and not any("\ufffd" in stop for stop in stops)

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
            raw = self._pieces.raw if self._pieces is not None else [b""] * self.vocab
            within = [stop.encode() for stop in key if self.tells_by_bytes([stop])]
            ends = np.array([any(stop in piece for stop in within) for piece in raw])
            ends[list(self.eos)] = True
            self._ends[key] = ends
        return self._ends[key]

    def _refuse_unknown(self, text: str, what: str) -> None:
        """Without an unknown token a tokenizer drops what it does not know: another prompt is answered."""
        # Each character by itself: with characters dropped the offsets of a text are shifted and do not tell.
        dropped = [character for character in dict.fromkeys(text) if not self._knows(character)]
        if dropped:  # those of an added token need not be known by themselves
            rest = text
            for token in self._tokenizer.get_added_tokens_decoder().values():
                rest = rest.replace(token.content, "")
            for character in dropped:
                if character in rest:
                    raise EngineRefusal(
                        f"the {what} has {character!r} at character {text.index(character)}, "
                        "which the tokenizer does not know; remove it"
                    )
        unknown = getattr(self._tokenizer.model, "unk_token", None)
        if what == "answer" and unknown and self._tokenizer.token_to_id(unknown) in self._plain(text):
            raise EngineRefusal(f"the answer {text[:60]!r} has a character that the tokenizer does not know")

    def _knows(self, character: str) -> bool:
        if character not in self._known:
            known = bool(self._plain(character))
            self._known[character] = known or (self._drops_spaces and character.isspace())
        return self._known[character]


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
