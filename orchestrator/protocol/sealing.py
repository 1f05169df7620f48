"""Sealing: HPKE (RFC 9180) in base mode to an X25519 key, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.

A sealed blob is `enc ‖ ciphertext`, base64url. `info` binds what a blob is for, so that a blob copied into another
mandate, answer or case does not open. Base mode does not say who sealed: the hash of every blob stands in something
signed. Plaintexts are padded (ISO/IEC 7816-4: 0x80, then zeros) to a multiple of `pad_to` bytes, so that lengths tell
little.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from orchestrator.domain.canonical import b64, unb64
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.protocol.jose import thumbprint

SUBJECT_PADDING: Final = 512
ANSWER_PADDING: Final = 512
CREDENTIAL_PADDING: Final = 1024
MATERIAL_PADDING: Final = 4096

_SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


class SealingKey:
    """An X25519 private key with its public JWK `{kty, crv, x}` and `kid`, and with it the keys that it replaced, which open
    what was sealed to them and are nobody's to seal to any more."""

    __slots__ = ("jwk", "kid", "past", "private")

    def __init__(self, private: X25519PrivateKey, past: tuple[SealingKey, ...] = ()) -> None:
        self.private = private
        self.past = past
        self.jwk: dict[str, Any] = {
            "kty": "OKP",
            "crv": "X25519",
            "x": b64(private.public_key().public_bytes_raw()),
        }
        self.kid = thumbprint(self.jwk)
        self.jwk["kid"] = self.kid

    @classmethod
    def generate(cls) -> Self:
        """A new random key."""
        return cls(X25519PrivateKey.generate())

    def pem(self, passphrase: str) -> bytes:
        """The key as encrypted PKCS#8."""
        return self.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase.encode()),
        )

    def __repr__(self) -> str:
        return f"SealingKey(kid={self.kid})"


def seal(public_jwk: Mapping[str, Any], plaintext: bytes, *, info: bytes, pad_to: int) -> str:
    """`plaintext`, padded to a multiple of `pad_to` bytes, readable by the holder of `public_jwk` alone.

    Raises Invalid when the key is not a usable X25519 key.
    """
    check_sealing_jwk(public_jwk)
    padded = plaintext + b"\x80"
    padded += b"\0" * (-len(padded) % pad_to)
    try:
        return b64(_SUITE.encrypt(padded, _public_key(public_jwk["x"]), info))
    except ValueError:  # a point of small order gives an all-zero secret
        raise _bad_key() from None


def unseal(private_key: SealingKey, blob: str, *, info: bytes) -> bytes:
    """The plaintext of `blob`.

    Raises Refused(code="cannot-open") when it was sealed to a key that is neither `private_key` nor one that it replaced, or
    for another purpose.
    """
    for key in (private_key, *private_key.past):
        try:
            padded = _SUITE.decrypt(unb64(blob), key.private, info)
            break
        except (InvalidTag, ValueError):
            continue
    else:
        raise _cannot_open()
    plaintext = padded.rstrip(b"\0")
    if not plaintext.endswith(b"\x80"):
        raise _cannot_open()
    return plaintext[:-1]


def check_sealing_jwk(jwk: Mapping[str, Any]) -> None:
    """Raises Invalid unless `jwk` is a public X25519 key."""
    if jwk.get("kty") != "OKP" or jwk.get("crv") != "X25519" or "d" in jwk or not isinstance(jwk.get("x"), str):
        raise _bad_key()
    _public_key(jwk["x"])


def subject_info(jti: str, role: str, index: int, seat: int) -> bytes:
    """What a sealed subject of a mandate is bound to."""
    return _info("lianban.subject.v1", jti, role, index, seat)


def answer_info(question: str, attempt: int, seat: int) -> bytes:
    """What the sealed disclosures of an answer are bound to."""
    return _info("lianban.answer.v1", question, attempt, seat)


def material_info(digest: str, name: str, reader: int | str) -> bytes:
    """What a sealed document (a material, the form…) is bound to: its salted hash, its name and who reads it."""
    return _info("lianban.material.v1", digest, name, reader)


def credential_info(case: str) -> bytes:
    """What the sealed disclosures of a case's credential are bound to."""
    return _info("lianban.credential.v1", case)


def basis_info(seat: int) -> bytes:
    """What a secret is bound to that a seat seals to itself: the salts of its verdicts' inputs."""
    return _info("lianban.basis.v1", seat)


def _info(tag: str, *parts: str | int) -> bytes:
    """`tag` and the parts as UTF-8 text (numbers in decimal), each ended by a zero byte.

    Raises ValueError for a zero inside.
    """
    texts = [tag, *(str(part) for part in parts)]
    if any("\0" in text for text in texts):
        raise ValueError("a part of an info string holds a zero byte")
    return "".join(text + "\0" for text in texts).encode()


@lru_cache(maxsize=4096)
def _public_key(x: str) -> X25519PublicKey:
    try:
        return X25519PublicKey.from_public_bytes(unb64(x))
    except ValueError:
        raise _bad_key() from None


def _bad_key() -> Invalid:
    return Invalid(
        field="jwk", detail="加密公钥格式不正确", detail_en="not a usable sealing key", remedy="提供 X25519 公钥 (JWK)"
    )


def _cannot_open() -> Refused:
    return Refused(
        "密封内容无法打开",
        code="cannot-open",
        detail_en="the sealed content does not open",
        remedy="核对密封所用的公钥与用途",
    )
