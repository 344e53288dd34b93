"""Patterns of the grader `regex`: Python's syntax and meaning, matched by RE2 in time linear in the text.

Python's own matcher backtracks, and a pattern such as `(a+)+$` runs for ever on a short text. RE2 never does; what it
has no linear way for (lookaround, backreferences) is refused. Where the two read one spelling differently, the
pattern is rewritten so that it means what it means to Python: classes such as `\\d` know Unicode, `$` also stands
before a newline at the end of the text, and so on. Three meanings are not quite Python's: `\\b` and `\\B` look at ASCII
letters, digits and `_` only; `(?i)` folds case by Unicode's simple rules; a `$` behind which the pattern goes on to
match that last newline (`$\\n`) stands at the very end of the text only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import accumulate

import re2

MAX_CHARACTERS = 1000
#: Python reads groups by recursion, which must not depend on who calls.
MAX_DEPTH = 100
#: For the automata of one pattern, in bytes: some hundred `\w` in a row fit. It bounds the time to compile one, too.
_MEMORY = 8 << 20
#: What Python reads and RE2 does not, by the beginning of RE2's error.
_LACKING = {
    "invalid perl operator: (?=": "lookahead",
    "invalid perl operator: (?!": "lookahead",
    "invalid perl operator: (?<": "lookbehind",
    "invalid perl operator: (?P": "backreferences",
    "invalid perl operator: (?(": "conditional groups",
    "invalid perl operator: (?>": "atomic groups, and needs none: it never backtracks",
    "invalid perl operator: (?#": "comments",
    "invalid perl operator": "flags a, L, u and x",
    "invalid escape sequence": "backreferences",
    "bad repetition operator": "possessive repeats, and needs none: it never backtracks",
    "invalid repetition size": "repeats of more than 1,000",
    "pattern too large": "room for a pattern that repeats so much",
}
_ESCAPE = r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|0[0-7]{0,2}|[1-7][0-7]{2}|.)"
#: Outside of classes: an escape, the opening of a class with a bracket right behind it, a repeat, or a character.
_TOKEN = re.compile(rf"{_ESCAPE}|\[\^?\]?|\{{[0-9]*(?:,[0-9]*)?\}}|.", re.DOTALL)
_CLASS_TOKEN = re.compile(rf"{_ESCAPE}|.", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


class PatternError(ValueError):
    """A pattern that cannot be matched: one line that names it and says why."""


class Pattern:
    """A pattern that can be searched for. Raises PatternError where Python or RE2 cannot read it."""

    def __init__(self, pattern: str) -> None:
        shown = f"pattern {pattern[:60]!r}"
        if len(pattern) > MAX_CHARACTERS:
            raise PatternError(f"{shown} has {len(pattern)} characters, at most {MAX_CHARACTERS} are allowed")
        steps = ((token == "(") - (token == ")") for token, in_class in _tokens(pattern) if not in_class)
        if max(accumulate(steps), default=0) > MAX_DEPTH:
            raise PatternError(f"{shown} is not a valid pattern: it nests more than {MAX_DEPTH} groups")
        try:
            re.compile(pattern)
        except (re.error, OverflowError) as error:
            raise PatternError(f"{shown} is not a valid pattern: {error}") from error
        options = re2.Options()
        options.max_mem, options.log_errors = _MEMORY, False
        try:
            self._compiled = re2.compile("".join(_for_re2(pattern)), options)
        except re2.error as error:
            reason = error.args[0].decode(errors="replace")  # bytes
            known = (words for start, words in _LACKING.items() if reason.startswith(start))
            lacking = next(known, f"reading of it ({reason})")
            raise PatternError(
                f"{shown} cannot be matched: RE2 has no {lacking}; write it without, or use another grader"
            ) from error

    def is_found_in(self, text: str) -> bool:
        """Whether some part of the text matches. Lone surrogates, which are no text, count as U+FFFD."""
        return self._compiled.search(_SURROGATE.sub("\ufffd", text)) is not None


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Pattern:
    """The pattern, kept for the next text. Raises PatternError as `Pattern` does."""
    return Pattern(pattern)


def _tokens(pattern: str) -> Iterator[tuple[str, bool]]:
    """The parts of a pattern that Python reads, and whether each stands in a class (as does what closes it)."""
    place, in_class = 0, False
    while match := (_CLASS_TOKEN if in_class else _TOKEN).match(pattern, place):
        token, place = match.group(), match.end()
        yield token, in_class
        in_class = token != "]" if in_class else token[0] == "["


def _for_re2(pattern: str) -> Iterator[str]:
    """A pattern that Python reads, spelled so that RE2 reads the same."""
    for token, in_class in _tokens(pattern):
        if token[0] == "\\":
            yield _escape(token, in_class=in_class)
        elif in_class:
            yield r"\[" if token == "[" else token  # to RE2 [[:alpha:]] is a named class
        elif token == "$":
            yield r"(?:$|\n\z)"
        elif token[0] == "{" and token not in ("{", "{}"):  # to RE2 {,3} and {01} are no repeats
            low, *high = token[1:-1].split(",")
            yield f"{{{','.join([str(int(low or 0)), *(most and str(int(most)) for most in high)])}}}"
        else:
            yield token


def _escape(token: str, *, in_class: bool) -> str:
    kind = token[1]
    if kind in "dDsSwW":
        # the ranges of \W widen where case is ignored, those of a negated \w do not
        return _ranges(kind) if in_class else f"[{'^' if kind.isupper() else ''}{_ranges(kind.lower())}]"
    if kind == "Z":
        return r"\z"
    if kind in "xuUN" or (kind in "01234567" and len(token) == 4) or kind == "0":
        return rf"\x{{{ord(token.encode().decode('unicode_escape')):X}}}"
    if kind in "123456789":  # RE2 reads \\12 as a character
        raise re2.error(b"invalid escape sequence: " + token.encode())
    if kind == "b" and in_class:
        return r"\x{8}"
    return token if kind.isascii() else kind


@cache
def _ranges(kind: str) -> str:
    """What a class such as `\\w` holds, as the ranges of a class."""
    every = "".join(map(chr, range(0x110000)))
    spans = (match.span() for match in re.finditer(rf"\{kind}+", every))
    return "".join(rf"\x{{{first:X}}}-\x{{{end - 1:X}}}" for first, end in spans)
