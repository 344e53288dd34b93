"""Exact likelihood of a reference answer and of its end, for any engine that gives log-probabilities of tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.engines.base import EngineGarbage, EngineRefusal, Score, check_context
from workers.engines.text import TextCodec, first_stop


@dataclass(frozen=True)
class TokenJob:
    """A sequence of tokens, and from which of them on log-probabilities are wanted (1 or later)."""

    ids: list[int]
    start: int


@dataclass(frozen=True, eq=False)
class TokenScore:
    """What a network says of a `TokenJob`.

    nll: minus the summed log-probability of ids[start:], in nats.
    log_end: log-probability, after the whole sequence, of each terminator asked for.
    """

    nll: float
    log_end: NDArray[np.float64]


#: Scores of jobs in their order, given the ids of the terminators.
Network = Callable[[Sequence[TokenJob], Sequence[int]], list[TokenScore]]


@dataclass(frozen=True, eq=False)
class _Plan:
    """What is to be scored of a pair. Each job of `spelled` and each allowed terminator ends the answer just there.

    allowed: (terminators,), which of those that end an answer at once leave it as it is.
    cut: the answer takes all tokens that may be drawn, so that nothing has to follow it.
    """

    answer: TokenJob
    spelled: list[TokenJob]
    allowed: NDArray[np.bool_]
    ends: tuple[str, ...]
    cut: bool


def score_pairs(
    network: Network,
    codec: TextCodec,
    context_length: int,
    pairs: Sequence[tuple[str, str]],
    stop: tuple[str, ...],
    max_tokens: int | None = None,
) -> list[Score]:
    """Negative log-likelihoods, in nats, of answers and of their terminators: of draws that a request would give.

    The terminator's probability is that of one token: end of sequence, or any token whose text begins with
    a stop string. A stop string that takes several tokens adds the probability of its usual tokens, a lower
    bound, since other tokens may spell it. In the same way the answer's likelihood is that of its usual
    tokens: exact where a text has one spelling (characters), a lower bound of the pass probability otherwise.
    An answer of `max_tokens` tokens needs no terminator: drawing ends there.

    max_tokens: longest answer that is drawn, the terminator's tokens included; None for no limit.

    Raises EngineRefusal, with the number of the pair, where one can never be drawn: it is too long, holds a stop
    string, an end of sequence or characters that the tokenizer does not know, comes back from its tokens as another
    text, or can never end; EngineGarbage where a likelihood is not a number.
    """
    if any(not text for text in stop):
        raise EngineRefusal("an empty stop string would end every answer at once; remove it")
    planner = _Planner(codec, context_length, tuple(dict.fromkeys(stop)), max_tokens)
    plans: list[_Plan] = []
    for number, (prompt, answer) in enumerate(pairs):
        try:
            plans.append(planner.plan(prompt, answer))
        except EngineRefusal as error:
            raise EngineRefusal(str(error), pair=number) from error
    jobs = [plan.answer for plan in plans] + [job for plan in plans for job in plan.spelled]
    scored = iter(network(jobs, planner.at_once))
    likelihoods = [next(scored) for _ in plans]
    return [
        _score(plan, likelihood, [next(scored) for _ in plan.spelled])
        for plan, likelihood in zip(plans, likelihoods, strict=True)
    ]


class _Planner:
    """What all pairs of a call have in common: the tokenizer, and how their answers end."""

    def __init__(
        self, codec: TextCodec, context_length: int, stop: tuple[str, ...], max_tokens: int | None
    ) -> None:
        self._codec, self._context_length = codec, context_length
        self._stop, self._max_tokens = stop, max_tokens
        self.at_once = codec.terminators(stop)
        self._all = np.ones(len(self.at_once), bool)
        self._names = self._named(self._all)

    def plan(self, prompt: str, answer: str) -> _Plan:
        """The answer behind its prompt, and behind both each stop string that no token of `at_once` begins."""
        codec = self._codec
        if any(text in answer for text in self._stop):
            raise EngineRefusal(
                f"the answer {answer[:60]!r} holds a stop string, so it can never be drawn whole"
            )
        before, ids = codec.encode_prompt(prompt), codec.encode_answer(prompt, answer)
        room = math.inf if self._max_tokens is None else self._max_tokens - len(ids)
        check_context(len(before), len(ids) + (room != 0), self._context_length)
        self._refuse_undrawable(before, ids, answer)
        whole = TokenJob(before + ids, len(before))
        if room < 0:
            raise EngineRefusal(
                f"the answer {answer[:60]!r} takes {len(ids)} tokens and max_tokens is {self._max_tokens}, "
                "so it can never be drawn whole; raise max_tokens"
            )
        if room == 0:
            return _Plan(whole, [], ~self._all, ("max_tokens",), cut=True)
        allowed = self._leave_whole(answer)
        spelled = {
            text: TokenJob(whole.ids + tokens, len(whole.ids))
            for text in self._stop
            if (tokens := self._spelled(prompt, before, ids, answer=answer, text=text))
            and len(tokens) <= room
        }
        for job in spelled.values():
            check_context(job.start, len(job.ids) - job.start, self._context_length)
        ends = dict(self._names if allowed is self._all else self._named(allowed)) | dict.fromkeys(spelled)
        if not ends:
            self._refuse_endless(answer)
        return _Plan(whole, list(spelled.values()), allowed, tuple(ends), cut=False)

    def _refuse_undrawable(self, before: list[int], ids: list[int], answer: str) -> None:
        ending = self._codec.names(token for token in ids if token in self._codec.eos)
        if ending:
            raise EngineRefusal(
                f"the answer {answer[:60]!r} holds {ending[0]!r}, the end of a sequence, "
                "so it can never be drawn whole; remove it"
            )
        texts, took = self._codec.endings([ids], before, self._stop)
        if texts != [answer] or took:
            raise EngineRefusal(
                f"the answer {answer[:60]!a} comes back from its tokens as {texts[0][:60]!a}, which is another text; "
                "write it as the model would"
            )

    def _refuse_endless(self, answer: str) -> None:
        if not self._stop:
            raise EngineRefusal(
                "the model has no end-of-sequence token and there is no stop string; name one"
            )
        raise EngineRefusal(
            f"nothing ends the answer {answer[:60]!r} within max_tokens: the model has no end-of-sequence token, and "
            "its usual tokens spell no stop string there; name another"
        )

    def _leave_whole(self, answer: str) -> NDArray[np.bool_]:
        """(terminators,): those behind which the text before the first stop string is the answer, not a part of it.

        An answer "a" with the stop strings "ab" and "b": a "b" behind it completes "ab" too and leaves nothing.
        """
        stop, pieces = self._stop, self._codec.pieces
        if not any(answer.endswith(text[:size]) for text in stop for size in range(1, len(text))):
            return self._all
        return np.array(
            [
                token in self._codec.eos or first_stop(answer + (pieces[token] or ""), stop) == len(answer)
                for token in self.at_once
            ],
            bool,
        )

    def _spelled(
        self, prompt: str, before: list[int], ids: list[int], *, answer: str, text: str
    ) -> list[int] | None:
        """The usual tokens of a stop string behind the answer, where they end it just there and none does alone."""
        tokens = self._codec.spell(prompt + answer, before + ids, text)
        if not tokens or not self._codec.eos.isdisjoint(tokens):
            return None
        if len(tokens) == 1 and tokens[0] in self.at_once:
            return None
        # another stop string may end the draw before this one is spelled, or take a part of the answer
        ending = self._codec.endings([ids + tokens], before, self._stop)
        return tokens if ending == ([answer], {0: len(ids) + len(tokens)}) else None

    def _named(self, allowed: NDArray[np.bool_]) -> dict[str, None]:
        """Names of the ends: tokens of the end of sequence, and stop strings that a token begins with."""
        tokens = [token for token, good in zip(self.at_once, allowed, strict=True) if good]
        begun = [self._codec.pieces[token] or "" for token in tokens if token not in self._codec.eos]
        ends = self._codec.names(sorted(self._codec.eos))
        ends += [text for text in self._stop if any(piece.startswith(text) for piece in begun)]
        return dict.fromkeys(ends)


def _score(plan: _Plan, answer: TokenScore, spelled: list[TokenScore]) -> Score:
    ids = tuple(plan.answer.ids[plan.answer.start :])
    log_end = 0.0
    if not plan.cut:
        logs = np.append(answer.log_end[plan.allowed], [-end.nll for end in spelled])
        log_end = float(np.logaddexp.reduce(logs))
    if not (np.isfinite(answer.nll) and log_end < np.inf):
        raise EngineGarbage(
            "the log-probabilities are not finite; the weights are damaged or overflow in this precision"
        )
    # rounding may leave a sure end a little above probability 1
    return Score(answer.nll, max(0.0, -log_end), len(ids), ids, plan.ends)
