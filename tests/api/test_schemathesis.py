"""Requests that no person would think of, made from the API's own schema: none may be a fault of the server.

A short form here; `make schemathesis` sends 5,000 a role.
"""

import json
import os
from collections import Counter
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings

from firstlight.api.docs import openapi
from firstlight.teams.tokens import create_token
from tests.api.test_access import operations
from tests.site.conftest import Measured, World, measured, world  # noqa: F401  # fixtures

CASES = int(os.environ.get("FIRSTLIGHT_SCHEMATHESIS", "180"))
ROLES = ("viewer", "mate", "owner", "administrator")


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_no_request_is_a_fault_of_the_server(
    world: World,  # noqa: F811
    measured: Measured,  # noqa: F811
    role: str,
) -> None:
    schema = schemathesis.openapi.from_dict(openapi())
    _, text = create_token(User.objects.get(username=role), name="x", scope="manage", days=1)
    client = Client(raise_request_exception=False)
    per_operation = max(1, CASES // len(operations()))
    faults: list[str] = []
    seen: Counter[int] = Counter()

    def send(case: Any) -> None:
        asked = case.as_transport_kwargs(base_url="http://testserver")
        body: Any = asked.get("data") or b""
        headers = {str(k): str(v) for k, v in (asked.get("headers") or {}).items()}
        if asked.get("json") is not None or "json" in asked:
            body = json.dumps(asked["json"])
            headers["Content-Type"] = "application/json"
        kind = headers.pop("Content-Type", "application/json")
        headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        headers |= {"Authorization": f"Bearer {text}"}
        if not isinstance(body, bytes | str):
            body = b""
        path = case.formatted_path
        try:
            headers = {k: v for k, v in headers.items() if v.isascii() and v.isprintable()}
            with transaction.atomic():  # undone, so that one request does not take away what others need
                answer = client.generic(
                    case.method, path, body, content_type=kind, headers=headers, query_params=case.query or {}
                )
                transaction.set_rollback(True)
        except UnicodeEncodeError:  # no client sends such an address
            return
        seen[answer.status_code] += 1
        if answer.status_code >= 500:
            faults.append(f"{case.method} {path} {case.query} {str(body)[:300]}: {answer.status_code}")

    for result in schema.get_all_operations():
        operation = result.ok()

        @given(case=operation.as_strategy())
        @settings(
            max_examples=per_operation,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def attack(case: Any) -> None:
            send(case)

        attack()
    print(role, dict(seen))  # noqa: T201
    assert seen[200] > 0
    assert seen[401] == 0
    assert not faults, "\n".join(sorted(set(faults))[:20])
