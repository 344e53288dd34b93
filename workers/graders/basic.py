"""The graders that judge by the text alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MappingProxyType

from firstlight.files.patterns import PatternError, compiled
from firstlight.files.task_file import NUMBER, InstanceSpec, parse_number
from workers.engines.base import UNDECODABLE

Grader = Callable[[str, InstanceSpec], bool]

#: What a pattern never sees of a text. The time to search is linear, so this is no limit of time; verdicts rest on it.
MAX_SEARCHED_CHARACTERS = 10_000
RELATIVE_TOLERANCE = 1e-9


class GraderRefusal(ValueError):
    """No text can be judged for this instance; trying again cannot help."""


def exact(text: str, spec: InstanceSpec) -> bool:
    """The text up to the first stop string equals the answer, blanks included."""
    return up_to_stop(text, spec.stop) == spec.answer


def contains(text: str, spec: InstanceSpec) -> bool:
    """The answer stands somewhere in the text up to the first stop string."""
    return spec.answer in up_to_stop(text, spec.stop)


def regex(text: str, spec: InstanceSpec) -> bool:
    """The pattern is found in the first MAX_SEARCHED_CHARACTERS of the text up to the first stop string."""
    return compiled(spec.answer).is_found_in(up_to_stop(text, spec.stop)[:MAX_SEARCHED_CHARACTERS])


def numeric(text: str, spec: InstanceSpec) -> bool:
    """The last number of the text up to the first stop string equals the answer within 1e-9, relative."""
    number, answer = last_number(up_to_stop(text, spec.stop)), parse_number(spec.answer)
    if number is None or answer is None:
        return False
    return math.isclose(number, answer, rel_tol=RELATIVE_TOLERANCE)


REGISTRY = MappingProxyType({"exact": exact, "contains": contains, "regex": regex, "numeric": numeric})


def check_gradable(spec: InstanceSpec) -> None:
    """Raises GraderRefusal, naming the instance, where its grader is not registered or its pattern cannot be matched.

    A task that was stored before patterns were matched by RE2 may hold one.
    """
    if spec.grader not in REGISTRY:
        raise GraderRefusal(
            f"instance {spec.id!r}: unknown grader {spec.grader!r}; known: {', '.join(REGISTRY)}"
        )
    if spec.grader == "regex":
        try:
            compiled(spec.answer)
        except PatternError as error:
            raise GraderRefusal(f"instance {spec.id!r}: {error}") from error


def grade(text: str, spec: InstanceSpec) -> bool:
    """Judge a text by its instance's grader. Raises GraderRefusal as `check_gradable` does.

    A text with a token that is none of the tokenizer's is wrong, whatever else it holds.
    """
    check_gradable(spec)
    return UNDECODABLE not in up_to_stop(text, spec.stop) and REGISTRY[spec.grader](text, spec)


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
