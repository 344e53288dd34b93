"""Exact likelihood of a reference answer and of its end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.engines.base import EngineGarbage, EngineRefusal, Score, check_context
from workers.engines.reference.network import head_logits, prefill
from workers.engines.reference.text import TextCodec
from workers.engines.reference.weights import Weights

_TOKENS_AT_ONCE = 2048


@dataclass
class _Job:
    """A sequence, and from which of its tokens on log-probabilities are wanted."""

    ids: list[int]
    start: int
    log_probs: NDArray[np.float64] | None = None  # (vocabulary, len(ids) - start + 1)

    def nll(self) -> float:
        """Minus the summed log-probability of ids[start:], in nats."""
        assert self.log_probs is not None
        targets = self.ids[self.start :]
        return float(-self.log_probs[targets, np.arange(len(targets))].sum())


def score_pairs(
    weights: Weights, codec: TextCodec, pairs: Sequence[tuple[str, str]], stop: tuple[str, ...]
) -> list[Score]:
    """Negative log-likelihoods, in nats, of answers and of their terminators.

    The terminator's probability is that of one token: end of sequence, or any token whose text begins with
    a stop string. A stop string that takes several tokens adds the probability of its usual tokens, a lower
    bound, since other tokens may spell it. In the same way the answer's likelihood is that of its usual
    tokens: exact where a text has one spelling (characters), a lower bound of the pass probability otherwise.

    :raises EngineRefusal: naming the pair (from 0): too long, holds a stop string, unknown characters, or no
        terminator exists
    """
    if any(not item for item in stop):
        raise EngineRefusal("an empty stop string would end every answer at once; remove it")
    at_once = codec.terminators(stop)
    main: list[_Job] = []
    ends: list[list[_Job]] = []
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
        check_context(where, len(before), len(ids) + 1, weights.sizes.context)
        main.append(_Job(before + ids, len(before)))
        ends.append([])
        for item in stop:
            spelled = codec.encode_answer(prompt + answer, item)
            if len(spelled) > 1 and spelled[0] not in at_once:
                check_context(where, len(before) + len(ids), len(spelled), weights.sizes.context)
                ends[-1].append(_Job(before + ids + spelled, len(before) + len(ids)))
        if not at_once and not ends[-1]:
            raise EngineRefusal(
                f"{where}: the model has no end-of-sequence token and there is no stop string; name one"
            )
    _run(weights, [*main, *(job for jobs in ends for job in jobs)])
    return [_score(job, jobs, at_once) for job, jobs in zip(main, ends, strict=True)]


def _score(job: _Job, ends: list[_Job], at_once: list[int]) -> Score:
    assert job.log_probs is not None
    log_end = np.logaddexp.reduce(np.append(job.log_probs[at_once, -1], [-end.nll() for end in ends]))
    # rounding may leave a sure end a little above probability 1
    return Score(job.nll(), max(0.0, -float(log_end)), len(job.ids) - job.start)


def _run(weights: Weights, jobs: list[_Job]) -> None:
    """Fill in the log-probabilities; sequences of one length run together, without padding."""
    by_length: dict[int, list[_Job]] = defaultdict(list)
    for job in jobs:
        by_length[len(job.ids)].append(job)
    for length, group in by_length.items():
        step = max(1, _TOKENS_AT_ONCE // length)
        for start in range(0, len(group), step):
            part = group[start : start + step]
            hidden = prefill(weights, np.array([job.ids for job in part])).hidden
            for job, states in zip(part, hidden, strict=True):
                job.log_probs = _log_softmax(head_logits(weights, states[None, :, job.start - 1 :])[0])


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Over the vocabulary, axis 0, in float64."""
    values = logits.astype(np.float64)
    values -= values.max(axis=0)
    values -= np.log(np.exp(values).sum(axis=0))
    if not np.isfinite(values).all():
        raise EngineGarbage(
            "the log-probabilities are not finite; the weights are damaged or overflow in float32"
        )
    return values
