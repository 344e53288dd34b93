"""Names of models and tasks: checked once, and found again with a hint where none fits."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from proxy.errors import ProxyError

LONGEST_NAME = 500


def checked_names(kind: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names, stripped. Two that are the same, or the same but for case, are refused."""
    clean: list[str] = []
    seen: dict[str, str] = {}
    for name in names:
        if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME:
            raise ProxyError(f"a {kind} must have a name of 1 to {LONGEST_NAME} characters, not {name!r:.60}")
        if any("\ud800" <= sign <= "\udfff" for sign in name):
            raise ProxyError(
                f"the {kind} {name!r:.60} has half a character in its name, which no file can hold"
            )
        name = name.strip()
        other = seen.get(name.casefold())
        if other == name:
            raise ProxyError(f"{kind} {name!r} is there twice; keep one, or give them different names")
        if other is not None:
            raise ProxyError(
                f"{kind}s {other!r} and {name!r} differ only in case; spell them alike, or give them different names"
            )
        seen[name.casefold()] = name
        clean.append(name)
    if not clean:
        raise ProxyError(f"no {kind}s were given; a score matrix has at least one")
    return tuple(clean)


def places_of(kind: str, asked: Sequence[str], known: Sequence[str]) -> list[int]:
    """Where each name that was asked for stands among the known ones."""
    places = {name: place for place, name in enumerate(known)}
    missing = [name for name in asked if name not in places]
    if missing:
        plain = {name.casefold(): name for name in known}
        near = get_close_matches(str(missing[0]).casefold(), list(plain), n=1)
        hint = f"is {plain[near[0]]!r} meant?" if near else f"there are {', '.join(known[:8])}"
        raise ProxyError(f"no {kind} {missing[0]!r}; {hint}")
    return [places[name] for name in asked]
