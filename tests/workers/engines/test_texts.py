"""Draws and likelihoods of random tokenizers of each kind, against all token sequences written down.

The models' next token always has the same distribution, so the exact distribution of drawn texts is a sum over all
sequences of up to MAX_TOKENS tokens. What a sequence adds to the prompt's text is told here by the library itself, from
prompt and answer decoded whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pytest
from tokenizers import Tokenizer

from tests.known_model import EOS, KINDS, with_added, write_known_model
from tests.workers.engines.contract import mean_squared_z, normal_score
from workers.engines import DrawRequest, Engine, EngineRefusal, check_wave, open_engine
from workers.engines.base import UNDECODABLE
from workers.engines.reference.engine import ReferenceEngine

MAX_TOKENS, DRAWS, SEEDS = 3, 3000, 16
STOPS = ((), ("\n",), ("b",), (" ", "ab"), ("ab", "b"), ("aa", "aab", "\u00e9"), ("\ufffd", ". "))
PROMPTS = ("a", "ab", "b a", "a b ", "b<q>")
#: Kinds whose tokens add what depends on others.
ACROSS = ("suffixes", "tidied")
REFUSED = (
    "comes back from its tokens",
    "end of a sequence",
    "does not know",
    "takes",
    "nothing ends",
    "holds a stop",
)


class Drawn(NamedTuple):
    """A sequence that a draw may be: its text, its probability, and whether a stop string ended it."""

    ids: tuple[int, ...]
    text: str
    chance: float
    stopped: bool


@dataclass(eq=False)
class World:
    """A model of known chances, and a request for its draws."""

    engine: Engine
    tokenizer: Tokenizer
    chances: np.ndarray
    eos: int
    prompt: str
    stop: tuple[str, ...]

    def request(self, seed: int) -> DrawRequest:
        return DrawRequest("i", self.prompt, 0, DRAWS, seed, self.stop, MAX_TOKENS)

    @cached_property
    def sequences(self) -> list[Drawn]:
        """Every sequence that a draw may be."""
        return list(self._sequences())

    def texts(self) -> Counter[str]:
        """The probability of each text."""
        chances: Counter[str] = Counter()
        for each in self.sequences:
            chances[each.text] += each.chance
        return chances

    def _sequences(self) -> Iterator[Drawn]:
        before = self.tokenizer.encode(self.prompt).ids
        waiting: list[tuple[tuple[int, ...], float]] = [((), 1.0)]
        while waiting:
            ids, chance = waiting.pop()
            for token in np.flatnonzero(self.chances).tolist():
                longer, both = (*ids, token), chance * float(self.chances[token])
                if token == self.eos:
                    yield Drawn(longer, self.added(before, ids), both, stopped=False)
                    continue
                text = self.added(before, longer)
                places = [place for stop in self.stop if (place := text.find(stop)) >= 0]
                if places:
                    yield Drawn(longer, text[: min(places)], both, stopped=True)
                elif len(longer) == MAX_TOKENS:
                    yield Drawn(longer, text, both, stopped=False)
                else:
                    waiting.append((longer, both))

    def added(self, before: list[int], ids: tuple[int, ...]) -> str:
        """What ids add behind the prompt's; bytes that are no text are read one by one, as SentencePiece does."""
        known = set(self.tokenizer.get_vocab().values())
        for place, token in enumerate(ids):
            if token not in known:
                head, tail = ids[:place], ids[place + 1 :]
                said = self.added(before, head)
                # a part of a character in front of it stays one
                begun = [*before, *head] if "\ufffd" not in said else before
                return said + UNDECODABLE + self.added(begun, tail)
        start = self.tokenizer.decode(before, skip_special_tokens=False)
        whole = self.tokenizer.decode([*before, *ids], skip_special_tokens=False)
        if "\ufffd" in whole and "<0xFF>" in self.tokenizer.get_vocab():
            return self._spelled(ids)
        while not whole.startswith(start):
            start = start[:-1]
        return whole[len(start) :]

    def _spelled(self, ids: tuple[int, ...]) -> str:
        names = [self.tokenizer.id_to_token(token) for token in ids]
        raw = b"".join(
            bytes([int(name[3:5], 16)]) if name.startswith("<0x") else name.replace("\u2581", " ").encode()
            for name in names
        )
        text = ""
        while raw:
            size = next((n for n in (1, 2, 3, 4) if _is_text(raw[:n])), 0)
            text += raw[:size].decode() if size else "\ufffd"
            raw = raw[max(size, 1) :]
        return text


def _is_text(raw: bytes) -> bool:
    try:
        return bool(raw.decode())
    except UnicodeDecodeError:
        return False


def world(folder: Path, kind: str, seed: int) -> World:
    """A random tokenizer of a kind: its added tokens, ids beyond it, the chances, the prompt and the stop strings."""
    rng = np.random.default_rng([seed, *kind.encode()])
    tokenizer = KINDS[kind]()
    lstrip, rstrip = rng.integers(2, size=2).astype(bool).tolist()
    with_added(tokenizer, lstrip=lstrip, rstrip=rstrip)
    size = tokenizer.get_vocab_size()
    chances = rng.dirichlet(np.full(size + rng.integers(3), 0.7))
    chances[rng.random(len(chances)) < 0.15] = 0
    eos = tokenizer.token_to_id(EOS)
    chances[eos] = max(chances[eos], 0.1)
    chances /= chances.sum()
    write_known_model(folder, tokenizer, chances.tolist())
    prompt = PROMPTS[rng.integers(len(PROMPTS))]
    if " " in prompt and not tokenizer.encode(" a").ids:
        prompt = "a"
    stop = STOPS[rng.integers(len(STOPS))]
    return World(open_engine("reference", folder), tokenizer, chances, eos, prompt, stop)


@cache
def worlds(kind: str) -> list[World]:
    with TemporaryDirectory() as folder:
        return [world(Path(folder) / str(seed), kind, seed) for seed in range(SEEDS)]


@cache
def drawn(kind: str) -> list[tuple[Counter[str], Counter[str]]]:
    """Of each model of a kind how often each text was drawn, and its probability."""
    pairs = []
    for seed, this in enumerate(worlds(kind)):
        (wave,) = this.engine.draw([this.request(seed)])
        check_wave(this.request(seed), wave)
        pairs.append((Counter(wave.texts), this.texts()))
    return pairs


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_texts_are_as_frequent_as_the_sum_of_their_sequences(kind: str) -> None:
    for counts, chances in drawn(kind):
        assert set(counts) <= set(chances)
        assert sum(chances.values()) == pytest.approx(1)
        order = list(chances)
        assert normal_score([counts[text] for text in order], [chances[text] for text in order]) < 4


def test_over_all_kinds_the_counts_are_binomial() -> None:
    cells = [
        (counts[text], chance, DRAWS)
        for kind in KINDS
        for counts, chances in drawn(kind)
        for text, chance in chances.items()
        if 1 < DRAWS * chance < DRAWS - 1
    ]
    assert len(cells) > 50_000
    assert 0.95 < mean_squared_z(cells) < 1.05


@pytest.mark.parametrize("kind", KINDS)
def test_exact_likelihoods_are_those_of_usual_tokens_and_bound_the_draws(kind: str) -> None:
    scored = refused = 0
    for this in worlds(kind):
        chances = this.texts()
        for text in sorted(chances, key=chances.__getitem__)[-40:]:
            try:
                (score,) = this.engine.score([(this.prompt, text)], this.stop, MAX_TOKENS)
            except EngineRefusal as refusal:
                refused += any(reason in str(refusal) for reason in REFUSED)
                continue
            scored += 1
            size = len(score.ids)
            ways = {
                each.ids: each.chance
                for each in this.sequences
                if each.text == text and each.ids[:size] == score.ids
            }
            sure = {ids for ids in ways if len(ids) <= size + 1}
            if kind in ACROSS or "\ufffd" in "".join(this.stop):  # not all tokens that end it are counted
                sure &= {score.ids, (*score.ids, this.eos)}
            likelihood = float(np.exp(-score.nll))
            assert likelihood >= sum(ways[ids] for ids in sure) * (1 - 1e-4), (text, this.stop, score)
            assert likelihood <= sum(ways.values()) * (1 + 1e-4) + 1e-20, (text, this.stop, score)
            assert likelihood <= chances[text] * (1 + 1e-4) + 1e-20
    assert scored + refused == sum(min(40, len(this.texts())) for this in worlds(kind))
    assert scored >= SEEDS


@pytest.mark.parametrize("kind", KINDS)
def test_where_a_text_ends_is_told_by_its_tokens_whatever_follows(kind: str) -> None:
    """For engines that see an answer only when it ran on, and those that ask of a token whether it ends one."""
    for seed, this in enumerate(worlds(kind)):
        assert isinstance(this.engine, ReferenceEngine)
        codec, rng = this.engine.codec, np.random.default_rng(seed)
        before = codec.encode_prompt(this.prompt)
        alone, may = codec.ends_alone(this.stop), codec.may_complete(this.stop)
        alone[this.eos] = False
        others = np.setdiff1d(np.arange(codec.vocab), [this.eos])
        for place in rng.choice(len(this.sequences), size=min(100, len(this.sequences)), replace=False):
            drawn = this.sequences[place]
            row = [token for token in drawn.ids if token != this.eos]
            if drawn.stopped:
                row += rng.choice(others, size=rng.integers(4)).tolist()
                assert may[drawn.ids[-1]]
            assert not alone[list(drawn.ids[:-1])].any()
            assert drawn.stopped or not alone[drawn.ids[-1]]
            texts, took = codec.endings([row], before, this.stop)
            assert (texts[0], took.get(0, 0)) == (drawn.text, len(drawn.ids) if drawn.stopped else 0)
