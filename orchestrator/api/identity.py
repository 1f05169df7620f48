"""The portal as a client of the identity seat: pushed authorization requests, code exchange, id tokens, mandates."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.identity.oidc import CLOCK_SKEW, DETAILS_TYPE, challenge_of, client_assertion
from orchestrator.protocol.jose import verify_jws
from orchestrator.protocol.keyset import SeatKeys
from orchestrator.protocol.ports import ChainView, seat_knowing


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """An authorization request that the identity seat has accepted."""

    authorize_url: str
    """Where the person goes to sign in and agree."""
    state: str
    nonce: str
    code_verifier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What the identity seat gave for a code."""

    subject: str
    """Pairwise: no other client knows the person by it."""
    mandate: str | None
    """The signed mandate, when one was asked for."""
    contest: str | None = None
    """The signed contest, when one was asked for."""


class IdentityClient:
    """Talks to one identity seat, authenticated by our request key (private_key_jwt)."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        issuer: str,
        seat: int,
        client: str,
        redirect_uri: str,
        keys: SeatKeys,
        chain: ChainView,
    ) -> None:
        self._http = http
        self.issuer = issuer
        self.seat = seat
        self._client = client
        self._redirect_uri = redirect_uri
        self._keys = keys
        self._chain = chain

    async def push(self, details: dict[str, Any] | None) -> Pushed:
        """Pushes an authorization request (RFC 9126): a sign-in, or with `details` (RFC 9396) a mandate."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        form = {
            "response_type": "code",
            "redirect_uri": self._redirect_uri,
            "scope": "openid",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        if details is not None:
            form["authorization_details"] = json.dumps([{"type": DETAILS_TYPE, **details}], ensure_ascii=False)
        answer = await self._post("/par", form)
        query = urlencode({"client_id": self._client, "request_uri": answer["request_uri"]})
        return Pushed(
            authorize_url=f"{self.issuer}/authorize?{query}", state=state, nonce=nonce, code_verifier=verifier
        )

    async def exchange(self, code: str, *, code_verifier: str, nonce: str) -> Granted:
        """Exchanges a code. Raises Refused when the identity seat says no or its id token does not hold."""
        answer = await self._post(
            "/token",
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self._redirect_uri,
                "code_verifier": code_verifier,
            },
        )
        seat = await seat_knowing(self._chain, await self._chain.seat(self.seat), "identity", [answer["id_token"]])
        key = seat.key_of("identity", answer["id_token"])
        claims = verify_jws(answer["id_token"], typ="JWT", jwk=key)
        now = time.time()
        audience_fits = claims.get("aud") == self._client and claims.get("iss") == self.issuer
        if not audience_fits or claims.get("nonce") != nonce or claims.get("exp", 0) < now - CLOCK_SKEW:
            raise Refused(
                "登录凭证无效", detail_en="the id token does not hold", code="bad-id-token", remedy="重新登录"
            )
        details = (answer.get("authorization_details") or [{}])[0]
        return Granted(subject=claims["sub"], mandate=details.get("mandate"), contest=details.get("contest"))

    async def put_definition(self, version: str, definition: dict[str, Any], texts: dict[str, Any]) -> None:
        """Gives the identity seat a scenario version's documents; it checks their hashes itself."""
        body = {"definition": definition, "texts": texts}
        try:
            response = await self._http.put(f"{self.issuer}/definitions/{version}", json=body)
        except httpx.HTTPError as error:
            raise _down() from error
        if response.status_code >= 400:
            raise Refused(
                "身份席位未接受场景定义",
                detail_en="the identity seat refused the definition",
                code="definition-refused",
            )

    async def _post(self, path: str, form: dict[str, str]) -> dict[str, Any]:
        self._keys.follow(await self._chain.seat_by_id(self._client))
        signed = form | client_assertion(self._client, self._keys.request, self.issuer, int(time.time()))
        try:
            response = await self._http.post(self.issuer + path, data=signed)
        except httpx.HTTPError as error:
            raise _down() from error
        if response.status_code >= 500:
            raise _down()
        answer: dict[str, Any] = response.json()
        if response.status_code >= 400:
            raise Refused(
                "身份席位拒绝了请求",
                detail_en=f"the identity seat refused: {answer.get('error_description') or answer.get('detail_en', '')}",
                code=str(answer.get("error") or answer.get("code") or "identity-refused").replace("_", "-"),
                remedy="重新发起申请 / start again",
            )
        return answer


def _down() -> Unavailable:
    return Unavailable(
        "身份席位暂时无法连接",
        detail_en="the identity seat cannot be reached",
        code="identity-down",
        remedy="稍后重试 / try again later",
    )
