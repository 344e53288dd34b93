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

    :ivar nll: minus the summed log-probability of ids[start:], in nats
    :ivar log_end: log-probability, after the whole sequence, of each terminator asked for
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

    :raises EngineRefusal: naming the pair (from 0): too long, holds a stop string, unknown characters, or no
        terminator exists
    :raises EngineGarbage: a likelihood that is not a number
    """
    if any(not item for item in stop):
        raise EngineRefusal("an empty stop string would end every answer at once; remove it")
    at_once = codec.terminators(stop)
    main: list[TokenJob] = []
    ends: list[list[TokenJob]] = []
    for index, (prompt, answer) in enumerate(pairs):
        where = f"pair {index}"
        if any(item in answer for item in stop):
            raise EngineRefusal(
                f"{where}: the answer {answer[:60]!r} holds a stop string, so it can never be drawn whole"
            )
        try:
            before, ids = codec.encode_prompt(prompt), codec.encode_answer(prompt, answer)
        except EngineRefusal as error:
            raise EngineRefusal(f"{where}: {error}") from error
        check_context(where, len(before), len(ids) + 1, context_length)
        main.append(TokenJob(before + ids, len(before)))
        ends.append([])
        for item in stop:
            spelled = codec.encode_answer(prompt + answer, item)
            if len(spelled) > 1 and spelled[0] not in at_once:
                check_context(where, len(before) + len(ids), len(spelled), context_length)
                ends[-1].append(TokenJob(before + ids + spelled, len(before) + len(ids)))
        if not at_once and not ends[-1]:
            raise EngineRefusal(
                f"{where}: the model has no end-of-sequence token and there is no stop string; name one"
            )
    scored = iter(network([*main, *(job for jobs in ends for job in jobs)], at_once))
    answers = [next(scored) for _ in main]
    return [
        _score(job, answer, [next(scored) for _ in jobs])
        for job, answer, jobs in zip(main, answers, ends, strict=True)
    ]


def _score(job: TokenJob, answer: TokenScore, ends: list[TokenScore]) -> Score:
    log_end = np.logaddexp.reduce(np.append(answer.log_end, [-end.nll for end in ends]))
    if not (np.isfinite(answer.nll) and log_end < np.inf):
        raise EngineGarbage(
            "the log-probabilities are not finite; the weights are damaged or overflow in this precision"
        )
    # rounding may leave a sure end a little above probability 1
    return Score(answer.nll, max(0.0, -float(log_end)), len(job.ids) - job.start)
