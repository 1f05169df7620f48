"""OpenID provider of the portal, and the OAuth rules around it.

Authorization code with PKCE (RFC 7636, S256 only), always through a pushed request (RFC 9126), with rich authorisation
details (RFC 9396) where a mandate is wanted. Clients authenticate by a signed assertion (RFC 7523, with the explicit
type and single audience of its revision), whose key is the request key of the client's seat on chain. Subjects are
pairwise. The response names its issuer (RFC 9207). Nothing else is accepted: no implicit flow, no secret, no refresh
token.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from orchestrator.domain.canonical import b64
from orchestrator.domain.errors import LianbanError, Refused
from orchestrator.domain.suite import SIGNING_ALG, hash_of, mac
from orchestrator.identity.store import IdentityStore
from orchestrator.protocol.jose import SigningKey, peek_jws, sign_jws, verify_jws
from orchestrator.protocol.ports import ChainView, seat_knowing

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_TYP: Final = "client-authentication+jwt"
REQUEST_URI_PREFIX: Final = "urn:ietf:params:oauth:request_uri:"
DETAILS_TYPE: Final = "lianban-mandate"

ASSERTION_SECONDS: Final = 120
"""Longest life of a client assertion."""
CLOCK_SKEW: Final = 30
REQUEST_SECONDS: Final = 90
"""How long a pushed request waits to be opened by a browser."""
FLOW_SECONDS: Final = 3600
"""How long a person has to finish; co-consenters need time."""
CODE_SECONDS: Final = 60
TOKEN_SECONDS: Final = 300

_VALUE: Final = re.compile(r"[\x21-\x7e]{8,512}")
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who may send people here: a seat, with the exact addresses to which they may return."""

    id: str
    """The department's id: `client_id`."""
    seat: int
    redirect_uris: tuple[str, ...]


class OAuthError(Exception):
    """An OAuth error answer: `error` is the registered code, `status` the HTTP status.

    `cause` is our own error behind it, whose field and remedy go into the answer too.
    """

    def __init__(self, error: str, description: str, *, status: int = 400, cause: LianbanError | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.description = description
        self.status = status
        self.cause = cause


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """The OAuth part of a pushed request, checked."""

    client: str
    redirect_uri: str
    state: str
    nonce: str
    code_challenge: str


def discovery(issuer: str) -> dict[str, Any]:
    """The provider's metadata (OpenID Connect Discovery, RFC 8414)."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "pushed_authorization_request_endpoint": f"{issuer}/par",
        "require_pushed_authorization_requests": True,
        "jwks_uri": f"{issuer}/jwks",
        "scopes_supported": ["openid"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": [SIGNING_ALG],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": [SIGNING_ALG],
        "code_challenge_methods_supported": ["S256"],
        "authorization_details_types_supported": [DETAILS_TYPE],
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": False,
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce"],
        "ui_locales_supported": ["zh-CN", "en"],
    }


def client_assertion(client: str, key: SigningKey, issuer: str, now: int) -> dict[str, str]:
    """The form fields with which a client authenticates, good for one request."""
    payload = {
        "iss": client,
        "sub": client,
        "aud": issuer,
        "jti": secrets.token_urlsafe(16),
        "iat": now,
        "exp": now + 60,
    }
    token = sign_jws(payload, typ=ASSERTION_TYP, key=key)
    return {"client_id": client, "client_assertion_type": ASSERTION_TYPE, "client_assertion": token}


async def authenticate_client(
    form: Mapping[str, str],
    *,
    clients: Mapping[str, Client],
    chain: ChainView,
    store: IdentityStore,
    issuer: str,
    now: int,
) -> Client:
    """The client that signed this form's assertion, once. Raises OAuthError (invalid_client, 401)."""
    assertion = form.get("client_assertion", "")
    if form.get("client_assertion_type") != ASSERTION_TYPE or not assertion:
        raise _bad_client("private_key_jwt is the only client authentication")
    try:
        _, claimed = peek_jws(assertion, limit=8192)
        client = clients.get(str(claimed.get("iss")))
        if client is None:
            raise _bad_client("unknown client")
        seat = await seat_knowing(chain, await chain.seat(client.seat), "request", [assertion])
        if not seat.active or seat.keyset.id != client.id:
            raise _bad_client("the client's seat is not active")
        payload = verify_jws(assertion, typ=ASSERTION_TYP, jwk=seat.key_of("request", assertion), limit=8192)
    except Refused:
        raise _bad_client("the assertion is not signed by the request key of the client's seat") from None
    issued, expires, jti = payload.get("iat"), payload.get("exp"), payload.get("jti")
    if payload.get("sub") != client.id or payload.get("aud") != issuer:
        raise _bad_client("the assertion is for somebody else")
    if not isinstance(issued, int) or not isinstance(expires, int) or not isinstance(jti, str) or len(jti) > 200:
        raise _bad_client("the assertion lacks iat, exp or jti")
    if issued > now + CLOCK_SKEW or expires <= now - CLOCK_SKEW or expires - issued > ASSERTION_SECONDS:
        raise _bad_client("the assertion is not valid now")
    if form.get("client_id", client.id) != client.id:
        raise _bad_client("client_id and assertion differ")
    if not await store.use_assertion(client.id, jti, expires + CLOCK_SKEW):
        raise _bad_client("the assertion was used before")
    return client


def check_request(form: Mapping[str, str], client: Client) -> AuthorizationRequest:
    """The OAuth parameters of a pushed request. Raises OAuthError (invalid_request, …)."""
    if "request" in form or "request_uri" in form:
        raise OAuthError("invalid_request", "a pushed request holds its parameters themselves")
    if form.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "response_type is code")
    if form.get("scope", "").split() != ["openid"]:
        raise OAuthError("invalid_scope", "scope is openid")
    if form.get("redirect_uri") not in client.redirect_uris:
        raise OAuthError("invalid_request", "redirect_uri is not registered, character by character")
    if form.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(form.get("code_challenge", "")):
        raise OAuthError("invalid_request", "PKCE with code_challenge_method S256 is required")
    for name in ("state", "nonce"):
        if not _VALUE.fullmatch(form.get(name, "")):
            raise OAuthError("invalid_request", f"{name} is required: 8 to 512 visible ASCII characters")
    return AuthorizationRequest(
        client=client.id,
        redirect_uri=form["redirect_uri"],
        state=form["state"],
        nonce=form["nonce"],
        code_challenge=form["code_challenge"],
    )


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a PKCE verifier."""
    return b64(hash_of(verifier.encode()))


def verifier_fits(verifier: str, challenge: str) -> bool:
    """Whether a PKCE verifier is well formed and made `challenge`."""
    return bool(_VERIFIER.fullmatch(verifier)) and hmac.compare_digest(challenge_of(verifier), challenge)


def pairwise_subject(secret: bytes, client: str, account: str) -> str:
    """The name under which `client`, and nobody else, knows the account. Says nothing about the citizen number."""
    message = b"lianban.pairwise.v1\0" + client.encode() + b"\0" + account.encode()
    return b64(mac(secret, message))


def id_token(*, issuer: str, subject: str, client: str, nonce: str, auth_time: int, now: int, key: SigningKey) -> str:
    """An id token (OpenID Connect Core §2)."""
    payload = {
        "iss": issuer,
        "sub": subject,
        "aud": client,
        "nonce": nonce,
        "auth_time": auth_time,
        "iat": now,
        "exp": now + TOKEN_SECONDS,
    }
    return sign_jws(payload, typ="JWT", key=key)


def access_token(*, issuer: str, subject: str, client: str, now: int, key: SigningKey) -> str:
    """An access token (RFC 9068) for this provider's userinfo alone."""
    payload = {
        "iss": issuer,
        "aud": issuer,
        "sub": subject,
        "client_id": client,
        "scope": "openid",
        "jti": secrets.token_urlsafe(16),
        "iat": now,
        "exp": now + TOKEN_SECONDS,
    }
    return sign_jws(payload, typ="at+jwt", key=key)


def userinfo_subject(authorization: str, *, issuer: str, key: SigningKey, now: int) -> str:
    """The subject of a bearer token of ours. Raises Refused (not-signed-in)."""
    scheme, _, token = authorization.partition(" ")
    try:
        payload = verify_jws(token.strip(), typ="at+jwt", jwk=key.jwk, limit=8192)
    except Refused:
        payload = {}
    if scheme.lower() != "bearer" or payload.get("aud") != issuer or payload.get("exp", 0) <= now:
        raise Refused("访问令牌无效", code="not-signed-in", detail_en="the access token is not valid")
    return str(payload["sub"])


def response_url(redirect_uri: str, parameters: Mapping[str, str]) -> str:
    """`redirect_uri` with the response's parameters in its query."""
    parts = urlsplit(redirect_uri)
    query = "&".join(filter(None, [parts.query, urlencode(parameters)]))
    return urlunsplit(parts._replace(query=query))


def _bad_client(description: str) -> OAuthError:
    return OAuthError("invalid_client", description, status=401)
