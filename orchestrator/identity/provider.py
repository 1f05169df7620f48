"""The client's side of the identity seat: pushed requests in, tokens and mandates out."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

import orjson
from pydantic import ValidationError

from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.identity import oidc
from orchestrator.identity.contests import check_contest
from orchestrator.identity.flow import Flow, MandateRequest
from orchestrator.identity.oidc import Client, OAuthError
from orchestrator.identity.seat import IdentitySeat
from orchestrator.identity.store import SignedMandate, superseded
from orchestrator.protocol.sealing import check_sealing_jwk

_NO_DETAILS: Final = (None, "", "[]")


async def push(seat: IdentitySeat, form: Mapping[str, str]) -> dict[str, Any]:
    """A pushed authorisation request (RFC 9126): `{request_uri, expires_in}`. Raises OAuthError."""
    now = seat.now()
    await seat.store.purge(now)
    client = await _client(seat, form)
    request = oidc.check_request(form, client)
    details = _read_details(form.get("authorization_details"))
    flow = Flow(id=secrets.token_urlsafe(18), request=request, mandate=details)
    if details is not None:
        flow = await _check_details(seat, flow, details, client)
    request_uri = oidc.REQUEST_URI_PREFIX + secrets.token_urlsafe(32)
    await seat.store.add_flow(flow.id, request_uri, flow.model_dump_json(), now + oidc.REQUEST_SECONDS)
    return {"request_uri": request_uri, "expires_in": oidc.REQUEST_SECONDS}


async def exchange(seat: IdentitySeat, form: Mapping[str, str]) -> dict[str, Any]:
    """A code for tokens, once (RFC 6749 §4.1.3 with PKCE). A wrong verifier spends the code too. Raises OAuthError."""
    client = await _client(seat, form)
    if form.get("grant_type") != "authorization_code":
        raise OAuthError("unsupported_grant_type", "grant_type is authorization_code")
    now = seat.now()
    code = await seat.store.use_code(form.get("code", ""), now)
    if code is None or code.client != client.id or code.redirect_uri != form.get("redirect_uri"):
        raise OAuthError("invalid_grant", "the code is unknown, used, expired or for somebody else")
    if not oidc.verifier_fits(form.get("code_verifier", ""), code.challenge):
        raise OAuthError("invalid_grant", "code_verifier does not fit the challenge")
    grants = code.grants
    subject = grants["sub"]
    answer: dict[str, Any] = {
        "access_token": oidc.access_token(issuer=seat.issuer, subject=subject, client=client.id, now=now, key=seat.key),
        "token_type": "Bearer",
        "expires_in": oidc.TOKEN_SECONDS,
        "scope": "openid",
        "id_token": oidc.id_token(
            issuer=seat.issuer,
            subject=subject,
            client=client.id,
            nonce=grants["nonce"],
            auth_time=grants["auth_time"],
            now=now,
            key=seat.key,
        ),
    }
    signed = {name: grants[name] for name in ("mandate", "contest") if grants[name] is not None}
    if signed:
        answer["authorization_details"] = [{"type": oidc.DETAILS_TYPE, **signed, "case": grants["case"]}]
    return answer


async def previous_mandate(seat: IdentitySeat, details: MandateRequest) -> SignedMandate:
    """The mandate that an amendment or withdrawal follows. Raises Invalid, or Refused when another one followed it."""
    before = await seat.store.mandate(details.previous or "")
    if before is None or before.case_id != details.case or before.binding != details.binding:
        raise _detail("previous", "没有这份授权书", "there is no such mandate of this case and binding")
    newest = await seat.store.newest_mandate(before.case_id)
    if newest is None or newest.hash != before.hash or newest.kind == "withdrawal":
        raise superseded()
    return before


async def _client(seat: IdentitySeat, form: Mapping[str, str]) -> Client:
    return await oidc.authenticate_client(
        form, clients=seat.clients, chain=seat.chain, store=seat.store, issuer=seat.issuer, now=seat.now()
    )


def _read_details(text: str | None) -> MandateRequest | None:
    """The one authorisation detail of a request, None for a mere sign-in. Raises OAuthError."""
    if text in _NO_DETAILS:
        return None
    try:
        listed = orjson.loads(text or "")
        if not isinstance(listed, list) or len(listed) != 1:
            raise OAuthError("invalid_authorization_details", "exactly one authorisation detail is taken")
        return MandateRequest.model_validate(listed[0])
    except orjson.JSONDecodeError:
        raise OAuthError("invalid_authorization_details", "authorization_details is not JSON") from None
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in fault["loc"]) or "authorization_details"
        raise _refused(_detail(field, "授权请求的字段有误", str(fault["msg"]))) from None


async def _check_details(seat: IdentitySeat, flow: Flow, details: MandateRequest, client: Client) -> Flow:
    """The flow with version, texts and nonce, when chain and definition allow this mandate. Raises OAuthError."""
    try:
        binding = await seat.chain.binding(details.binding)
        if binding.identity != seat.number or binding.operator != client.seat:
            raise _detail(
                "binding", "落地未指定本身份席位与该办理方", "the binding names another seat as identity or operator"
            )
        if details.kind == "grant" and not binding.live:
            raise retired()
        check_sealing_jwk(details.delivery)
        _, texts, _ = await seat.chain.version(binding.version)
        flow = flow.having(version=binding.version, texts=texts, jti=secrets.token_urlsafe(16))
        context = await seat.context(flow)
        if details.previous is not None:
            await previous_mandate(seat, details)
        check_contest(details, context.needs)
    except (Invalid, Refused) as error:
        raise _refused(error) from None
    return flow


def retired() -> Invalid:
    """That a binding takes no new cases."""
    return _detail("binding", "落地已停用,不再受理新办件", "the binding is retired: no new cases")


def _refused(cause: LianbanError) -> OAuthError:
    return OAuthError("invalid_authorization_details", cause.detail_en, cause=cause)


def _detail(field: str, detail: str, detail_en: str) -> Invalid:
    return Invalid(
        field=field, detail=detail, detail_en=detail_en, remedy="更正后重新提交请求 / correct it and push again"
    )
