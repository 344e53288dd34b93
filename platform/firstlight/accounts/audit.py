"""The audit log: who changed what, narrowed by filters, and as CSV."""

import json
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse

from firstlight.accounts.forms import AuditForm
from firstlight.pages.exports import csv_answer
from firstlight.pages.listing import ROWS, whole_parameter
from firstlight.pages.page import render_page
from firstlight.teams.access import User, is_administrator, teams_of
from firstlight.teams.models import AuditEvent
from passuntil import PassUntilError, rule_from_dict

#: Rows of one CSV: a longer history is taken in parts, by its dates.
MOST_ROWS = 100_000


def audit_rows(user: User, narrowed: dict[str, Any]) -> QuerySet[AuditEvent]:
    """What a person may see: lines of the person's teams and about oneself; administrators also those of the site."""
    mine = Q(team__in=teams_of(user)) | Q(team=None, actor_id=user.pk)
    rows = AuditEvent.objects.filter(mine | Q(team=None) if is_administrator(user) else mine)
    paths = {
        "team": "team",
        "person": "actor__username__iexact",
        "verb": "verb__icontains",
        "subject": "subject__icontains",
        "since": "at__date__gte",
        "until": "at__date__lte",
    }
    return (
        rows.filter(**{paths[name]: value for name, value in narrowed.items() if value})
        .select_related("actor", "team")
        .order_by("-id")
    )


def audit_log(request: HttpRequest) -> HttpResponse:
    form = AuditForm(request.user, request.GET)
    form.is_valid()
    rows = audit_rows(request.user, form.cleaned_data)
    after = whole_parameter(request, "after")
    if after is not None:
        rows = rows.filter(pk__lt=after)
    shown = list(rows[: ROWS + 1])
    query = request.GET.copy()
    query.pop("after", None)
    data = {
        "events": [event_facts(event) for event in shown[:ROWS]],
        "next_after": shown[ROWS - 1].pk if len(shown) > ROWS else None,
        "rows_a_page": ROWS,
    }
    export = f"{reverse('audit-csv')}?{query.urlencode()}"
    return render_page(request, "accounts/audit_log.html", data, form=form, export=export)


def event_facts(event: AuditEvent) -> dict[str, Any]:
    return {
        "id": event.pk,
        "at": event.at,
        "person": event.actor.get_username() if event.actor else None,
        "team": event.team.name if event.team else None,
        "verb": event.verb,
        "subject": event.subject,
        "detail": _in_words(event.detail),
    }


def _in_words(detail: dict[str, Any]) -> dict[str, Any]:
    """A stopping rule as people say it; the rest as it was recorded."""
    try:
        return detail | {"rule": rule_from_dict(detail["rule"]).words()} if "rule" in detail else detail
    except PassUntilError:
        return detail


def audit_csv(request: HttpRequest) -> StreamingHttpResponse:
    form = AuditForm(request.user, request.GET)
    form.is_valid()
    rows = audit_rows(request.user, form.cleaned_data)[:MOST_ROWS]
    head = ["at", "person", "team", "what", "of what", "detail"]
    return csv_answer("audit.csv", head, (_cells(event) for event in rows.iterator(chunk_size=1000)))


def _cells(event: AuditEvent) -> list[str]:
    facts = event_facts(event)
    return [
        facts["at"].isoformat(),
        facts["person"] or "",
        facts["team"] or "",
        facts["verb"],
        facts["subject"],
        json.dumps(facts["detail"]) if facts["detail"] else "",
    ]
