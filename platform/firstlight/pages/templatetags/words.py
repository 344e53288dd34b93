"""What the site calls things: states, methods and classes by name, and foreign text shown safely."""

import re
from typing import Any

from django import template
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from firstlight.pages.templatetags.numbers import DASH, short
from passuntil.forecasting import METHODS
from passuntil.growth import CLASSES

register = template.Library()

#: state -> (word, symbol): the symbol and the word say it too, never the colour alone
_STATES = {
    "queued": ("Queued", "○"),
    "running": ("Running", "●"),
    "paused": ("Paused", "‖"),
    "complete": ("Complete", "✓"),
    "partial": ("Partial", "◐"),
    "failed": ("Failed", "✕"),
    "cancelled": ("Cancelled", "⊘"),
    "pending": ("Pending", "○"),
    "done": ("Done", "✓"),
    "quarantined": ("Quarantined", "✕"),
    "planned": ("Planned", "◌"),
    "trained": ("Trained", "✓"),
    "hit": ("Hit", "✓"),
    "miss": ("Miss", "✕"),
    "open": ("Not measured yet", "○"),
    "locked": ("Locked", "◆"),
    "unlocked": ("Not locked", "◇"),
    "passed": ("Pass", "✓"),
    "missed": ("Fail", "✕"),
    "none": ("No forecast", DASH),
}
#: What stands in sentences of the library, which a locked forecast keeps as they were on its day.
_PHRASES = {
    **METHODS,
    "scaling_law": CLASSES["scaling_law"],
    "sub_scaling": CLASSES["sub_scaling"],
    "1 degrees of freedom": "1 degree of freedom",
    "1 instances were not measured on all models and are": "1 instance was not measured on all models and is",
    "1 cells are unfinished; their estimates are": "1 cell is unfinished; its estimate is",
    "1 instances": "1 instance",
    "1 models": "1 model",
}
_PHRASE = re.compile(r"\b(" + "|".join(map(re.escape, _PHRASES)) + r")\b")
_EXPONENT = re.compile(r"\b\d+(?:\.\d+)?e[+-]?\d+\b")


@register.filter
def method_name(key: str) -> str:
    """dataset_ols -> line through task means (OLS)"""
    return METHODS.get(key, key) or DASH


@register.filter
def growth_name(key: str) -> str:
    """sub_scaling -> below the law (sub-scaling)"""
    return CLASSES.get(key, key)


@register.filter
def told(sentence: str) -> str:
    """A sentence of the library as a page says it: keys by name, 5.938e+04 as 59.4k, a capital and a full stop."""
    words = _EXPONENT.sub(lambda match: short(match.group()), str(sentence))
    words = _PHRASE.sub(lambda match: _PHRASES[match.group()], words).strip()
    if not words:
        return ""
    return words[0].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")


@register.filter
def digest(value: str) -> str:
    """sha256:0123456789abcdef... -> 01234567"""
    return value.removeprefix("sha256:")[:8] if value else DASH


@register.filter
def state(value: str) -> SafeString:
    """A badge: symbol and word, and a colour besides."""
    word, symbol = _STATES.get(value, (value, "•"))
    return format_html(
        '<span class="state state-{}"><span aria-hidden="true">{}</span> {}</span>', value, symbol, word
    )


@register.filter
def state_of(value: bool | None) -> str:
    """A verdict as the name of a state."""
    return "open" if value is None else "hit" if value else "miss"


@register.filter
def visible(text: Any) -> SafeString:
    """Foreign text with its control, bidi and other unseen characters shown as names; line breaks stay."""
    runs: list[tuple[str, str]] = []
    plain = ""
    for character in str(text):
        name = _unseen(character)
        if name is None:
            plain += character
            continue
        runs.append((plain, name))
        plain = "\n" if character == "\n" else ""
    marked = format_html_join(
        "", '{}<span class="unseen" title="a character that cannot be seen">{}</span>', runs
    )
    return mark_safe(marked + conditional_escape(plain))  # both halves are escaped


_NAMES = {"\n": "↵", "\t": "⇥", "\r": "␍"}


def _unseen(character: str) -> str | None:
    if character in _NAMES:
        return _NAMES[character]
    if character.isprintable():
        return None
    return f"U+{ord(character):04X}"
