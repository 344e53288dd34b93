"""What tokens add to a prompt's text where a decoder looks across tokens: prompt and answer are decoded whole."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer

from workers.engines.base import UNDECODABLE


class Wholes:
    """Right with any decoder, and slower the longer the prompt: for those that have no `Pieces`."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._known = frozenset(tokenizer.get_vocab().values())

    def decode_many(self, rows: Sequence[Sequence[int]], behind: Sequence[int]) -> list[str]:
        """The texts that many id lists add behind the ids of one prompt."""
        wholes = self._tokenizer.decode_batch([[*behind, *row] for row in rows], skip_special_tokens=False)
        start = self._tokenizer.decode(list(behind), skip_special_tokens=False)
        return [
            _without(start, whole) if self._known.issuperset(row) else self._around_unknown(behind, row)
            for row, whole in zip(rows, wholes, strict=True)
        ]

    def _around_unknown(self, behind: Sequence[int], row: Sequence[int]) -> str:
        """The text of a row that holds ids that the tokenizer does not know; the library leaves them out."""
        place = next((n for n, token in enumerate(row) if token not in self._known), None)
        if place is None:
            return self.decode_many([row], behind)[0]
        known = list(row[:place])
        (text,) = self.decode_many([known], behind)
        return text + UNDECODABLE + self._around_unknown([*behind, *known], row[place + 1 :])


def _without(start: str, whole: str) -> str:
    """What a text has behind its start; one that reads otherwise with what follows is left out as far as it agrees."""
    size = len(start)
    while not whole.startswith(start[:size]):
        size -= 1
    return whole[size:]
