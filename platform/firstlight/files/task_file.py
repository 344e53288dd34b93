"""Reads a task file: JSONL, one instance a line, whole file or nothing.

Streamed by line under a cap for the line and for the rows, because a task file is an upload. Every error
names the source and the line.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from firstlight.files.patterns import PatternError, compiled
from firstlight.files.strict_json import StrictJsonError, strict_loads

GRADERS = ("exact", "contains", "regex", "numeric")
MAX_LINE_BYTES = 1_000_000
MAX_ROWS = 100_000
MAX_ID_CHARACTERS = 200
MAX_STOPS = 16
MAX_STOP_CHARACTERS = 100
MAX_NEW_TOKENS = 4096
DEFAULT_MAX_TOKENS = 64
NUMBER = re.compile(
    r"[-+]?(?:(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
)
_KNOWN_FIELDS = ("id", "prompt", "answer", "grader", "stop", "max_tokens", "guess_rate")


class TaskFileError(ValueError):
    """A task file cannot be used; the message names the source, the line and the remedy."""


@dataclass(frozen=True)
class InstanceSpec:
    """One instance of a task.

    id: unique in its task.
    prompt: the text that the model continues.
    answer: the reference; the pattern for the grader ``regex``.
    grader: one of GRADERS.
    stop: strings that end the answer; () means that only an end-of-sequence token or max_tokens ends it.
    max_tokens: longest answer, in tokens.
    guess_rate: pass probability of guessing, in [0, 1), or None.
    extra: other fields of the line, kept as they are.
    """

    id: str
    prompt: str
    answer: str
    grader: str
    stop: tuple[str, ...] = ()
    max_tokens: int = DEFAULT_MAX_TOKENS
    guess_rate: float | None = None
    extra: dict[str, Any] = field(default_factory=dict, hash=False)


def read_task_file(path: str | Path) -> list[InstanceSpec]:
    """Read a whole task file.

    Raises TaskFileError: the file cannot be read, or a line of it is bad.
    """
    try:
        with Path(path).open("rb") as stream:
            return parse_task_lines(_bounded_lines(stream), source=str(path))
    except OSError as error:
        raise TaskFileError(f"{path} cannot be read: {error.strerror}") from error


def parse_task_lines(lines: Iterable[bytes], *, source: str) -> list[InstanceSpec]:
    """Parse encoded lines; blank ones are skipped.

    source: the name that errors carry.

    Raises TaskFileError: the first bad line, by its number (from 1).
    """
    return list(_specs(lines, source))


class StoredTask(Collection[InstanceSpec]):
    """A task file that is read again each time it is gone through, so that it never stands in memory as a whole.

    digest: of all its instances, as `digest` takes it.
    """

    def __init__(self, stream: IO[bytes], *, source: str) -> None:
        """Read it once, to the end. Raises as `parse_task_lines`."""
        self._stream, self._source = stream, source
        self._count, total = 0, hashlib.sha256()
        for spec in self:
            total.update(_canonical(spec))
            self._count += 1
        self.digest = f"sha256:{total.hexdigest()}"

    def __iter__(self) -> Iterator[InstanceSpec]:
        self._stream.seek(0)
        return _specs(_bounded_lines(self._stream), self._source)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, spec: object) -> bool:
        return any(spec == each for each in self)


def _specs(lines: Iterable[bytes], source: str) -> Iterator[InstanceSpec]:
    line_of: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        where = f"{source}, line {number}"
        if len(line) > MAX_LINE_BYTES:
            raise TaskFileError(
                f"{where}: more than {MAX_LINE_BYTES:,} bytes; shorten the prompt or split the instance"
            )
        if not line.strip():
            continue
        if len(line_of) == MAX_ROWS:
            raise TaskFileError(f"{where}: more than {MAX_ROWS:,} instances; split the task")
        try:
            value = strict_loads(line)
        except StrictJsonError as error:
            raise TaskFileError(f"{where} {error}") from error
        try:
            spec = _instance(value)
        except TaskFileError as error:
            raise TaskFileError(f"{where}: {error}") from error
        if spec.id in line_of:
            raise TaskFileError(
                f"{where}: the id {spec.id!r} already stands on line {line_of[spec.id]}; ids are unique"
            )
        line_of[spec.id] = number
        yield spec
    if not line_of:
        raise TaskFileError(f"{source}: no instances; expected one JSON object a line")


def digest(specs: Iterable[InstanceSpec]) -> str:
    """``sha256:<hex>`` over the canonical JSON of the instances, in their order."""
    if isinstance(specs, StoredTask):
        return specs.digest
    total = hashlib.sha256()
    for spec in specs:
        total.update(_canonical(spec))
    return f"sha256:{total.hexdigest()}"


def _canonical(spec: InstanceSpec) -> bytes:
    return json.dumps(asdict(spec), sort_keys=True, separators=(",", ":")).encode() + b"\n"


def parse_number(text: str) -> float | None:
    """The number that the whole text is (thousands commas, sign, decimals, exponent), or None."""
    text = text.strip().replace("\u2212", "-")
    if not NUMBER.fullmatch(text):
        return None
    value = float(text.replace(",", ""))
    return value if math.isfinite(value) else None


def _bounded_lines(stream: IO[bytes]) -> Iterator[bytes]:
    # readline with a limit: a file that is one endless line must not be read into memory to be refused
    while line := stream.readline(MAX_LINE_BYTES + 1):
        yield line


def _instance(value: object) -> InstanceSpec:
    if not isinstance(value, dict):
        raise TaskFileError(f"expected a JSON object, found {type(value).__name__}")
    identity = _text(value, "id")
    prompt = _text(value, "prompt")
    if len(identity) > MAX_ID_CHARACTERS:
        raise TaskFileError(f"the id has {len(identity)} characters, at most {MAX_ID_CHARACTERS} are kept")
    grader = value.get("grader")
    if grader not in GRADERS:
        raise TaskFileError(f"unknown grader {grader!r}; known: {', '.join(GRADERS)}")
    return InstanceSpec(
        id=identity,
        prompt=prompt,
        answer=_answer(value, grader),
        grader=grader,
        stop=_stop(value.get("stop")),
        max_tokens=_max_tokens(value.get("max_tokens")),
        guess_rate=_guess_rate(value.get("guess_rate")),
        extra={key: item for key, item in value.items() if key not in _KNOWN_FIELDS},
    )


def _text(value: dict[str, Any], key: str) -> str:
    text = value.get(key)
    if text is None:
        raise TaskFileError(f"no {key}")
    if not isinstance(text, str):
        raise TaskFileError(f"{key} is {type(text).__name__}, expected a string")
    if not text:
        raise TaskFileError(f"{key} is empty")
    return text


def _answer(value: dict[str, Any], grader: str) -> str:
    answer = value.get("answer")
    if grader == "numeric" and type(answer) in (int, float):
        answer = repr(answer)
    if answer is None:
        raise TaskFileError(f"no answer, which the grader {grader} needs")
    if not isinstance(answer, str):
        raise TaskFileError(f"answer is {type(answer).__name__}, expected a string")
    if not answer and grader in ("contains", "regex"):
        raise TaskFileError(f"answer is empty, so the grader {grader} would pass every text")
    if grader == "numeric" and parse_number(answer) is None:
        raise TaskFileError(f"answer {answer[:60]!r} is not a number, which the grader numeric needs")
    if grader == "regex":
        try:
            compiled(answer)
        except PatternError as error:
            raise TaskFileError(str(error)) from error
    return answer


def _stop(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or not all(isinstance(stop, str) and stop for stop in stops):
        raise TaskFileError("stop must be a list of strings that are not empty")
    if len(stops) > MAX_STOPS or any(len(stop) > MAX_STOP_CHARACTERS for stop in stops):
        raise TaskFileError(
            f"stop allows at most {MAX_STOPS} strings of at most {MAX_STOP_CHARACTERS} characters"
        )
    return tuple(stops)


def _max_tokens(value: object) -> int:
    if value is None:
        return DEFAULT_MAX_TOKENS
    if type(value) is not int or not 1 <= value <= MAX_NEW_TOKENS:
        raise TaskFileError(f"max_tokens is {value!r}, expected a whole number of 1 to {MAX_NEW_TOKENS}")
    return value


def _guess_rate(value: object) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value < 1:  # type: ignore[operator]
        raise TaskFileError(f"guess_rate is {value!r}, expected a number of at least 0 and below 1")
    return float(value)  # type: ignore[arg-type]
