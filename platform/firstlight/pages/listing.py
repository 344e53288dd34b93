"""Long lists: sorted rows behind a key, so that the last page is as quick as the first."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from firstlight.teams.access import visible

ROWS = 50
MAX_ID = 2**63 - 1


@dataclass(frozen=True)
class Listing:
    """One page of rows. `next` is the id to ask for with `?after=`, or None on the last page."""

    rows: list[Any]
    sort: str
    falling: bool
    next: int | None

    def facts(self) -> dict[str, Any]:
        return {
            "sort": self.sort,
            "falling": self.falling,
            "next_after": self.next,
            "rows_a_page": ROWS,
        }


def keyset(request: HttpRequest, rows: QuerySet[Any], sorts: Mapping[str, str], *, default: str) -> Listing:
    """Sorted rows behind `?after=ID`: as quick on the last page as on the first.

    `sorts` maps the word in the URL to one column that is never null, with `-` in front for falling order;
    a `-` in front of the word turns that order round.
    """
    word = request.GET.get("sort", default)
    word = word if word.removeprefix("-") in sorts else default
    order = sorts[word.removeprefix("-")]
    column = order.removeprefix("-")
    falling = order.startswith("-") != word.startswith("-")
    rows = rows.order_by(f"-{column}" if falling else column, "-id" if falling else "id")
    after = whole_parameter(request, "after")
    if after is not None:
        edge = visible(rows.model, request.user).filter(pk=after).values_list(column, flat=True).first()
        if edge is not None:
            side = "lt" if falling else "gt"
            rows = rows.filter(Q(**{f"{column}__{side}": edge}) | Q(**{column: edge, f"id__{side}": after}))
    shown = list(rows[: ROWS + 1])
    return Listing(shown[:ROWS], word, falling, shown[ROWS - 1].pk if len(shown) > ROWS else None)


def whole_parameter(request: HttpRequest, name: str) -> int | None:
    """A row id from the query; None where it is absent or no id (state in a URL is never an error page)."""
    return row_id(request.GET.get(name, ""))


def whole_parameters(request: HttpRequest, name: str) -> list[int]:
    """All row ids of that name in the query; what is no id is left aside."""
    return row_ids(request.GET.getlist(name)[:500])


def row_ids(texts: Iterable[str]) -> list[int]:
    """The row ids among some texts, in their order."""
    return [value for value in map(row_id, texts) if value is not None]


def row_id(text: str) -> int | None:
    """A row id as somebody sent it; None where it is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return None
    value = int(text)
    return value if value <= MAX_ID else None
