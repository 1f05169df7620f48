"""Sealing: HPKE (RFC 9180) in base mode, by the algorithms that `domain/suite.py` names.

A sealed blob is `enc ‖ ciphertext`, base64url. `info` binds what a blob is for, so that a blob copied into another
mandate, answer or case does not open. Base mode does not say who sealed: the hash of every blob stands in something
signed. Plaintexts are padded (ISO/IEC 7816-4: 0x80, then zeros) to a multiple of `pad_to` bytes, so that lengths tell
little.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

from orchestrator.domain import suite
from orchestrator.domain.canonical import b64, unb64
from orchestrator.domain.errors import Refused
from orchestrator.protocol.holders import KeptOpening, OpeningHolder, pem_of, wrong_kind
from orchestrator.protocol.jose import thumbprint

SUBJECT_PADDING: Final = 512
ANSWER_PADDING: Final = 512
CREDENTIAL_PADDING: Final = 1024
MATERIAL_PADDING: Final = 4096


class SealingKey:
    """A key that opens, with its public JWK and `kid`, and with it the seat's other keys: those that it replaced, or is to be
    replaced by. They open what was sealed to them and are nobody's to seal to now. Who has the private half, `holder` knows."""

    __slots__ = ("holder", "jwk", "kid", "past")

    def __init__(self, holder: OpeningHolder, past: tuple[SealingKey, ...] = ()) -> None:
        self.holder = holder
        self.past = past
        self.jwk: dict[str, Any] = dict(holder.jwk)
        self.kid = thumbprint(self.jwk)
        self.jwk["kid"] = self.kid

    @classmethod
    def generate(cls) -> Self:
        """A new random key, kept in memory."""
        return cls(KeptOpening.generate())

    @classmethod
    def from_pem(cls, pem: bytes, passphrase: str) -> Self:
        """The key of a PKCS#8 file. Raises ValueError when it does not open, Invalid for a key of another kind."""
        return cls(KeptOpening(suite.read_pem(pem, passphrase)))

    def pem(self, passphrase: str) -> bytes:
        """The key as encrypted PKCS#8. Raises Invalid when the key is elsewhere."""
        return pem_of(self.holder, passphrase)

    def __repr__(self) -> str:
        return f"SealingKey(kid={self.kid})"


def seal(public_jwk: Mapping[str, Any], plaintext: bytes, *, info: bytes, pad_to: int) -> str:
    """`plaintext`, padded to a multiple of `pad_to` bytes, readable by the holder of `public_jwk` alone.

    Raises Invalid when the key is not usable.
    """
    check_sealing_jwk(public_jwk)
    padded = plaintext + b"\x80"
    padded += b"\0" * (-len(padded) % pad_to)
    try:
        return b64(suite.seal(public_jwk, padded, info))
    except ValueError:  # a point of small order gives an all-zero secret
        raise wrong_kind(suite.SEALING_KEY) from None


def unseal(private_key: SealingKey, blob: str, *, info: bytes) -> bytes:
    """The plaintext of `blob`.

    Raises Refused(code="cannot-open") when it was sealed to a key that is neither `private_key` nor one of its past ones, or
    for another purpose; Unavailable when the key is elsewhere and cannot be reached.
    """
    try:
        sealed = unb64(blob)
    except ValueError:
        raise _cannot_open() from None
    for key in (private_key, *private_key.past):
        try:
            padded = key.holder.open(sealed, info)
            break
        except ValueError:
            continue
    else:
        raise _cannot_open()
    plaintext = padded.rstrip(b"\0")
    if not plaintext.endswith(b"\x80"):
        raise _cannot_open()
    return plaintext[:-1]


def check_sealing_jwk(jwk: Mapping[str, Any]) -> None:
    """Raises Invalid unless `jwk` is a public key that can be sealed to."""
    try:
        suite.check_sealing(jwk)
    except ValueError:
        raise wrong_kind(suite.SEALING_KEY) from None


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


def access_info(commitment: str, seat: int) -> bytes:
    """What the subject of an access request is bound to."""
    return _info("lianban.access.v1", commitment, seat)


def index_info(seat: int) -> bytes:
    """What a secret is bound to that a seat seals to itself: by it the seat finds its log's entries about somebody."""
    return _info("lianban.index.v1", seat)


def _info(tag: str, *parts: str | int) -> bytes:
    """`tag` and the parts as UTF-8 text (numbers in decimal), each ended by a zero byte.

    Raises ValueError for a zero inside.
    """
    texts = [tag, *(str(part) for part in parts)]
    if any("\0" in text for text in texts):
        raise ValueError("a part of an info string holds a zero byte")
    return "".join(text + "\0" for text in texts).encode()


def _cannot_open() -> Refused:
    return Refused(
        "密封内容无法打开",
        code="cannot-open",
        detail_en="the sealed content does not open",
        remedy="核对密封所用的公钥与用途",
    )
