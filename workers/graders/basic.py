"""The graders that judge by the text alone."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import lru_cache
from types import MappingProxyType

from firstlight.files.task_file import NUMBER, InstanceSpec, parse_number

Grader = Callable[[str, InstanceSpec], bool]

# Python's re has no time limit. The cap bounds patterns of polynomial time; those of exponential time (a
# repeat of a repeat) are refused when a task is read. A pattern such as (a|aa)+b gets past both: the task's
# time limit ends it.
MAX_SEARCHED_CHARACTERS = 10_000
RELATIVE_TOLERANCE = 1e-9


def exact(text: str, spec: InstanceSpec) -> bool:
    """The text up to the first stop string equals the answer, blanks included."""
    return up_to_stop(text, spec.stop) == spec.answer


def contains(text: str, spec: InstanceSpec) -> bool:
    """The answer stands somewhere in the text up to the first stop string."""
    return spec.answer in up_to_stop(text, spec.stop)


def regex(text: str, spec: InstanceSpec) -> bool:
    """The pattern is found in the first MAX_SEARCHED_CHARACTERS of the text up to the first stop string."""
    return _compiled(spec.answer).search(up_to_stop(text, spec.stop)[:MAX_SEARCHED_CHARACTERS]) is not None


def numeric(text: str, spec: InstanceSpec) -> bool:
    """The last number of the text up to the first stop string equals the answer within 1e-9, relative."""
    found = last_number(up_to_stop(text, spec.stop))
    answer = parse_number(spec.answer)
    return (
        found is not None and answer is not None and math.isclose(found, answer, rel_tol=RELATIVE_TOLERANCE)
    )


REGISTRY = MappingProxyType({"exact": exact, "contains": contains, "regex": regex, "numeric": numeric})


def grade(text: str, spec: InstanceSpec) -> bool:
    """Judge a text by its instance's grader.

    :raises ValueError: a grader that is not registered
    """
    if spec.grader not in REGISTRY:
        raise ValueError(f"unknown grader {spec.grader!r}; known: {', '.join(REGISTRY)}")
    return REGISTRY[spec.grader](text, spec)


def up_to_stop(text: str, stops: tuple[str, ...]) -> str:
    """The text before the first stop string."""
    places = [place for place in (text.find(stop) for stop in stops) if place >= 0]
    return text[: min(places)] if places else text


def last_number(text: str) -> float | None:
    """The last number of a text, or None; thousands commas, signs, decimals and exponents are read."""
    last = None
    for match in NUMBER.finditer(text.replace("\u2212", "-")):
        last = match
    if last is None:
        return None
    token = last.group()
    start = last.start()
    # A sign belongs to the number unless something stands right before it: "3-2" ends in 2, "= -2" in -2.
    if token[0] in "+-" and start and (last.string[start - 1].isalnum() or last.string[start - 1] in "_.)"):
        token = token[1:]
    value = float(token.replace(",", ""))
    return value if math.isfinite(value) else None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
