"""The one door for endpoints: administrators' rows, and the checkpoints that are models behind them."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction

from firstlight.files.addresses import AddressError, EndpointAddress, parse_base_url, resolve
from firstlight.files.errors import Refused
from firstlight.registry.locations import resolve_location
from firstlight.registry.models import Checkpoint, Endpoint
from firstlight.teams.access import User, record, require_administrator

MOST_PARALLEL = 256
MOST_MODELS = 100
MODEL_CHARACTERS = 200
#: A variable of another name may hold another secret of this installation, and a key is sent to the endpoint.
KEY_PREFIX = "FIRSTLIGHT_ENDPOINT_KEY_"
_KEY_VARIABLE = re.compile(KEY_PREFIX + "[A-Z0-9_]{1,60}")


def save_endpoint(
    actor: User,
    endpoint: Endpoint | None = None,
    *,
    name: str,
    base_url: str,
    served: Sequence[str],
    key_variable: str = "",
    parallel: int = 8,
    allow_private: bool = False,
    enabled: bool = True,
) -> Endpoint:
    """A new row, or a change of one. The address is resolved and judged now, and again at every connection.

    Raises PermissionDenied: the person is no administrator.
    Raises Refused: a value that cannot be, named.
    """
    require_administrator(actor)
    name = name.strip()
    if not name or len(name) > 60 or not name.isprintable():
        raise Refused(f"the name of an endpoint has 1 to 60 printable characters, not {name[:70]!r}.")
    if key_variable and not _KEY_VARIABLE.fullmatch(key_variable):
        raise Refused(
            f"a key is named by its environment variable, {KEY_PREFIX} and capital letters, digits or _, "
            "and never written here: set the variable where the workers run."
        )
    if not 1 <= parallel <= MOST_PARALLEL:
        raise Refused(f"requests at once must lie in 1 to {MOST_PARALLEL}, not {parallel}.")
    try:
        base_url = parse_base_url(base_url.strip())
        if enabled:
            resolve(base_url, allow_private=allow_private)
    except AddressError as error:
        raise Refused(f"{error}.") from error
    if key_variable and base_url.startswith("http:") and not allow_private:
        raise Refused(
            "a key goes over https only: write https://, or allow private addresses for this endpoint."
        )
    row = endpoint or Endpoint()
    row.name, row.base_url, row.served = name, base_url, _model_names(served)
    row.key_variable, row.parallel = key_variable, parallel
    row.allow_private, row.enabled = allow_private, enabled
    try:
        with transaction.atomic():
            row.save()
            record(
                actor,
                None,
                "changed endpoint" if endpoint else "created endpoint",
                row,
                base_url=base_url,
                served=row.served,
                enabled=enabled,
                allow_private=allow_private,
            )
    except IntegrityError as error:
        raise Refused(f"there is an endpoint named {name!r} already: choose another name.") from error
    return row


def served_models() -> list[str]:
    """Names of all models that an enabled endpoint serves."""
    rows = Endpoint.objects.filter(enabled=True).values_list("served", flat=True)
    return sorted({name for names in rows for name in names})


def addresses_of(model: str) -> list[EndpointAddress]:
    """How workers reach the enabled endpoints that serve a model; keys come from their environment.

    Raises Refused: there is none, or the variable of a key is not set.
    """
    addresses = []
    for row in Endpoint.objects.filter(enabled=True).order_by("id"):
        if model not in row.served:
            continue
        key = os.environ.get(row.key_variable, "") if row.key_variable else ""
        if row.key_variable and not (key and key.isascii() and key.isprintable()):
            raise Refused(
                f"endpoint {row} needs a key: set {row.key_variable} in the environment of the workers "
                "(printable characters without a line break)."
            )
        addresses.append(EndpointAddress(row.name, row.base_url, key, row.parallel, row.allow_private))
    if not addresses:
        raise Refused(f"no enabled endpoint serves {model!r}: ask an administrator to add or enable one.")
    return addresses


def engine_arguments(checkpoint: Checkpoint) -> tuple[str | Path, dict[str, Any]]:
    """What an engine is opened with: the folder, or the model's name with its endpoints and its tokenizer's folder.

    Raises Refused: the folder is gone or outside of the allowed roots, or no endpoint serves the model.
    """
    if not checkpoint.served_model:
        return resolve_location(checkpoint.location), {}
    tokenizer = resolve_location(checkpoint.tokenizer) if checkpoint.tokenizer else None
    return checkpoint.served_model, {
        "endpoints": tuple(addresses_of(checkpoint.served_model)),
        "tokenizer": tokenizer,
    }


def check_tokenizer(folder: str) -> str:
    """The folder of a served model's tokenizer, resolved; "" stays "".

    Raises Refused: it is not below the allowed roots, or a file is missing.
    """
    if not folder:
        return ""
    path = resolve_location(folder)
    for name in ("tokenizer.json", "config.json"):
        if not (path / name).is_file():
            raise Refused(
                f"{path} has no {name}: name the folder of the served model, weights are not needed."
            )
    return str(path)


def _model_names(served: Sequence[str]) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in served if name.strip()))
    if not 1 <= len(names) <= MOST_MODELS:
        raise Refused(f"an endpoint serves 1 to {MOST_MODELS} models, not {len(names)}: name one a line.")
    for name in names:
        if len(name) > MODEL_CHARACTERS or not name.isprintable():
            raise Refused(
                f"a model's name has at most {MODEL_CHARACTERS} printable characters, not {name[:80]!r}."
            )
    return names
