"""Names and reasons that people write: what can be kept and shown."""

from firstlight.files.errors import Refused

MOST_NAME, MOST_REASON = 120, 300


def checked_name(kind: str, name: str, *, most: int = MOST_NAME) -> str:
    """The name of a thing of this kind, trimmed; raises Refused where it is empty, too long or cannot be shown."""
    name = name.strip()
    if not name or len(name) > most or not name.isprintable():
        raise Refused(
            f"The name of a {kind} must have 1 to {most} printable characters, not {name[: most + 10]!r}."
        )
    return name


def checked_reason(reason: str) -> str:
    """A reason, trimmed; it may be empty, which takes back what the one before said."""
    reason = reason.strip()
    if len(reason) > MOST_REASON:
        raise Refused(f"A reason may have at most {MOST_REASON} characters, not {len(reason)}: shorten it.")
    return reason
