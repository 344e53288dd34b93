"""What operations share: types of fields, pages behind a cursor, and POSTs that happen once."""

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Annotated, Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Schema
from ninja.errors import HttpError
from pydantic import AfterValidator, ConfigDict, Field

from firstlight.api.models import IdempotentRequest
from firstlight.files.errors import Refused
from firstlight.pages.errors import problem
from firstlight.pages.listing import MAX_ID, row_id
from firstlight.pages.page import json_response
from firstlight.teams.access import id_of, require_some_team, writable_teams
from firstlight.teams.models import Team
from passuntil import PassUntilError
from passuntil.sizes import read_whole_size

MOST_ROWS = 200
KEPT = timedelta(hours=48)


def _storable(text: str) -> str:
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("holds a character that cannot be stored (NUL or a lone surrogate)")
    return text


def _size(value: int | str | None) -> int | None:
    if value is None:
        return None
    try:
        return read_whole_size(str(value), "The size")
    except PassUntilError as error:
        raise ValueError(str(error)) from error


Text = Annotated[str, AfterValidator(_storable)]
Name = Annotated[str, Field(max_length=200), AfterValidator(_storable)]
Id = Annotated[int, Field(ge=1, le=MAX_ID)]
Whole = Annotated[int, Field(ge=0, le=MAX_ID)]
#: A count as people write it: 7B, 7e9, 7000000.
Size = Annotated[int | str, AfterValidator(_size), Field(examples=["7B", 7_000_000_000])]


class Input(Schema):
    """A body; unknown fields are refused, so that a misspelt one is not taken for absent."""

    model_config = ConfigDict(extra="forbid")


class Facts(Schema):
    """An answer: the facts of a page."""

    model_config = ConfigDict(extra="allow")


class Page(Schema):
    """A page of rows, and the cursor of the next one (null on the last page)."""

    items: list[Facts]
    next: str | None


class Problem(Schema):
    """What went wrong, by RFC 9457."""

    type: str
    title: str
    status: int
    detail: str


class Window(Schema):
    """Which page of a list: `cursor` is the `next` of the page before."""

    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 50
    cursor: str | None = None


Where = Query[Window]
_errors = dict.fromkeys((401, 403, 404, 422), Problem)
#: Answers that operations declare.
ONE: dict[int, Any] = {200: Facts, **_errors}
MADE: dict[int, Any] = {201: Facts, **_errors}
MANY: dict[int, Any] = {200: Page, **_errors}
GONE: dict[int, Any] = {204: None, **_errors}


def answer(facts: Any, status: int = 200) -> HttpResponse:
    return json_response(facts, status=status)


def rows_page(
    rows: QuerySet[Any], where: Window, facts: Callable[[Any], dict[str, Any]], *, rising: bool = False
) -> HttpResponse:
    """Rows by id, the newest first unless `rising`: as quick on the last page as on the first."""
    if where.cursor is not None:
        side = "gt" if rising else "lt"
        rows = rows.filter(**{f"pk__{side}": _after(where.cursor)})
    shown = list(rows.order_by("pk" if rising else "-pk")[: where.limit + 1])
    more = len(shown) > where.limit
    shown = shown[: where.limit]
    return answer({"items": [facts(row) for row in shown], "next": _cursor(shown[-1].pk) if more else None})


def _cursor(pk: int) -> str:
    return base64.urlsafe_b64encode(f"id:{pk}".encode()).decode().rstrip("=")


def _after(cursor: str) -> int:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode(
            "ascii"
        )
        kind, _, number = text.partition(":")
        if kind == "id" and (pk := row_id(number)) is not None:
            return pk
    except ValueError:
        pass
    raise HttpError(422, f"This cursor is none of ours: {cursor[:60]!r}. Take the `next` of the page before.")


def team_for(request: HttpRequest, name: str | None) -> Team:
    """The team that a request names, or the only one in which its person may write."""
    require_some_team(request.user)
    teams = writable_teams(request.user)
    if name is not None:
        team = teams.filter(name=name).first()
        if team is None:
            raise Refused(f"No team {name!r} in which you may write: GET /teams lists yours.")
        return team
    first_two = list(teams[:2])
    if len(first_two) != 1:
        raise Refused("You write in several teams: name one in the field team.")
    return first_two[0]


def once(operation: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A POST that happens once for each `Idempotency-Key`, however often it is sent.

    The key is written in the transaction of the change: both stand or neither. Of two requests at once the second
    waits on the key and gets the first one's answer. What was refused is not kept, so it may be tried again.
    """

    @wraps(operation)
    def call(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return operation(request, *args, **kwargs)
        if not 1 <= len(key) <= 200 or not key.isascii() or not key.isprintable():
            raise Refused("An Idempotency-Key has 1 to 200 printable characters: send a UUID, say.")
        content = f"{request.method} {request.get_full_path()}\n".encode() + _body(request)
        digest = hashlib.sha256(content).hexdigest()
        with transaction.atomic():
            try:
                with transaction.atomic():
                    row = IdempotentRequest.objects.create(
                        user_id=id_of(request.user), key=key, digest=digest
                    )
            except IntegrityError:
                return _replayed(request, key, digest)
            made = operation(request, *args, **kwargs)
            facts = json.loads(made.content) if made.content else None
            if isinstance(facts, dict):
                facts = {name: value for name, value in facts.items() if name not in SECRETS}
            row.status, row.answer = made.status_code, facts
            row.save(update_fields=["status", "answer"])
        return made

    return call


#: Fields of answers that are shown once and stored nowhere.
SECRETS = ("token", "link")


def _body(request: HttpRequest) -> bytes:
    if request.FILES or (request.content_type or "").startswith("multipart/"):
        parts = [f"{name}={value}".encode("utf-8", "replace") for name, value in sorted(request.POST.items())]
        for name, file in sorted(request.FILES.items()):
            digest = hashlib.sha256()
            for chunk in file.chunks():  # type: ignore[union-attr]
                digest.update(chunk)
            file.seek(0)  # type: ignore[union-attr]
            parts.append(f"{name}:{digest.hexdigest()}".encode())
        return b"\n".join(parts)
    return request.body


def _replayed(request: HttpRequest, key: str, digest: str) -> HttpResponse:
    row = IdempotentRequest.objects.get(user_id=id_of(request.user), key=key)
    if row.digest != digest:
        return problem(
            422,
            "Key used before",
            f"The Idempotency-Key {key!r} was sent with another request: take a new one.",
        )
    replay = answer(row.answer, row.status) if row.answer is not None else HttpResponse(status=row.status)
    replay["Idempotent-Replayed"] = "true"
    return replay


def forget_old_keys() -> int:
    """Keys of requests that nobody retries any more; the hourly task calls it. Returns how many went."""
    return IdempotentRequest.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]
