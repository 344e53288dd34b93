"""Which tokens end a draw at once, and whether the text must be read as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.engines.text import TextCodec


@dataclass(frozen=True, eq=False)
class Ends:
    """How the draws of a request end before their last token allowed.

    ids: tokens that end a draw: end of sequence, or a text that holds a stop string.
    watch: (vocabulary,), tokens after which the text must be read for a stop string that several tokens spell;
    None where `ids` tell all.
    """

    ids: frozenset[int]
    watch: NDArray[np.bool_] | None


def read_stops(codec: TextCodec, stops: Sequence[str]) -> Ends:
    """The ends of a checkpoint's tokenizer and some stop strings.

    One token at a time can be tested inside of vLLM; a text must be read by us after each step. A stop string
    of a single ASCII character is always within one token: the bytes of a character that tokens share are
    never ASCII.
    """
    if not stops:
        return Ends(codec.eos, None)
    ids = set(np.flatnonzero(codec.ends_alone(stops)).tolist())
    if codec.tells_by_bytes(stops) and all(len(stop) == 1 and stop.isascii() for stop in stops):
        return Ends(frozenset(ids), None)
    watch = codec.may_complete(stops)
    watch[list(ids)] = False
    return Ends(frozenset(ids), watch)
