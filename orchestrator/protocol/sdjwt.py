"""SD-JWT (RFC 9901): a signed payload whose claims are disclosed one by one.

Ours are flat: every disclosable claim stands at the top level (`_sd`), values are disclosed whole, `_sd_alg` is
`sha-256` and always stated. What the RFC allows beyond that (nested `_sd`, array elements) is refused on reading, never
skipped.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from orchestrator.domain.canonical import b64, unb64
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.suite import HASH_NAME, hash_of
from orchestrator.protocol.jose import SigningKey, sign_jws, verify_jws

_SALT_BYTES: Final = 16
MAX_DISCLOSURES: Final = 256
RESERVED: Final = frozenset({"_sd", "_sd_alg", "..."})


def issue(
    payload: Mapping[str, Any], disclosed: Mapping[str, Any], *, typ: str, key: SigningKey
) -> tuple[str, dict[str, str]]:
    """A JWT over `payload` and the digests of `disclosed`, and one disclosure per claim name.

    Raises ValueError when a claim stands in both or has a reserved name.
    """
    disclosures = make_disclosures(disclosed)
    return sign_with(payload, disclosures, typ=typ, key=key), disclosures


def make_disclosures(claims: Mapping[str, Any]) -> dict[str, str]:
    """One salted disclosure per claim, base64url of `[salt, name, value]`.

    Raises ValueError for a reserved name or value.
    """
    disclosures = {}
    for name, value in claims.items():
        if name in RESERVED or _mentions_reserved(value):
            raise ValueError("a claim may not use the names reserved by RFC 9901")
        disclosures[name] = b64(orjson.dumps([b64(secrets.token_bytes(_SALT_BYTES)), name, value]))
    return disclosures


def sign_with(payload: Mapping[str, Any], disclosures: Mapping[str, str], *, typ: str, key: SigningKey) -> str:
    """The JWT over `payload` and the digests of disclosures already made.

    Raises ValueError when a name stands in both.
    """
    if not RESERVED.isdisjoint(payload) or not disclosures.keys().isdisjoint(payload):
        raise ValueError("a claim stands both open and disclosable, or has a reserved name")
    digests = sorted(digest(disclosure) for disclosure in disclosures.values())  # sorted: the order tells nothing
    return sign_jws({**payload, "_sd_alg": HASH_NAME, "_sd": digests}, typ=typ, key=key)


def digest(disclosure: str) -> str:
    """base64url of the SHA-256 over the disclosure's characters."""
    return b64(hash_of(disclosure.encode("ascii")))


def read(
    jwt: str, disclosures: Iterable[str], *, typ: str, jwk: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The payload without `_sd` and `_sd_alg`, and the claims that `disclosures` open (RFC 9901, 7.1). Raises as `read_counted`."""
    payload, claims, _ = read_counted(jwt, disclosures, typ=typ, jwk=jwk)
    return payload, claims


def read_counted(
    jwt: str, disclosures: Iterable[str], *, typ: str, jwk: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], int]:
    """The same, and how many claims there are, opened or not.

    Raises Refused: "bad-signature" for the JWT, "bad-disclosure" for a disclosure that is malformed, comes twice,
    belongs to no digest, or has the name of another claim, and for digests that are repeated or nested.
    """
    payload = verify_jws(jwt, typ=typ, jwk=jwk)
    digests, algorithm = payload.pop("_sd", None), payload.pop("_sd_alg", None)
    if algorithm != HASH_NAME or not isinstance(digests, list) or not all(isinstance(d, str) for d in digests):
        raise _bad_disclosure()
    if len(set(digests)) != len(digests) or len(digests) > MAX_DISCLOSURES or _mentions_reserved(payload):
        raise _bad_disclosure()
    known = set(digests)
    claims: dict[str, Any] = {}
    for disclosure in disclosures:
        name, value = open_disclosure(disclosure)
        if digest(disclosure) not in known or name in payload or name in claims:
            raise _bad_disclosure()
        claims[name] = value
    return payload, claims, len(digests)


def open_disclosure(disclosure: str) -> tuple[str, Any]:
    """Name and value of a disclosure, by itself worth nothing: only `read` ties it to a signature.

    Raises Refused("bad-disclosure").
    """
    try:
        parts = orjson.loads(unb64(disclosure))
    except ValueError:
        raise _bad_disclosure() from None
    if not isinstance(parts, list) or len(parts) != 3 or not isinstance(parts[0], str) or not isinstance(parts[1], str):
        raise _bad_disclosure()
    if parts[1] in RESERVED or _mentions_reserved(parts[2]):
        raise _bad_disclosure()
    return parts[1], parts[2]


def no_such_claim(name: str, known: Iterable[str]) -> Invalid:
    """The error for a claim that somebody would show and that is not there."""
    return Invalid(
        field="claim",
        detail=f"证照中没有 {name}",
        detail_en=f"there is no claim {name}",
        remedy=", ".join(known),
        code="no-such-claim",
    )


def _mentions_reserved(value: Any) -> bool:
    if isinstance(value, dict):
        return any(name in RESERVED or _mentions_reserved(inner) for name, inner in value.items())
    return isinstance(value, list) and any(_mentions_reserved(inner) for inner in value)


def _bad_disclosure() -> Refused:
    return Refused(
        "核验项的披露与签名不符",
        code="bad-disclosure",
        detail_en="a disclosure does not belong to what was signed",
        remedy="重新向数据提供部门取得应答",
    )
