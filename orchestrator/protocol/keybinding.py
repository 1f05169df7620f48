"""Key binding (RFC 9901, 4.3): who shows a credential proves to hold the key that it is bound to, for one reader and once.

The KB-JWT is signed by the key in `cnf` over the reader's name (`aud`), the reader's `nonce` and the hash of everything that is
shown. Wallets sign it with libraries of their own, so here, unlike in all our other tokens, the header needs no `kid` and `s` may
lie in either half: the token's hash is nobody's identity.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.domain.canonical import b64
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.suite import SIGNING_ALG, hash_of
from orchestrator.protocol.credential import Presentation
from orchestrator.protocol.jose import SigningKey, lowered, peek_jws, sign_jws, verify_signature
from orchestrator.protocol.wire import Seconds, Text, WireModel, read_model

TYP: Final = "kb+jwt"


class _Payload(WireModel):
    iat: Seconds
    aud: Text
    nonce: Text
    sd_hash: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyBinding:
    """A verified key binding."""

    audience: str
    """For whom it was made."""
    nonce: str
    made_at: int
    """Seconds since 1970, by the holder's clock."""


def bind(shown: Presentation, key: SigningKey, *, audience: str, nonce: str, now: int | None = None) -> Presentation:
    """The presentation with a key binding by `key`, for one reader."""
    payload = {
        "iat": int(time.time()) if now is None else now,
        "aud": audience,
        "nonce": nonce,
        "sd_hash": _hash(shown),
    }
    token = sign_jws(payload, typ=TYP, key=key)
    return Presentation(jwt=shown.jwt, disclosures=shown.disclosures, binding=token)


def read_binding(shown: Presentation, jwk: Mapping[str, Any]) -> KeyBinding:
    """The key binding of a presentation, by `jwk` of its `cnf`. Whether reader and nonce are the right ones is the caller's.

    Raises Refused("bad-binding") when there is none, when another key signed it or when it is over something else.
    """
    if shown.binding is None:
        raise _bad_binding("没有密钥绑定", "there is no key binding")
    try:
        token = lowered(shown.binding)
        header, payload = peek_jws(token)[0], verify_signature(token, jwk)
        found = read_model(_Payload, {name: payload.get(name) for name in _Payload.model_fields}, code="bad-binding")
    except (Refused, Invalid):
        raise _bad_binding("密钥绑定的签名无效", "the key binding is not signed by the holder's key") from None
    if header.get("typ") != TYP or header.get("alg") != SIGNING_ALG or "crit" in header:
        raise _bad_binding("密钥绑定的类型不符", "the key binding is of another type")
    if found.sd_hash != _hash(shown):
        raise _bad_binding(
            "密钥绑定不是对所出示内容作出的", "the key binding is over something else than what is shown"
        )
    return KeyBinding(audience=found.aud, nonce=found.nonce, made_at=found.iat)


def _hash(shown: Presentation) -> str:
    return b64(hash_of(shown.bound_part().encode("ascii")))


def _bad_binding(detail: str, detail_en: str) -> Refused:
    return Refused(
        detail, code="bad-binding", detail_en=detail_en, remedy="请持证人重新出示 / ask the holder to present it again"
    )
