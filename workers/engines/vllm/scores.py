"""Log-probabilities of given tokens by vLLM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.engines.base import EngineError
from workers.engines.scoring import TokenJob, TokenScore
from workers.engines.vllm.core import Core


def token_scores(core: Core, vocab: int, jobs: Sequence[TokenJob], ends: Sequence[int]) -> list[TokenScore]:
    """Scores of the jobs, all in flight at once."""
    sinks = [_Answer(core, vocab, job, ends) for job in jobs]
    try:
        while not all(sink.done for sink in sinks):
            core.step()
    except BaseException:
        core.abort(name for sink in sinks for name in sink.names)
        raise
    return [sink.score() for sink in sinks]


class _Answer:
    """One job: a prompt, and one token drawn behind it that nobody looks at. A `Sink` of the core."""

    def __init__(self, core: Core, vocab: int, job: TokenJob, ends: Sequence[int]) -> None:
        from vllm import SamplingParams
        from vllm.sampling_params import MAX_LOGPROB_TOKEN_IDS

        # vLLM draws at least one token, for which a sequence that fills the context has no room. There the
        # last token is looked up behind the others, and no terminator could follow it anyway.
        self._full = len(job.ids) >= core.context_length
        self._ids = job.ids[:-1] if self._full else job.ids
        self._wanted = [job.ids[-1]] if self._full else list(ends)
        self._job, self._vocab = job, vocab
        few = len(self._wanted) <= MAX_LOGPROB_TOKEN_IDS
        params = SamplingParams(
            max_tokens=1,
            ignore_eos=True,
            detokenize=False,
            prompt_logprobs=0 if len(self._ids) > job.start else None,
            logprob_token_ids=self._wanted if few and self._wanted else None,
            logprobs=None if few else -1,
        )
        self.seconds, self.done = 0.0, False
        self._prompt: NDArray[np.float64] | None = None
        self._next: NDArray[np.float64] = np.full(vocab, -np.inf)
        # a seed, since on a CPU the sampler of unseeded rows is compiled, which no score should wait for
        self.names = core.add(self, core.prepare(self._ids, params), [0])

    def take(self, row: int, output: Any) -> bool:
        if output.new_prompt_logprobs_tensors is not None:
            self._prompt = output.new_prompt_logprobs_tensors.logprobs[:, 0].double().cpu().numpy()
        if output.new_logprobs is not None:
            ids, logs = output.new_logprobs.logprob_token_ids[0], output.new_logprobs.logprobs[0]
            known = ~np.isneginf(logs)  # rows are filled up with token 0 at minus infinity
            self._next[ids[known]] = logs[known]
        self.done = output.finish_reason is not None
        return self.done

    def score(self) -> TokenScore:
        answer = 0.0
        if len(self._ids) > self._job.start:
            if self._prompt is None or len(self._prompt) != len(self._ids) - 1:
                raise EngineError("vLLM gave no log-probabilities of a prompt's tokens")
            answer = -float(self._prompt[self._job.start - 1 :].sum())
        log_next = self._next[self._wanted]
        if self._full:
            return TokenScore(answer - float(log_next[0]), np.empty(0))
        return TokenScore(answer, log_next)
