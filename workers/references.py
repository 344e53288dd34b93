"""The exact path: reference answers of exact grading are scored once a checkpoint, one forward pass each."""

import logging
import time
from collections.abc import Iterable, Sequence
from itertools import groupby

from firstlight.evaluations.models import Likelihood, Run
from firstlight.registry.models import Checkpoint, Instance
from workers.engines.base import Engine, EngineRefusal, Score

log = logging.getLogger(__name__)
AT_ONCE = 32


def score_references(
    engine: Engine, checkpoint: Checkpoint, runs: Iterable[int], *, seconds: float = 10.0
) -> int:
    """Score the reference answers of these runs that are not known yet, for about `seconds`. Returns how many.

    What the engine refuses is stored with its reason, so that it is asked once. Nothing may be in flight: an engine
    need not answer in the middle of a stream.
    """
    until = time.monotonic() + seconds
    tasks = Run.objects.filter(pk__in=runs).values("task")
    known = Likelihood.objects.filter(checkpoint=checkpoint).values("instance")
    wanted = Instance.objects.filter(task__in=tasks, grader="exact", excluded="").exclude(answer="")
    missing = sorted(wanted.exclude(pk__in=known), key=lambda row: (*_ends(row), row.pk))
    done = 0
    for (stop, max_tokens), group in groupby(missing, key=_ends):
        rows = list(group)
        for start in range(0, len(rows), AT_ONCE):
            if time.monotonic() > until:
                return done
            some = rows[start : start + AT_ONCE]
            answers = _scores(engine, some, stop, max_tokens)
            scored = [_row(engine, checkpoint, *each) for each in zip(some, answers, strict=True)]
            Likelihood.objects.bulk_create(scored, ignore_conflicts=True)
            done += len(some)
    return done


def _ends(row: Instance) -> tuple[tuple[str, ...], int]:
    """What ends a drawn answer: `score` takes one of each for all its pairs."""
    return tuple(row.stop), row.max_tokens


def _scores(
    engine: Engine, rows: Sequence[Instance], stop: tuple[str, ...], max_tokens: int
) -> list[Score | str]:
    """The scores, or the reasons of those that are refused: one impossible answer must not take its neighbours."""
    pairs = [(row.prompt, row.answer) for row in rows]
    try:
        return list(engine.score(pairs, stop, max_tokens))
    except EngineRefusal as error:
        if len(rows) == 1:
            return [str(error)]
    return [answer for row in rows for answer in _scores(engine, [row], stop, max_tokens)]


def _row(engine: Engine, checkpoint: Checkpoint, instance: Instance, answer: Score | str) -> Likelihood:
    row = Likelihood(checkpoint=checkpoint, instance=instance, fingerprint=engine.fingerprint[:200])
    if isinstance(answer, str):
        row.refused = answer[:500]
    else:
        row.nll_answer, row.nll_terminator = answer.nll_answer, answer.nll_terminator
        row.tokens = answer.tokens
    return row
