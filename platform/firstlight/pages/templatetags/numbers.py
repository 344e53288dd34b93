"""How numbers, times, states and foreign text look on every page."""

import math
from datetime import UTC, datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
DASH = "–"
_DIGITS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

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


@register.filter
def number(value: Any) -> str:
    """1234567 -> 1,234,567"""
    if value is None or value == "":
        return DASH
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


@register.filter
def short(value: Any) -> str:
    """4605184 -> 4.61M; three digits that count."""
    if value is None or value == "":
        return DASH
    size = float(value)
    for unit, power in (
        ("Q", 30),
        ("R", 27),
        ("Y", 24),
        ("Z", 21),
        ("E", 18),
        ("P", 15),
        ("T", 12),
        ("B", 9),
    ):
        if abs(size) >= 10**power:
            return f"{size / 10**power:.3g}{unit}" if power < 15 else scientific(size)
    for unit, power in (("M", 6), ("k", 3)):
        if abs(size) >= 10**power:
            return f"{size / 10**power:.3g}{unit}"
    return f"{size:.3g}"


def scientific(value: float) -> str:
    """3.2e-05 -> 3.20 × 10⁻⁵"""
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(_DIGITS)}"


@register.filter
def flops(value: Any) -> str:
    return DASH if value is None else scientific(float(value))


@register.filter
def pu(value: Any) -> str:
    """A pass probability with three digits that count, however small."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return DASH
    value = float(value)
    if value == 0 or value >= 0.001:
        return f"{value:.3g}" if value < 0.9995 else f"{value:.4g}"
    return scientific(value)


@register.filter
def interval(value: Any) -> str:
    """Anything with low and high -> low – high"""
    low, high = (value.get("low"), value.get("high")) if isinstance(value, dict) else (value.low, value.high)
    return DASH if low is None or high is None else f"{pu(low)} – {pu(high)}"


@register.filter
def percent(value: Any) -> str:
    """0.9 -> 90%"""
    return DASH if value is None else f"{100 * float(value):.3g}%"


@register.filter
def duration(seconds: Any) -> str:
    """200 -> 3 min 20 s"""
    if seconds is None:
        return DASH
    whole = max(round(float(seconds)), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


@register.filter
def since(moment: datetime | None) -> SafeString | str:
    """How long ago, with the exact UTC on hover."""
    if moment is None:
        return DASH
    exact = moment.astimezone(UTC)
    seconds = (timezone.now() - moment).total_seconds()
    if abs(seconds) < 5:
        words = "just now"
    else:
        parts = duration(abs(seconds)).split(" ")
        words = " ".join(parts[:2]) + (" ago" if seconds > 0 else " from now")
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', exact.isoformat(), f"{exact:%Y-%m-%d %H:%M:%S} UTC", words
    )


@register.filter
def utc(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if moment else DASH


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


@register.filter
def state_of(value: bool | None) -> str:
    """A verdict as the name of a state."""
    return "open" if value is None else "hit" if value else "miss"


_SECTIONS = {"checkpoint": "series", "configuration": "series", "curve": "forecasts", "forecast": "forecasts"}


@register.filter
def section(url_name: str) -> str:
    """Which entry of the navigation an address belongs to."""
    first = url_name.split("-")[0]
    return _SECTIONS.get(first, {"task": "tasks", "run": "runs"}.get(first, first))
