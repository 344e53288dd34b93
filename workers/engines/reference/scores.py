"""Log-probabilities of given tokens by the NumPy network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workers.engines.base import EngineGarbage
from workers.engines.reference.network import head_logits, prefill
from workers.engines.reference.weights import Weights
from workers.engines.scoring import TokenJob, TokenScore

_TOKENS_AT_ONCE = 2048


def token_scores(weights: Weights, jobs: Sequence[TokenJob], ends: Sequence[int]) -> list[TokenScore]:
    """Scores of the jobs; sequences of one length run together, without padding."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for place, job in enumerate(jobs):
        by_length[len(job.ids)].append(place)
    found: dict[int, TokenScore] = {}
    for length, places in by_length.items():
        step = max(1, _TOKENS_AT_ONCE // length)
        for begin in range(0, len(places), step):
            part = places[begin : begin + step]
            hidden = prefill(weights, np.array([jobs[place].ids for place in part])).hidden
            for place, states in zip(part, hidden, strict=True):
                job = jobs[place]
                log_probs = _log_softmax(head_logits(weights, states[None, :, job.start - 1 :])[0])
                targets = job.ids[job.start :]
                nll = float(-log_probs[targets, np.arange(len(targets))].sum())
                found[place] = TokenScore(nll, log_probs[list(ends), -1])
    return [found[place] for place in range(len(jobs))]


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
