"""The API's own description: what every operation says of errors, of who may call it and of what it answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from orchestrator.api.app import create_app
from orchestrator.problems import SCHEMA, problem

OPEN = {
    "/api/v1/scenarios",
    "/api/v1/scenarios/{scenario}",
    "/api/v1/scenarios/{scenario}/plan",
    "/api/v1/login",
    "/callback",
} | {
    "/api/v1/health",
    "/api/v1/deployment",
    "/api/v1/credential-types/{vct}",
}
"""Paths that need no principal."""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        yield None

    return create_app(opened).openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    found = [(path, operation) for path, methods in document["paths"].items() for operation in methods.values()]
    assert len(found) > 15
    return found


def test_openapi__every_operation__errors_are_problems(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        content = operation["responses"]["default"]["content"]
        assert content == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}, path
        assert "422" not in operation["responses"], path
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_openapi__problem__has_the_fields_that_are_described(document: dict[str, Any]) -> None:
    body = orjson.loads(problem(422, errors=[{"field": "a", "detail": "b", "detail_en": "c", "remedy": "d"}]).body)
    assert document["components"]["schemas"]["Problem"] == SCHEMA
    assert set(body) == set(SCHEMA["required"]) == set(SCHEMA["properties"])
    assert set(body["errors"][0]) == set(SCHEMA["properties"]["errors"]["items"]["required"])


def test_openapi__operations_of_principals__bearer_or_session(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        expected: Any = None if path in OPEN else [{"bearer": []}, {"session": []}]
        assert operation.get("security") == expected, path
    schemes = document["components"]["securitySchemes"]
    assert (schemes["bearer"]["scheme"], schemes["session"]["in"]) == ("bearer", "cookie")


def test_openapi__events__server_sent(document: dict[str, Any]) -> None:
    events = document["paths"]["/api/v1/cases/{case}/events"]["get"]
    assert list(events["responses"]["200"]["content"]) == ["text/event-stream"]


def test_openapi__whatever_opens_an_authorisation__takes_an_idempotency_key(document: dict[str, Any]) -> None:
    for path in ("/api/v1/applications", "/api/v1/cases/{case}/amendments", "/api/v1/cases/{case}/withdrawals"):
        names = {parameter["name"] for parameter in document["paths"][path]["post"]["parameters"]}
        assert "idempotency-key" in names, path
