"""Problem details: what each kind of error looks like from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, field_validator

from orchestrator.domain.errors import Diverged, Invalid, LianbanError, Refused, Unavailable
from orchestrator.problems import install

pytestmark = pytest.mark.anyio

SECRET = "110199198806120116"
JSON = {"content-type": "application/json"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Body(BaseModel):
    """A body whose validator quotes what was sent, as careless ones do."""

    model_config = ConfigDict(extra="forbid")

    number: str

    @field_validator("number")
    @classmethod
    def right(cls, value: str) -> str:
        if value == SECRET:
            raise ValueError(f"bad number {value}")
        return value


def application() -> FastAPI:
    app = FastAPI()
    install(app, body_limit=100)
    errors: dict[str, Exception] = {
        "invalid": Invalid(field="a.b", detail="错", detail_en="wrong", remedy="改"),
        "refused": Refused("不行", detail_en="no", code="bad-signature"),
        "missing": Refused("没有", code="not-found"),
        "replayed": Refused("重复", code="replayed"),
        "down": Unavailable("停机", code="records-down"),
        "diverged": Diverged("不一致"),
        "bug": RuntimeError(SECRET),
        "plain": LianbanError("?"),
    }

    @app.get("/raise/{kind}")
    async def fail(kind: str) -> None:
        raise errors[kind]

    @app.post("/body")
    async def body(body: Body) -> dict[str, str]:
        return {"number": body.number}

    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=application(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=JSON) as client:
        yield client


def checked(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["code"] == code
    assert body["title"]
    assert body["title_en"]
    assert SECRET not in response.text
    return dict(body)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("invalid", 422, "invalid"),
        ("refused", 403, "bad-signature"),
        ("missing", 404, "not-found"),
        ("replayed", 409, "replayed"),
        ("down", 503, "records-down"),
        ("diverged", 503, "error"),
        ("bug", 500, "internal"),
    ],
)
async def test_install__error_raised__problem_of_its_kind(
    client: httpx.AsyncClient, kind: str, status: int, code: str
) -> None:
    checked(await client.get(f"/raise/{kind}"), status, code)


async def test_install__invalid__names_field_and_remedy(client: httpx.AsyncClient) -> None:
    body = (await client.get("/raise/invalid")).json()
    assert body["errors"] == [{"field": "a.b", "detail": "错", "detail_en": "wrong", "remedy": "改"}]


async def test_install__unknown_path_or_method__problem(client: httpx.AsyncClient) -> None:
    checked(await client.get("/nowhere"), 404, "404")
    assert "allow" in (await client.get("/body")).headers
    checked(await client.get("/body"), 405, "405")


async def test_install__broken_json__400(client: httpx.AsyncClient) -> None:
    checked(await client.post("/body", content=b'{"number": '), 400, "broken-json")


async def test_install__wrong_shape__422_names_fields_without_values(client: httpx.AsyncClient) -> None:
    assert (
        checked(await client.post("/body", json={"number": SECRET}), 422, "invalid")["errors"][0]["field"] == "number"
    )
    assert checked(await client.post("/body", json={}), 422, "invalid")["errors"][0]["field"] == "number"


async def test_install__body_over_limit__413(client: httpx.AsyncClient) -> None:
    checked(await client.post("/body", content=b'{"number": "' + b"1" * 200 + b'"}'), 413, "too-large")


async def test_install__chunked_body_over_limit__413(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 20

    checked(await client.post("/body", content=chunks()), 413, "too-large")


async def test_install__chunked_body_under_limit__read_whole(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"number":'
        yield b'"1"}'

    response = await client.post("/body", content=chunks())
    assert response.json() == {"number": "1"}


async def test_install__plain_error__500(client: httpx.AsyncClient) -> None:
    checked(await client.get("/raise/plain"), 500, "error")
