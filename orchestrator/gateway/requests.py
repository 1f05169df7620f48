"""Signed requests to a seat: who asks, that it is meant for this seat, in time, and only once.

A request with a body travels as `{"request": jws, "body": {...}}`; the JWS (kind as its `typ` says, by the asker's request
key) holds `iss, aud, jti, iat, exp` and `body`, the SHA-256 of the canonical body.
"""

from __future__ import annotations

import time
from typing import Any

from pydantic import BaseModel, ConfigDict

from orchestrator.domain.canonical import canonical, to_hex
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.suite import hash_of
from orchestrator.gateway.seat import Seat
from orchestrator.protocol.ports import ChainView, SeatView, seat_knowing
from orchestrator.protocol.question import issuer_of, read_request


class SignedRequest(BaseModel):
    """A request that says everything in its JWS."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    request: str


class SignedBody(SignedRequest):
    """A request with a body beside its JWS."""

    body: dict[str, Any]


async def asker_of(jws: str, seat: Seat, chain: ChainView) -> SeatView:
    """The seat that a request says it is from, active or not. Raises Refused (code `unknown-asker`) when there is none."""
    try:
        return await chain.seat(issuer_of(jws))
    except Invalid as error:
        raise Refused(
            "请求方不是成员席位", detail_en="the asker is no seat of the consortium", code="unknown-asker"
        ) from error


def require_active(asker: SeatView) -> None:
    """Raises Refused (code `asker-suspended`) for a seat that is suspended or removed."""
    if not asker.active:
        raise Refused("请求方席位已停用", detail_en="the asker's seat is not active", code="asker-suspended")


async def read_signed(
    request: SignedRequest, kind: str, seat: Seat, chain: ChainView
) -> tuple[SeatView, dict[str, Any]]:
    """Asker and payload of a request of `kind` to this seat, used up by this.

    Raises Refused: `unknown-asker`, `asker-suspended`, `replayed`, and as `read_request`.
    """
    asker = await asker_of(request.request, seat, chain)
    asker = await seat_knowing(chain, asker, "request", [request.request])
    key = asker.key_of("request", request.request)
    payload = read_request(request.request, kind, audience=seat.number, now=int(time.time()), jwk=key)
    require_active(asker)
    if isinstance(request, SignedBody) and payload.get("body") != _hash(request.body):
        raise Refused("请求体与签名不符", detail_en="the body is not the one that was signed", code="bad-signature")
    await seat.store.use_nonce(asker.number, str(payload["jti"]), int(payload["exp"]))
    return asker, payload


def _hash(body: dict[str, Any]) -> str | None:
    """The hash of a body; None for numbers that canonical JSON cannot say exactly."""
    try:
        return to_hex(hash_of(canonical(body)))
    except ValueError:
        return None
