"""Compact JSON Web Signatures (RFC 7515) by the suite's one algorithm, and the keys that make them.

Everything signed off chain is a compact JWS with the header `{alg, typ, kid}` and nothing else. A token's hash is its
identity (a case id is one), so exactly one token stands for a signed content: base64url is strict and the signature's
`s` is in the lower half of the group order. Who brings a token of another library lowers it with `lowered`; no key is
needed. Which algorithm that is, says `domain/suite.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Self

import orjson

from orchestrator.domain import suite
from orchestrator.domain.canonical import b64, canonical, to_hex, unb64
from orchestrator.domain.errors import Refused
from orchestrator.domain.suite import hash_of
from orchestrator.protocol.holders import KeptSigning, SigningHolder, pem_of, wrong_kind

MAX_TOKEN: Final = 2 * 1024 * 1024
"""Longest token read, in characters."""

_MAX_HEADER: Final = 512
_HEADER_NAMES: Final = frozenset({"alg", "typ", "kid"})


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """RFC 7638 thumbprint of an EC or OKP key. Raises Invalid when a required member is missing."""
    names = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}.get(str(jwk.get("kty")))
    if names is None or any(not isinstance(jwk.get(name), str) for name in names):
        raise wrong_kind(suite.SIGNING_KEY)
    return _thumbprint(tuple((name, jwk[name]) for name in names))


class SigningKey:
    """A key that signs, with its public JWK and `kid`; who has the private half, its `holder` knows."""

    __slots__ = ("holder", "jwk", "kid")

    def __init__(self, holder: SigningHolder) -> None:
        self.holder = holder
        self.jwk: dict[str, Any] = dict(holder.jwk)
        self.kid = thumbprint(self.jwk)
        self.jwk["kid"] = self.kid

    @classmethod
    def generate(cls) -> Self:
        """A new random key, kept in memory."""
        return cls(KeptSigning.generate())

    @classmethod
    def from_pem(cls, pem: bytes, passphrase: str) -> Self:
        """The key of a PKCS#8 file. Raises ValueError when it does not open, Invalid for a key of another kind."""
        return cls(KeptSigning(suite.read_pem(pem, passphrase)))

    def sign(self, data: bytes) -> bytes:
        """64 bytes `r ‖ s`, `s` in the lower half. Raises Unavailable when the key is elsewhere and cannot be reached."""
        return suite.lower(self.holder.sign(data))

    def pem(self, passphrase: str) -> bytes:
        """The key as encrypted PKCS#8. Raises Invalid when the key is elsewhere."""
        return pem_of(self.holder, passphrase)

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid})"


def sign_jws(payload: Mapping[str, Any], *, typ: str, key: SigningKey) -> str:
    """A compact JWS over the JSON of `payload`."""
    signing_input = f"{_header(typ, key.kid)}.{b64(orjson.dumps(payload))}"
    return f"{signing_input}.{b64(key.sign(signing_input.encode()))}"


def verify_jws(token: str, *, typ: str, jwk: Mapping[str, Any], limit: int = MAX_TOKEN) -> dict[str, Any]:
    """The payload of `token` when `jwk` signed it as `typ`.

    Raises Refused(code="bad-signature") for everything else: another algorithm, type or key, a header with more than
    `alg`, `typ` and `kid` (so also `crit`), loose base64, a high `s`, a payload that is not a JSON object, or more than
    `limit` characters.
    """
    if len(token) > limit:
        raise _bad_signature("凭据过大", "the token is too large")
    if _read_header(token.partition(".")[0]) != (typ, thumbprint(jwk)):
        raise _bad_signature("签名凭据的类型或密钥不符", "the token is of another type or key")
    return verify_signature(token, jwk)


def verify_signature(token: str, jwk: Mapping[str, Any]) -> dict[str, Any]:
    """The payload of `token` when `jwk` signed it, whatever its header says: for tokens of other people's making, whose header
    the caller reads. Raises Refused("bad-signature")."""
    head, _, rest = token.partition(".")
    body, _, tail = rest.partition(".")
    try:
        signature = unb64(tail)
        data = unb64(body)
    except ValueError:
        raise _bad_signature() from None
    try:
        good = suite.is_signature(jwk, f"{head}.{body}".encode(), signature)
    except ValueError:
        raise wrong_kind(suite.SIGNING_KEY) from None
    if not good:
        raise _bad_signature()
    return _json_object(data)


def peek_jws(token: str, limit: int = MAX_TOKEN) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and payload, **unverified**: only to find out whose key must verify it.

    Raises Refused("bad-signature").
    """
    parts = token.split(".") if len(token) <= limit else []
    if len(parts) != 3:
        raise _bad_signature()
    try:
        return _json_object(unb64(parts[0])), _json_object(unb64(parts[1]))
    except ValueError:
        raise _bad_signature() from None


def kid_of(token: str) -> str:
    """The key that a token says it is signed by, **unverified**. Raises Refused("bad-signature")."""
    found = _read_header(token.partition(".")[0])
    if found is None:
        raise _bad_signature()
    return found[1]


def lowered(token: str) -> str:
    """The same token with `s` in the lower half: what WebCrypto and other signers do not care for. Unverified."""
    signing_input, _, tail = token.rpartition(".")
    try:
        signature = unb64(tail)
    except ValueError:
        raise _bad_signature() from None
    if len(signature) != 64:
        raise _bad_signature()
    return f"{signing_input}.{b64(suite.lower(signature))}"


def jws_hash(token: str) -> str:
    """`0x…` hash of the token's ASCII characters."""
    return to_hex(hash_of(token.encode("ascii")))


def check_signing_jwk(jwk: Mapping[str, Any]) -> None:
    """Raises Invalid unless `jwk` is a public key that can verify the suite's signatures."""
    try:
        suite.check_signing(jwk)
    except ValueError:
        raise wrong_kind(suite.SIGNING_KEY) from None
    thumbprint(jwk)


@lru_cache(maxsize=4096)
def _thumbprint(members: tuple[tuple[str, str], ...]) -> str:
    return b64(hash_of(canonical(dict(members))))


@lru_cache(maxsize=4096)
def _header(typ: str, kid: str) -> str:
    return b64(orjson.dumps({"alg": suite.SIGNING_ALG, "typ": typ, "kid": kid}))


def _read_header(head: str) -> tuple[str, str] | None:
    """`(typ, kid)` of a header that says our algorithm and nothing that we do not know; None otherwise."""
    return _parse_header(head) if len(head) <= _MAX_HEADER else None


@lru_cache(maxsize=4096)
def _parse_header(head: str) -> tuple[str, str] | None:
    try:
        header = orjson.loads(unb64(head))
    except ValueError:
        return None
    if not isinstance(header, dict) or header.keys() != _HEADER_NAMES or header["alg"] != suite.SIGNING_ALG:
        return None
    typ, kid = header["typ"], header["kid"]
    return (typ, kid) if isinstance(typ, str) and isinstance(kid, str) else None


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise _bad_signature() from None
    if not isinstance(value, dict):
        raise _bad_signature()
    return value


def _bad_signature(detail: str = "签名无效", detail_en: str = "the signature does not hold") -> Refused:
    return Refused(detail, code="bad-signature", detail_en=detail_en, remedy="请用登记的密钥重新签名")
