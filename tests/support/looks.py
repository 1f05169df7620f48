"""Asking a gateway, as the identity seat, who asked about somebody; delivering a withdrawal to it."""

from __future__ import annotations

from typing import Any

import httpx

from orchestrator.protocol.access import Statement, Told, read_statement, sign_access
from orchestrator.protocol.mandate import Subject
from orchestrator.protocol.notice import Acknowledgement
from orchestrator.protocol.question import sign_request
from tests.support.consortium import Consortium
from tests.support.gateway import Gateway


async def call(gateway: Gateway, path: str, body: Any) -> httpx.Response:
    """A bare request to one of a gateway's seats."""
    transport = httpx.ASGITransport(app=gateway.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as http:
        return await http.post(path, json=body)


def access(consortium: Consortium, seat: int, kind: str, identifier: str, **changes: Any) -> tuple[str, Subject]:
    """A signed access request about an identifier, and the subject with the salt of this request."""
    subject = Subject.new(type=kind, id=identifier, name="")
    identity = consortium.binding.identity
    options: dict[str, Any] = {"key": consortium.keys[identity].identity, "iss": identity, "aud": seat} | changes
    return sign_access(subject, consortium.seat(seat).keyset.key("sealing"), **options), subject


async def told(
    consortium: Consortium, gateway: Gateway, seat: int, identifier: str, *, kind: str = "citizen", **changes: Any
) -> tuple[Statement, Told]:
    """What a seat tells about an identifier."""
    request, _ = access(consortium, seat, kind, identifier, **changes)
    answer = await call(gateway, f"/{consortium.seat(seat).keyset.id}/looks", {"request": request})
    assert answer.status_code == 200, answer.text
    found = Told.model_validate_json(answer.content)
    return read_statement(found.statement, consortium.seat(seat).keyset.key("evidence")), found


async def latest(consortium: Consortium, gateway: Gateway, asker: int, seat: int, questions: list[str]) -> list[Any]:
    """The newest answers that a seat hands out to an asker."""
    request = sign_request({"questions": questions}, "request", key=consortium.keys[asker].request, iss=asker, aud=seat)
    answer = await call(gateway, f"/{consortium.seat(seat).keyset.id}/answers/latest", {"request": request})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["answers"])


async def deliver(consortium: Consortium, gateway: Gateway, seat: int, jws: str) -> Acknowledgement:
    """Delivers a mandate to a seat, which acknowledges it."""
    answer = await call(gateway, f"/{consortium.seat(seat).keyset.id}/mandates", {"mandate": jws})
    assert answer.status_code == 200, answer.text
    return Acknowledgement.model_validate_json(answer.content)
