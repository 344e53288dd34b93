"""The page that describes the API, made from its schema; it works without any other host."""

import json
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from firstlight.api import routes  # noqa: F401  # the operations
from firstlight.api.site import api


@login_not_required
def docs(request: HttpRequest) -> HttpResponse:
    origin = request.build_absolute_uri("/").rstrip("/")
    groups: dict[str, list[dict[str, Any]]] = {}
    schema = openapi()
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {})
            groups.setdefault(operation["tags"][0], []).append(
                {
                    "method": method.upper(),
                    "path": path,
                    "id": operation["operationId"],
                    "summary": operation["summary"],
                    "parameters": operation.get("parameters", []),
                    "fields": _fields(body, schema),
                }
            )
    return render(request, "api/docs.html", {"groups": groups, "origin": origin})


def openapi() -> dict[str, Any]:
    """The schema, as the snapshot in docs/openapi.json has it."""
    schema: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema(path_prefix="/api/v1/")))
    return schema


def _fields(body: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Fields of a body: name, whether it must be there, what it holds."""
    content = next(iter(body.values()), None)
    if content is None:
        return []
    described = content["schema"]
    if "$ref" in described:
        described = schema["components"]["schemas"][described["$ref"].rpartition("/")[2]]
    required = described.get("required", [])
    return [
        {"name": name, "required": name in required, "about": about.get("description", "")}
        for name, about in described.get("properties", {}).items()
    ]
