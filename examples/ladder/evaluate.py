"""Exact log-probabilities of the test answers: no sampling, the models are small enough to ask outright."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from examples.ladder.data import held_out_documents, test_documents
from examples.ladder.generators import MAX_DOCUMENT
from examples.ladder.model import Stack
from examples.ladder.tokenizer import END_ID, ID, PAD_ID, VOCAB_SIZE

CHUNK = 256


@torch.no_grad()
def token_logprobs(stack: Stack, weights: Tensor, rows: np.ndarray) -> np.ndarray:
    """Natural log-probability of every token but the first: (M, rows, positions), float64.

    Weights are float32 (already rounded to bfloat16, as saved), the arithmetic is float32 without TF32, and
    the softmax is float64, so a probability far below 1e-7 still has all its digits.
    """
    torch.set_float32_matmul_precision("highest")
    table = torch.from_numpy(np.ascontiguousarray(rows[:, :MAX_DOCUMENT])).long().to(weights.device)
    parts = []
    for start in range(0, len(table), CHUNK):
        part = table[start : start + CHUNK]
        tokens = part[None, :, :-1].expand(stack.members, -1, -1)
        logits = stack.forward(weights, tokens, exact=True).double()
        logits = logits.view(stack.members, len(part), -1, VOCAB_SIZE).log_softmax(dim=-1)
        targets = part[None, :, 1:, None].expand(stack.members, -1, -1, 1)
        parts.append(logits.gather(-1, targets).squeeze(-1).cpu().numpy())
    return np.concatenate(parts, axis=1)


def rounded(master: Tensor) -> Tensor:
    """The weights as a bfloat16 file holds them, in float32."""
    return master.to(torch.bfloat16).float()


def answer_parts(rows: np.ndarray, logprobs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Summed log-probability of the answers' characters, and of the newline after them: (M, rows) each."""
    targets = rows[:, 1:MAX_DOCUMENT]
    begun = np.cumsum(rows[:, : MAX_DOCUMENT - 1] == ID["="], axis=1) > 0
    answer = begun & (targets != PAD_ID) & (targets != END_ID)
    end = targets == END_ID
    return np.where(answer, logprobs, 0).sum(axis=2), np.where(end, logprobs, 0).sum(axis=2)


def scores(stack: Stack, master: Tensor, tasks: tuple[str, ...]) -> list[dict[str, object]]:
    """For every member: test log-probabilities by task, and held-out loss by task and over all."""
    weights = rounded(master)
    results: list[dict[str, dict[str, object]]] = [
        {"instances": {}, "held_out": {}} for _ in range(stack.members)
    ]
    totals = np.zeros((stack.members, 2))
    for task in tasks:
        rows = test_documents(task)
        answer, end = answer_parts(rows, token_logprobs(stack, weights, rows))
        rows = held_out_documents(task)
        logprobs = token_logprobs(stack, weights, rows)
        seen = rows[:, 1:MAX_DOCUMENT] != PAD_ID
        answer_nll = [-(a + e).mean() for a, e in zip(*answer_parts(rows, logprobs), strict=True)]
        for member in range(stack.members):
            nats = -float(logprobs[member][seen].sum())
            totals[member] += nats, seen.sum()
            results[member]["instances"][task] = [
                [float(a), float(e)] for a, e in zip(answer[member], end[member], strict=True)
            ]
            results[member]["held_out"][task] = {
                "loss": nats / int(seen.sum()),
                "answer_nll": float(answer_nll[member]),
                "documents": len(rows),
            }
    for member in range(stack.members):
        results[member]["held_out"]["all"] = {"loss": float(totals[member, 0] / totals[member, 1])}
    return [dict(row) for row in results]
