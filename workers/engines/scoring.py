"""Exact likelihood of a reference answer and of its end, for any engine that gives log-probabilities of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.engines.base import EngineGarbage, EngineRefusal, Score, check_context
from workers.engines.text import TextCodec


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


def score_pairs(
    network: Network,
    codec: TextCodec,
    context_length: int,
    pairs: Sequence[tuple[str, str]],
    stop: tuple[str, ...],
) -> list[Score]:
    """Negative log-likelihoods, in nats, of answers and of their terminators.

    The terminator's probability is that of one token: end of sequence, or any token whose text begins with
    a stop string. A stop string that takes several tokens adds the probability of its usual tokens, a lower
    bound, since other tokens may spell it. In the same way the answer's likelihood is that of its usual
    tokens: exact where a text has one spelling (characters), a lower bound of the pass probability otherwise.

    Raises EngineRefusal, with the number of the pair, where one is too long, holds a stop string or characters
    that the tokenizer does not know, or can never end; EngineGarbage where a likelihood is not a number.
    """
    if any(not text for text in stop):
        raise EngineRefusal("an empty stop string would end every answer at once; remove it")
    at_once = codec.terminators(stop)
    answers: list[TokenJob] = []
    ends: list[list[TokenJob]] = []
    for number, (prompt, answer) in enumerate(pairs):
        try:
            job, spelled = _jobs(codec, context_length, prompt, answer, stop=stop, at_once=at_once)
        except EngineRefusal as error:
            raise EngineRefusal(str(error), pair=number) from error
        answers.append(job)
        ends.append(spelled)
    scored = iter(network([*answers, *(job for jobs in ends for job in jobs)], at_once))
    likelihoods = [next(scored) for _ in answers]
    return [
        _score(job, likelihood, [next(scored) for _ in jobs])
        for job, likelihood, jobs in zip(answers, likelihoods, ends, strict=True)
    ]


def _jobs(
    codec: TextCodec,
    context_length: int,
    prompt: str,
    answer: str,
    *,
    stop: tuple[str, ...],
    at_once: Sequence[int],
) -> tuple[TokenJob, list[TokenJob]]:
    """The answer behind its prompt, and behind both each stop string that no token of `at_once` begins."""
    if any(text in answer for text in stop):
        raise EngineRefusal(f"the answer {answer[:60]!r} holds a stop string, so it can never be drawn whole")
    before, ids = codec.encode_prompt(prompt), codec.encode_answer(prompt, answer)
    check_context(len(before), len(ids) + 1, context_length)
    whole = before + ids
    ends = []
    for text in stop:
        spelled = codec.encode_answer(prompt + answer, text)
        if len(spelled) > 1 and spelled[0] not in at_once:
            check_context(len(whole), len(spelled), context_length)
            ends.append(TokenJob(whole + spelled, len(whole)))
    if not at_once and not ends:
        raise EngineRefusal("the model has no end-of-sequence token and there is no stop string; name one")
    return TokenJob(whole, len(before)), ends


def _score(job: TokenJob, answer: TokenScore, ends: list[TokenScore]) -> Score:
    log_end = np.logaddexp.reduce(np.append(answer.log_end, [-end.nll for end in ends]))
    if not (np.isfinite(answer.nll) and log_end < np.inf):
        raise EngineGarbage(
            "the log-probabilities are not finite; the weights are damaged or overflow in this precision"
        )
    # rounding may leave a sure end a little above probability 1
    return Score(answer.nll, max(0.0, -float(log_end)), len(job.ids) - job.start)
