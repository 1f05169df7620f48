"""Compact JSON Web Signatures, ES256 only (RFC 7515, RFC 7518), and the P-256 keys that make them.

Everything signed off chain is a compact JWS with the header `{alg, typ, kid}` and nothing else. A token's hash is its
identity (a case id is one), so exactly one token stands for a signed content: base64url is strict and the signature's
`s` is in the lower half of the group order. Who brings a token of another library lowers it with `lowered`; no key is
needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Self

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from orchestrator.domain.canonical import b64, canonical, sha256, to_hex, unb64
from orchestrator.domain.errors import Invalid, Refused

MAX_TOKEN: Final = 2 * 1024 * 1024
"""Longest token read, in characters."""

P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_MAX_HEADER: Final = 512
_HALF_ORDER: Final = P256_ORDER // 2
_ES256: Final = ec.ECDSA(hashes.SHA256())
_HEADER_NAMES: Final = frozenset({"alg", "typ", "kid"})


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """RFC 7638 thumbprint of an EC or OKP key. Raises Invalid when a required member is missing."""
    names = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}.get(str(jwk.get("kty")))
    if names is None or any(not isinstance(jwk.get(name), str) for name in names):
        raise _bad_key()
    return _thumbprint(tuple((name, jwk[name]) for name in names))


class SigningKey:
    """A P-256 private key with its public JWK `{kty, crv, x, y}` and `kid`."""

    __slots__ = ("_private", "jwk", "kid")

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        if not isinstance(private.curve, ec.SECP256R1):
            raise _bad_key()
        self._private = private
        numbers = private.public_key().public_numbers()
        self.jwk: dict[str, Any] = {
            "kty": "EC",
            "crv": "P-256",
            "x": b64(numbers.x.to_bytes(32, "big")),
            "y": b64(numbers.y.to_bytes(32, "big")),
        }
        self.kid = thumbprint(self.jwk)
        self.jwk["kid"] = self.kid

    @classmethod
    def generate(cls) -> Self:
        """A new random key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    def sign(self, data: bytes) -> bytes:
        """64 bytes `r ‖ s`, `s` in the lower half."""
        r, s = decode_dss_signature(self._private.sign(data, _ES256))
        if s > _HALF_ORDER:
            s = P256_ORDER - s
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def pem(self, passphrase: str) -> bytes:
        """The key as encrypted PKCS#8."""
        return self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase.encode()),
        )

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
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if len(signature) != 64 or not 0 < r < P256_ORDER or not 0 < s <= _HALF_ORDER:
        raise _bad_signature()
    try:
        public_key(jwk["x"], jwk["y"]).verify(encode_dss_signature(r, s), f"{head}.{body}".encode(), _ES256)
    except InvalidSignature:
        raise _bad_signature() from None
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
    """The same token with `s` in the lower half: what WebCrypto and other ES256 signers do not care for. Unverified."""
    signing_input, _, tail = token.rpartition(".")
    try:
        signature = unb64(tail)
    except ValueError:
        raise _bad_signature() from None
    if len(signature) != 64:
        raise _bad_signature()
    s = int.from_bytes(signature[32:], "big")
    if not _HALF_ORDER < s < P256_ORDER:
        return token
    return f"{signing_input}.{b64(signature[:32] + (P256_ORDER - s).to_bytes(32, 'big'))}"


def jws_hash(token: str) -> str:
    """`0x…` SHA-256 of the token's ASCII characters."""
    return to_hex(hashlib.sha256(token.encode("ascii")).digest())


@lru_cache(maxsize=4096)
def public_key(x: str, y: str) -> ec.EllipticCurvePublicKey:
    """The P-256 point of two JWK coordinates. Raises Invalid when there is none."""
    try:
        left, right = unb64(x), unb64(y)
        if len(left) != 32 or len(right) != 32:
            raise ValueError
        numbers = ec.EllipticCurvePublicNumbers(
            int.from_bytes(left, "big"), int.from_bytes(right, "big"), ec.SECP256R1()
        )
        return numbers.public_key()
    except ValueError:
        raise _bad_key() from None


def check_signing_jwk(jwk: Mapping[str, Any]) -> None:
    """Raises Invalid unless `jwk` is a public P-256 key that can verify ES256."""
    if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256" or "d" in jwk:
        raise _bad_key()
    thumbprint(jwk)
    public_key(jwk["x"], jwk["y"])


@lru_cache(maxsize=4096)
def _thumbprint(members: tuple[tuple[str, str], ...]) -> str:
    return b64(sha256(canonical(dict(members))))


@lru_cache(maxsize=4096)
def _header(typ: str, kid: str) -> str:
    return b64(orjson.dumps({"alg": "ES256", "typ": typ, "kid": kid}))


def _read_header(head: str) -> tuple[str, str] | None:
    """`(typ, kid)` of a header that says ES256 and nothing that we do not know; None otherwise."""
    return _parse_header(head) if len(head) <= _MAX_HEADER else None


@lru_cache(maxsize=4096)
def _parse_header(head: str) -> tuple[str, str] | None:
    try:
        header = orjson.loads(unb64(head))
    except ValueError:
        return None
    if not isinstance(header, dict) or header.keys() != _HEADER_NAMES or header["alg"] != "ES256":
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


def _bad_key() -> Invalid:
    return Invalid(
        field="jwk", detail="公钥格式不正确", detail_en="not a usable public key", remedy="提供 P-256 公钥 (JWK)"
    )
