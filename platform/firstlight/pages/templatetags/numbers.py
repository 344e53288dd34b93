"""How numbers and times look on every page. No number is shown as 5.938e+04."""

import math
from datetime import UTC, datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()
DASH = "–"
_DIGITS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_UNITS = {0: "", 3: "k", 6: "M", 9: "B", 12: "T"}


def _missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and not math.isfinite(value))


def scientific(value: float) -> str:
    """3.2e-05 -> 3.20 × 10⁻⁵"""
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(_DIGITS)}"


@register.filter
def number(value: Any) -> str:
    """1234567 -> 1,234,567; a fraction keeps six digits that count."""
    if _missing(value):
        return DASH
    if isinstance(value, int):
        return f"{value:,}"
    text = f"{value:,.6g}"
    return scientific(value) if "e" in text else text


@register.filter
def short(value: Any) -> str:
    """4605184 -> 4.61M; three digits that count."""
    if _missing(value):
        return DASH
    mantissa, _, exponent = f"{float(value):.2e}".partition("e")
    power = int(exponent)
    unit = max(power // 3 * 3, 0)
    if power < -4 or unit not in _UNITS:
        return scientific(float(value))
    return f"{float(mantissa) * 10.0 ** (power - unit):.3g}{_UNITS[unit]}"


@register.filter
def size(value: Any) -> SafeString | str:
    """A size as people say it, 4.61M, with the exact number on hover."""
    return DASH if _missing(value) else format_html('<span title="{}">{}</span>', number(value), short(value))


@register.filter
def flops(value: Any) -> str:
    return DASH if value is None else scientific(float(value))


@register.filter
def pu(value: Any) -> str:
    """A pass probability with three digits that count, however small."""
    if _missing(value):
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
    if _missing(value):
        return DASH
    share = 100 * float(value)
    return f"{share:.3g}%" if share < 999.5 else f"{share:,.0f}%"


@register.filter
def duration(seconds: Any) -> str:
    """200 -> 3 min 20 s"""
    if seconds is None:
        return DASH
    whole = max(round(float(seconds)), 0)
    if whole < 60:
        return "under 1 s" if 0 < float(seconds) < 1 else f"{whole} s"
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
