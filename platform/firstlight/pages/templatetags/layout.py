"""The pieces that pages are built of. The markup of each stands once, in templates/parts/."""

from collections.abc import Iterable, Sequence
from typing import Any

from django import template
from django.db.models import Model
from django.forms import BoundField
from django.template import Context
from django.template.base import NodeList, Parser, Token
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

register = template.Library()

_SECTIONS = {
    "checkpoint": "series",
    "configuration": "configurations",
    "curve": "forecasts",
    "forecast": "forecasts",
}


@register.filter
def section(url_name: str) -> str:
    """Which entry of the navigation an address belongs to."""
    first = url_name.split("-")[0]
    return _SECTIONS.get(first, {"task": "tasks", "run": "runs"}.get(first, first))


@register.simple_tag(takes_context=True)
def address(context: Context, **changes: Any) -> str:
    """This page with some parameters of its query changed; None or "" takes one out.

    A fragment that is fetched by itself names its page in `page_path`.
    """
    query = context["request"].GET.copy()
    for name, value in changes.items():
        query.pop(name, None)
        if value not in (None, ""):
            query[name] = str(value)
    path = context.get("page_path", "")
    return f"{path}?{query.urlencode()}" if query else path or "?"


class TableNode(template.Node):
    def __init__(self, head: NodeList, rows: NodeList) -> None:
        self.head, self.rows = head, rows

    def render(self, context: Context) -> SafeString:
        parts = {"head": self.head.render(context), "rows": self.rows.render(context)}
        return render_to_string("parts/table.html", parts)


@register.tag
def table(parser: Parser, token: Token) -> TableNode:
    """{% table %} columns {% rows %} rows {% endtable %}"""
    head = parser.parse(("rows",))
    parser.delete_first_token()
    rows = parser.parse(("endtable",))
    parser.delete_first_token()
    return TableNode(head, rows)


@register.inclusion_tag("parts/column.html", takes_context=True)
def column(
    context: Context, label: str, *, sort: str = "", number: bool = False, hint: str = ""
) -> dict[str, Any]:
    """The head of a column. With `sort` it is a link: a second click turns the order round."""
    facts = {"label": label, "number": number, "hint": hint}
    if not sort:
        return facts
    current, falling = context["sort"], context["falling"]
    if current.removeprefix("-") != sort:
        return facts | {"address": address(context, sort=sort, after=None)}
    turned = sort if current.startswith("-") else f"-{sort}"
    return facts | {
        "address": address(context, sort=turned, after=None),
        "direction": "descending" if falling else "ascending",
    }


@register.inclusion_tag("parts/tabs.html", takes_context=True)
def tabs(
    context: Context,
    label: str,
    name: str,
    choices: Iterable[tuple[str, str]],
    *,
    current: str,
    anchor: str = "",
    **kept: Any,
) -> dict[str, Any]:
    """Choices of one parameter of the query as links, all of them first."""
    entries = [("", "All"), *choices]
    return {
        "label": label,
        "tabs": [
            {
                "label": word,
                "current": value == (current or ""),
                "address": f"{address(context, **{name: value, 'after': None}, **kept)}{anchor}",
            }
            for value, word in entries
        ],
    }


@register.simple_block_tag(takes_context=True)
def filters(context: Context, content: str, label: str, button: str = "Filter") -> SafeString:
    """A bar of choices that narrow a list; the order of the list stays."""
    sort = context["request"].GET.get("sort", "")
    facts = {"content": content, "label": label, "button": button, "sort": sort}
    return render_to_string("parts/filters.html", facts)


@register.inclusion_tag("parts/choice.html")
def choice(
    label: str, name: str, choices: Iterable[Any], *, chosen: Any = None, nothing: str = "any"
) -> dict[str, Any]:
    """One choice of a bar of filters, among pairs of value and word or among rows of the database."""
    pairs: Sequence[tuple[Any, Any]] = [(c.pk, c) if isinstance(c, Model) else c for c in choices]
    return {"label": label, "name": name, "choices": pairs, "chosen": chosen, "nothing": nothing}


@register.simple_block_tag
def empty_state(content: str, title: str, *, url: str = "", action: str = "") -> SafeString:
    """What stands where a list would: why it is empty, and with an address the next step."""
    facts = {"content": content, "title": title, "url": url, "action": action}
    return render_to_string("parts/empty.html", facts)


@register.inclusion_tag("parts/field.html")
def field(bound: BoundField, *, required: bool = False) -> dict[str, Any]:
    """A field of a form with its label, help and errors; `required` where only the page knows that it is."""
    return {"field": bound, "optional": not (required or bound.field.required)}


@register.inclusion_tag("parts/post_button.html", takes_context=True)
def post_button(
    context: Context, label: str, url: str, *, style: str = "btn-plain", id: str = "", **values: Any
) -> dict[str, Any]:
    """A button that changes something: a form of its own, with these values in hidden fields."""
    return {"label": label, "url": url, "style": style, "id": id, "values": values}
