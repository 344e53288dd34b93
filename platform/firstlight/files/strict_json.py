"""JSON from strangers: what `json.loads` lets through and a database or a reader later trips over.

Plain `json.loads` takes NaN and 1e999, keeps the last of two equal keys, answers deep nesting with a
RecursionError, and returns lone surrogates and NUL characters that fail only when the text is stored. Here
each is one clear error.
"""

from __future__ import annotations

import json
import math
from typing import Any


class StrictJsonError(ValueError):
    """The text is not JSON that may be kept; the message says why in a few words."""


def strict_loads(data: bytes, *, check_text: bool = True) -> Any:
    """Parse UTF-8 JSON, refusing what plain `json.loads` silently accepts.

    data: the encoded document; the caller has capped its size.
    check_text: also refuse NUL characters and lone surrogates in keys and strings.

    Raises StrictJsonError: not UTF-8, not JSON, NaN, Infinity, a number too large, a key twice, nested deeply.
    """
    try:
        value = json.loads(
            data.decode("utf-8-sig"),
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
            object_pairs_hook=_unique_keys,
        )
        if check_text:
            _refuse_bad_text(value)
    except UnicodeDecodeError as error:
        raise StrictJsonError(f"is not UTF-8 (byte {error.start})") from error
    except RecursionError as error:
        raise StrictJsonError("is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise StrictJsonError(f"is not JSON: {error.msg} at column {error.colno}") from error
    except StrictJsonError:
        raise
    except ValueError as error:  # an integer of more digits than Python converts
        raise StrictJsonError("has a number too long to read") from error
    return value


def _refuse_constant(name: str) -> float:
    raise StrictJsonError(f"has the constant {name}, which is not JSON")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise StrictJsonError(f"has the number {text[:40]}, too large to hold")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise StrictJsonError(f"has the key {key[:80]!r} twice in one object")
            seen.add(key)
    return result


def _refuse_bad_text(value: Any) -> None:
    if isinstance(value, str):
        if "\x00" in value:
            raise StrictJsonError("has a NUL character")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise StrictJsonError("has a lone surrogate, which is not text") from error
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_bad_text(key)
            _refuse_bad_text(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_bad_text(item)
